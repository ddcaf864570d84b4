package proxy

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"

	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy/mapping"
)

// ServeMapping accepts the clients of a TCP mapping until ctx ends, and returns
// nil then. Flows go on; see [Server.Drain]. It closes the listener.
func (s *Server) ServeMapping(ctx context.Context, ln *net.TCPListener, m mapping.Mapping) error {
	defer ln.Close()
	s.listensAt(ln)
	if s.engine != nil {
		if served, err := s.engine.serveMapping(ctx, ln, m); served {
			return err
		}
	}
	defer context.AfterFunc(ctx, func() { ln.Close() })()
	return s.accept(ln, func(c *net.TCPConn) { s.mapped(c, m) })
}

// mapped carries a client of a mapping to its target.
func (s *Server) mapped(c *net.TCPConn, m mapping.Mapping) {
	if m.HTTP {
		s.clients.give(s.newClient(c, &m))
		return
	}
	s.carryMapped(s.openMapped(addrPort(c.RemoteAddr()), m, m.Target()), c, m)
}

// openMapped opens the flow of a client of a mapping to a target.
func (s *Server) openMapped(client netip.AddrPort, m mapping.Mapping, target string) *Flow {
	f := s.open(&Flow{Entry: EntryMapping, Client: client, Host: target, secured: m.TLS != mapping.NoTLS})
	f.Matched = s.matches(m.Host, m.Port, s.addresses(s.ctx, m.Host))
	return f
}

// carryMapped carries the flow to the target, and ends it.
func (s *Server) carryMapped(f *Flow, c *net.TCPConn, m mapping.Mapping) {
	early, offered, err := s.greet(c, m)
	switch {
	case err == io.EOF: // and the target has nobody to talk to
		f.EndedBy = EndClient
		c.Close()
		s.end(f)
		return
	case err != nil:
		reset(c)
		s.endWith(f, err)
		return
	}
	s.relay(f, c, early, func(ctx context.Context) (stream, error) {
		conn, err := s.reach(ctx, f, faults.Accepted, m.Target(), Socket{})
		if err != nil || m.TLS == mapping.NoTLS {
			return asStream(conn, err)
		}
		secured, err := secureOver(ctx, conn, security{m.TLS, s.TLS, m.Host, offered})
		if err != nil {
			return nil, err
		}
		return secured, nil
	})
}

// greet finds out what a client of a mapping speaks, where that decides how its
// target is spoken to: those are protocols in which the client begins. io.EOF
// is a client that has nothing to say to the target.
func (s *Server) greet(c *net.TCPConn, m mapping.Mapping) (early []byte, offered []string, err error) {
	http2 := false
	switch {
	case m.TLS == mapping.PostgresTLS:
		early, err = refuseClientTLS(s.ctx, c)
	case m.TLS == mapping.DirectTLS && m.Scheme == "https":
		early, http2, err = beginsHTTP2(s.ctx, c)
	default:
		return nil, protocols(m, false), nil
	}
	if err == nil && len(early) == 0 {
		err = io.EOF
	}
	return early, protocols(m, http2), err
}

// secureOver is [secure], which resets the connection where it fails.
func secureOver(ctx context.Context, c *net.TCPConn, how security) (*tls.Conn, error) {
	secured, err := secure(ctx, c, how)
	if err != nil {
		reset(c)
		return nil, err
	}
	return secured, nil
}

// addresses looks a name up, when it is asked.
func (s *Server) addresses(ctx context.Context, host string) func() []netip.Addr {
	return func() []netip.Addr {
		addrs, _ := s.resolver().LookupNetIP(ctx, "ip", host)
		return addrs
	}
}
