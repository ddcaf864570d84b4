package proxy

import (
	"net"
	"net/netip"
)

// Place is a network namespace other than this process's own. Connections that
// are diverted there are carried there: their upstreams are dialled from inside.
// Nobody is served who asks for a proxy: that would be a way out of it.
type Place struct {
	// Listener is where they are diverted to. It stays the caller's.
	Listener *net.TCPListener
	// Origin is that of [Server], for them; it says [Socket.Place].
	Origin Origin
	// Socket opens a socket inside, as socket(2) does, that does not block. The
	// caller owns it.
	Socket func(family, kind, protocol int) (fd int, err error)
}

// ServeAt accepts the diverted connections of a place, as [Server.Serve] does.
// Others are reset.
func (s *Server) ServeAt(p *Place) error {
	s.Start()
	return s.accept(p.Listener, func(c *net.TCPConn) {
		s.receive(c, p.Origin, func(stranger *net.TCPConn) { reset(stranger) })
	})
}

// caller is the client of a diverted connection: addresses say who is who in one
// network namespace only.
type caller struct {
	place  *Place // nil is our own
	client netip.AddrPort
}

// leadsBack says whether an address is that of a listener of ours, for who dials
// from where a socket is.
func (s *Server) leadsBack(like Socket, address string) bool {
	if like.Place == nil {
		return s.isSelf(address)
	}
	to, err := netip.ParseAddrPort(address)
	return err == nil && reaches(to, addrPort(like.Place.Listener.Addr()))
}
