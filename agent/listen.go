package agent

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/faultproxy/fault/proxy"
	"github.com/faultproxy/fault/proxy/mapping"
)

// listeners are the sockets at which a run is reached.
type listeners struct {
	unmap func() // ends the accepting at TCP mappings
	// proxy is for connections that are diverted in our own network namespace
	// and for clients that ask for a proxy; nil if there are neither.
	proxy  *net.TCPListener
	mapped []mapped
	// places are other namespaces with a listener each, which is theirs to close.
	places []*place
}

// mapped is a mapping and its socket, one of the two.
type mapped struct {
	mapping.Mapping
	tcp *net.TCPListener
	udp *net.UDPConn
}

// listen opens the sockets, all or none.
func listen(ctx context.Context, cfg *Config, cut *interception) (*listeners, error) {
	l := &listeners{}
	err := l.listenTogether(ctx, cfg, cut)
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
func (l *listeners) listenTogether(ctx context.Context, cfg *Config, cut *interception) error {
	at, err := cut.diverted(cfg)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		port := cfg.Proxy.Port()
		if cut.own() != nil || !cfg.NoProxy {
			if l.proxy, err = listenTCP(ctx, "tcp4", cfg.Proxy.String(), ""); err != nil {
				return err
			}
			port = addrPort(l.proxy.Addr()).Port()
		}
		l.places = cut.others()
		for _, p := range l.places {
			if err = p.listen(ctx, netip.AddrPortFrom(at, port)); err != nil {
				break
			}
			port = addrPort(p.listener.Addr()).Port()
		}
		if err == nil {
			cut.at = netip.AddrPortFrom(at, port)
			cut.listen(l)
			return nil
		}
		if cfg.Proxy.Port() != 0 || try == freePorts || !errors.Is(err, syscall.EADDRINUSE) {
			return err
		}
		l.closeProxies()
	}
}

// listen tells the places where their listeners are.
func (i *interception) listen(l *listeners) {
	for _, p := range i.places {
		if p.inside == nil {
			p.listener = l.proxy
		} else {
			p.proxy.Listener = p.listener
		}
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

// serve has a server accept at all of them. What it returns gives the error of
// each once no more is accepted there.
func (l *listeners) serve(s *proxy.Server) <-chan error {
	s.Start()
	ended := make(chan error, 1+len(l.places)+len(l.mapped))
	var accepting context.Context
	accepting, l.unmap = context.WithCancel(context.Background())
	go func() {
		if l.proxy == nil {
			ended <- nil
			return
		}
		ended <- s.Serve(l.proxy)
	}()
	for _, p := range l.places {
		go func() { ended <- s.ServeAt(p.proxy) }()
	}
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
	for _, p := range l.places {
		_ = p.listener.SetDeadline(time.Now().Add(backlogTime)) // unless it was left
	}
	for _, m := range l.mapped {
		if m.udp != nil {
			_ = m.udp.SetReadDeadline(time.Unix(1, 0)) // answers still go out
		}
	}
	l.unmap()
	var err error
	for range 1 + len(l.places) + len(l.mapped) {
		err = errors.Join(err, <-ended)
	}
	if l.proxy != nil {
		err = errors.Join(err, l.proxy.Close())
	}
	for _, p := range l.places {
		_ = p.listener.Close() // may have been left
	}
	return err
}

// explicitOnly closes the sockets that turned out to be of no use, as nothing is
// intercepted. Those of the places are closed.
func (l *listeners) explicitOnly(cfg *Config) {
	l.places = nil
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
	for _, p := range l.places {
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
