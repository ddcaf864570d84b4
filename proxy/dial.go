package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"syscall"
)

// dialer gives the dialer for a flow: its sockets are like a program's, exempt
// from interception, have no keepalive of ours that would hide a dead peer, no
// time limit but the kernel's, and never lead back to us.
func (s *Server) dialer(like Socket) *net.Dialer {
	d := &net.Dialer{
		KeepAlive: -1,
		Resolver:  s.resolver(),
		ControlContext: func(_ context.Context, network, address string, c syscall.RawConn) error {
			if s.leadsBack(like, address) {
				return ErrSelf
			}
			if err := like.Place.enter(network, c); err != nil {
				return err
			}
			// A type of service sets a priority, which Exempt has a use for.
			if err := like.apply(network, c); err != nil {
				return err
			}
			if err := s.exempt(network, address, c); err != nil {
				return err
			}
			return setUpRaw(c)
		},
	}
	d.SetMultipathTCP(false)
	if like.Source.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(like.Source, 0))
	}
	return d
}

// resolver asks with sockets that are exempt, too, and in this process: the C
// library would open its own.
func (s *Server) resolver() *net.Resolver {
	d := net.Dialer{Control: s.exempt}
	return &net.Resolver{PreferGo: true, Dial: d.DialContext}
}

func (s *Server) exempt(network, address string, c syscall.RawConn) error {
	if s.Exempt == nil {
		return nil
	}
	return s.Exempt(network, address, c)
}

// dial connects to an upstream, a literal address or a name.
func (s *Server) dial(ctx context.Context, address string, like Socket) (*net.TCPConn, error) {
	c, err := s.dialer(like).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	tcp := c.(*net.TCPConn)
	setUpLocalConn(tcp)
	return tcp, nil
}

// isSelf says whether an address is that of a listener of ours.
func (s *Server) isSelf(address string) bool { return s.isAmong(&s.listens, address) }

// isAmong says whether an address is that of one of some listeners, which s.mu
// guards.
func (s *Server) isAmong(listeners *[]netip.AddrPort, address string) bool {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(*listeners, func(own netip.AddrPort) bool { return reaches(to, own) })
}

// reaches says whether an address is that of a listener, by any of those at
// which it can be reached.
func reaches(to, listener netip.AddrPort) bool {
	if to.Port() != listener.Port() {
		return false
	}
	addr, own := to.Addr().Unmap(), listener.Addr().Unmap()
	if addr == netip.IPv4Unspecified() { // which connects to this host
		addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	switch {
	case !own.IsUnspecified():
		return addr == own
	case own.Is4() && addr.Is6():
		return false
	case addr.IsLoopback(), addr.IsUnspecified():
		return true
	}
	locals, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, local := range locals {
		if prefix, err := netip.ParsePrefix(local.String()); err == nil && prefix.Addr().Unmap() == addr {
			return true
		}
	}
	return false
}

// Failure is the word for why a flow failed, "" if err is nil.
func Failure(err error) string {
	var by *FaultError
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case err == nil:
		return ""
	case errors.Is(err, ErrOrigin):
		return "origin-unknown"
	case errors.Is(err, ErrSelf):
		return "self"
	case errors.Is(err, ErrEnded):
		return "cut-off"
	case errors.As(err, &by):
		return "injected"
	case errors.As(err, &dns):
		return "dns"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "unreachable"
	case errors.Is(err, context.Canceled), errors.Is(err, errNotArrived):
		return "client-gone"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ENOTCONN):
		return "reset"
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case isTLS(err):
		return "tls"
	}
	return "other"
}
