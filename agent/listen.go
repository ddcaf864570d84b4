package agent

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/faultproxy/fault/proxy"
	"github.com/faultproxy/fault/proxy/mapping"
)

// listeners are the sockets at which a run is reached.
type listeners struct {
	unmap func() // ends the accepting at TCP mappings
	// proxy is for diverted connections and for clients that ask for a proxy;
	// nil if there are neither.
	proxy  *net.TCPListener
	mapped []mapped
}

// mapped is a mapping and its socket, one of the two.
type mapped struct {
	mapping.Mapping
	tcp *net.TCPListener
	udp *net.UDPConn
}

// listen opens the sockets, all or none.
func listen(ctx context.Context, cfg *Config, intercepts bool) (*listeners, error) {
	l := &listeners{}
	var err error
	if intercepts || !cfg.NoProxy {
		l.proxy, err = listenTCP(ctx, "tcp4", cfg.Proxy.String(), "")
	}
	for _, m := range cfg.Mappings {
		if err != nil {
			break
		}
		at := mapped{Mapping: m}
		if m.Network == "udp" {
			at.udp, err = listenUDP(ctx, m)
		} else {
			at.tcp, err = listenTCP(ctx, "tcp", m.Listen, m.String())
		}
		if err == nil {
			l.mapped = append(l.mapped, at)
		}
	}
	if err != nil {
		_ = l.close()
		return nil, err
	}
	return l, nil
}

func listenTCP(ctx context.Context, network, address, mapping string) (*net.TCPListener, error) {
	lc := net.ListenConfig{KeepAlive: -1, Control: proxy.Inherit}
	// An MPTCP socket is a pair of sockets; the programs know only one.
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(ctx, network, address)
	if err != nil {
		return nil, listenError(ctx, "tcp", address, mapping, err)
	}
	return ln.(*net.TCPListener), nil
}

func listenUDP(ctx context.Context, m mapping.Mapping) (*net.UDPConn, error) {
	var lc net.ListenConfig
	c, err := lc.ListenPacket(ctx, "udp", m.Listen)
	if err != nil {
		return nil, listenError(ctx, "udp", m.Listen, m.String(), err)
	}
	return c.(*net.UDPConn), nil
}

// serve has a server accept at all of them. What it returns gives the error of
// each once no more is accepted there.
func (l *listeners) serve(s *proxy.Server) <-chan error {
	ended := make(chan error, 1+len(l.mapped))
	var accepting context.Context
	accepting, l.unmap = context.WithCancel(context.Background())
	go func() {
		if l.proxy == nil {
			ended <- nil
			return
		}
		ended <- s.Serve(l.proxy)
	}()
	for _, m := range l.mapped {
		go func() {
			if m.udp != nil {
				ended <- s.ServeDatagrams(m.udp, m.Mapping)
			} else {
				ended <- s.ServeMapping(accepting, m.tcp, m.Mapping)
			}
		}()
	}
	return ended
}

// stop ends the accepting. What was diverted a moment before is still taken.
func (l *listeners) stop(ended <-chan error) error {
	if l.proxy != nil {
		_ = l.proxy.SetDeadline(time.Now().Add(backlogTime))
	}
	for _, m := range l.mapped {
		if m.udp != nil {
			_ = m.udp.SetReadDeadline(time.Unix(1, 0)) // answers still go out
		}
	}
	l.unmap()
	var err error
	for range 1 + len(l.mapped) {
		err = errors.Join(err, <-ended)
	}
	if l.proxy != nil {
		err = errors.Join(err, l.proxy.Close())
	}
	return err
}

// closeProxy closes the socket that turned out to be of no use.
func (l *listeners) closeProxy() {
	if l.proxy != nil {
		l.proxy.Close()
		l.proxy = nil
	}
}

// close closes what is open; it may be called again.
func (l *listeners) close() error {
	var err error
	if l.proxy != nil {
		err = l.proxy.Close()
	}
	for _, m := range l.mapped {
		if m.udp != nil {
			err = errors.Join(err, m.udp.Close())
		} else {
			err = errors.Join(err, m.tcp.Close())
		}
	}
	return err
}

// address is where a mapping is reached.
func (m mapped) address() netip.AddrPort {
	if m.udp != nil {
		return addrPort(m.udp.LocalAddr())
	}
	return addrPort(m.tcp.Addr())
}
