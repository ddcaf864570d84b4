package agent

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/faultproxy/fault/proxy"
	"github.com/faultproxy/fault/proxy/mapping"
)

// listeners are the sockets at which a run is reached.
type listeners struct {
	unmap     func() // ends the accepting at TCP mappings
	accepting errgroup.Group
	// proxy is for connections that are diverted in our own network namespace
	// and for clients that ask for a proxy; nil if there are neither.
	proxy  *net.TCPListener
	mapped []mapped
	// cut has the places, which have a listener each, if they are not our own.
	cut *interception
}

// mapped is a mapping and its socket, one of the two.
type mapped struct {
	mapping.Mapping
	tcp *net.TCPListener
	udp *net.UDPConn
}

// listen opens the sockets, all or none.
func listen(ctx context.Context, cfg *Config, cut *interception) (*listeners, error) {
	l := &listeners{cut: cut}
	err := l.listenTogether(ctx, cfg)
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

// freePorts is how many ports are tried that are free in one network namespace,
// and may be taken in another.
const freePorts = 16

// listenTogether opens the listeners of the proxy and of the places, of which
// those at which connections are diverted have one address.
func (l *listeners) listenTogether(ctx context.Context, cfg *Config) error {
	at, err := l.cut.diverted(cfg)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		port := cfg.Proxy.Port()
		own := l.cut.own()
		if own != nil || !cfg.NoProxy {
			if l.proxy, err = listenTCP(ctx, "tcp4", cfg.Proxy.String(), ""); err != nil {
				return err
			}
			port = addrPort(l.proxy.Addr()).Port()
		}
		for _, p := range l.cut.others() {
			if err = l.cut.listen(ctx, p, netip.AddrPortFrom(at, port)); err != nil {
				break
			}
			port = addrPort(p.listener.Addr()).Port()
		}
		if err == nil {
			l.cut.at = netip.AddrPortFrom(at, port)
			if own != nil {
				own.listener = l.proxy
			}
			return nil
		}
		if cfg.Proxy.Port() != 0 || try == freePorts || !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
		l.closeProxies()
	}
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

// serve has a server accept at all of them, until stop is called.
func (l *listeners) serve(s *proxy.Server) {
	s.Start()
	var accepting context.Context
	accepting, l.unmap = context.WithCancel(context.Background())
	if l.proxy != nil {
		l.accepting.Go(func() error { return s.Serve(l.proxy) })
	}
	for _, p := range l.cut.others() {
		l.serveAt(s, p)
	}
	for _, m := range l.mapped {
		l.accepting.Go(func() error {
			if m.udp != nil {
				return s.ServeDatagrams(m.udp, m.Mapping)
			}
			return s.ServeMapping(accepting, m.tcp, m.Mapping)
		})
	}
}

// serveAt has it accept in a place that is not our own, until that is left.
func (l *listeners) serveAt(s *proxy.Server, p *place) {
	l.accepting.Go(func() error { return s.ServeAt(p.proxy) })
}

// stop ends the accepting. What was diverted a moment before is still taken. The
// error is that of the first that could not accept any more.
func (l *listeners) stop() error {
	places := l.cut.others()
	if l.proxy != nil {
		_ = l.proxy.SetDeadline(time.Now().Add(backlogTime))
	}
	for _, p := range places {
		_ = p.listener.SetDeadline(time.Now().Add(backlogTime)) // unless it was left
	}
	for _, m := range l.mapped {
		if m.udp != nil {
			_ = m.udp.SetReadDeadline(time.Unix(1, 0)) // answers still go out
		}
	}
	l.unmap()
	err := l.accepting.Wait()
	if l.proxy != nil {
		err = errors.Join(err, l.proxy.Close())
	}
	for _, p := range places {
		_ = p.listener.Close() // may have been left
	}
	return err
}

// explicitOnly closes the socket that turned out to be of no use, as nothing is
// intercepted.
func (l *listeners) explicitOnly(cfg *Config) {
	if cfg.NoProxy && l.proxy != nil {
		l.proxy.Close()
		l.proxy = nil
	}
}

// closeProxies closes the sockets of the proxy and of the places.
func (l *listeners) closeProxies() {
	if l.proxy != nil {
		l.proxy.Close()
		l.proxy = nil
	}
	for _, p := range l.cut.others() {
		if p.listener != nil {
			p.listener.Close()
			p.listener = nil
		}
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
