package proxy

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newPlace is a place of which the inside is our own namespace. What is diverted
// there goes where to says.
func newPlace(t *testing.T, s *Server, to netip.AddrPort) (p *Place, opened func() []uint64) {
	t.Helper()
	var mu sync.Mutex
	var cookies []uint64
	p = &Place{Listener: listen(t)}
	p.Origin = func(net.Conn) (Intercepted, bool, error) {
		return Intercepted{Destination: to, Socket: Socket{Place: p}}, to.IsValid(), nil
	}
	p.Socket = func(family, kind, protocol int) (int, error) {
		fd, err := unix.Socket(family, kind|unix.SOCK_NONBLOCK, protocol)
		if err != nil {
			return -1, err
		}
		cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
		mu.Lock()
		defer mu.Unlock()
		cookies = append(cookies, cookie)
		return fd, err
	}
	served := make(chan error, 1)
	go func() { served <- s.ServeAt(p) }()
	t.Cleanup(func() {
		p.Listener.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return p, func() []uint64 {
		mu.Lock()
		defer mu.Unlock()
		return cookies
	}
}

// TestPlaceDialsWithItsSockets holds that the sockets that dial are those that
// were opened inside, of both families, and that a dial that fails is one.
func TestPlaceDialsWithItsSockets(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		var dialled []uint64
		exempt := func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) {
				cookie, _ := unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_COOKIE)
				dialled = append(dialled, cookie)
			})
		}
		p := run(t, &Server{Exempt: exempt})
		upstream, err := net.Listen("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer upstream.Close()
		place, opened := newPlace(t, p.Server, addrPort(upstream.Addr()))
		c, err := net.Dial("tcp", place.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = upstream.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
		there, err := upstream.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(there, "hello"); err != nil {
			t.Fatal(err)
		}
		there.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		if got, err := io.ReadAll(c); string(got) != "hello" || err != nil {
			t.Errorf("%s: %q, %v", at, got, err)
		}
		c.Close()
		if f := next(t, p.ended); f.Err != nil || f.Upstream != addrPort(upstream.Addr()) {
			t.Errorf("flow to %v ended with %v", f.Upstream, f.Err)
		}
		if inside := opened(); len(inside) != 1 || len(dialled) != 1 || inside[0] != dialled[0] {
			t.Errorf("%s: opened %v, dialled with %v", at, inside, dialled)
		}
	}
}

// TestPlaceTurnsStrangersAway is who asks for a proxy inside, and who would be
// led back to us.
func TestPlaceTurnsStrangersAway(t *testing.T) {
	p := run(t, &Server{})
	place, _ := newPlace(t, p.Server, netip.AddrPort{})
	got, err := stranger(place.Listener.Addr().String())
	if got != "" || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%q, %v, want a reset", got, err)
	}
	like, at := Socket{Place: place}, place.Listener.Addr().String()
	ours := within(func() bool { return p.leadsBack(Socket{}, p.addr) }) // once it is served
	if !ours || !p.leadsBack(like, at) || p.leadsBack(like, p.addr) || p.leadsBack(Socket{}, at) {
		t.Error("a dial leads back where it does not, or the other way round")
	}
}

// stranger asks for a proxy, and returns what it is told. A reset may be seen by any
// of the calls.
func stranger(at string) (string, error) {
	c, err := net.Dial("tcp", at)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, err = io.WriteString(c, "GET http://127.0.0.1/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	got, rerr := io.ReadAll(c)
	return string(got), errors.Join(err, rerr)
}

// TestHeldInTwoPlaces holds connections of equal addresses in two places: each
// is let in, or gone, by itself.
func TestHeldInTwoPlaces(t *testing.T) {
	upstream := listen(t)
	p := run(t, &Server{})
	here, _ := newPlace(t, p.Server, addrPort(upstream.Addr()))
	there, _ := newPlace(t, p.Server, addrPort(upstream.Addr()))
	client := netip.MustParseAddrPort("127.0.0.1:9")
	admitted := make(chan *Place, 2)
	for _, at := range []*Place{here, there} {
		origin, _, _ := at.Origin(nil)
		p.Hold(Held{
			Client: client, Origin: origin,
			Admit:    func() error { admitted <- at; return nil },
			Withdraw: func() error { return nil },
		})
	}
	if first, second := next(t, admitted), next(t, admitted); first == second {
		t.Error("the same one is let in twice")
	}
	p.Gone(nil, client) // in our own namespace nobody is
	p.Gone(there, client)
	if f := next(t, p.ended); Failure(f.Err) != "client-gone" {
		t.Errorf("flow ended with %v", f.Err)
	}
	select {
	case f := <-p.ended:
		t.Errorf("the other one ended, too: %v", f.Err)
	case <-time.After(20 * time.Millisecond):
	}
	p.Gone(here, client)
	if f := next(t, p.ended); Failure(f.Err) != "client-gone" {
		t.Errorf("flow ended with %v", f.Err)
	}
}
