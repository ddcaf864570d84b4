package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/faultproxy/fault/faults"
)

// waiter is a client whose connection is held: it connects when it is let in.
type waiter struct {
	t      *testing.T
	proxy  *running
	client netip.AddrPort
	conn   chan net.Conn
	denied chan syscall.Errno
}

// hold has a proxy hold a connection of a client to a destination.
func hold(t *testing.T, s *Server, to netip.AddrPort) (*running, *waiter) {
	t.Helper()
	return holdOrigin(t, s, Intercepted{Destination: to, Process: Process{PID: 7, Name: "client"}})
}

func holdOrigin(t *testing.T, s *Server, origin Intercepted) (*running, *waiter) {
	t.Helper()
	s.Origin = func(net.Conn) (Intercepted, bool, error) { return origin, true, nil }
	p := run(t, s)
	free := listen(t)
	w := &waiter{
		t: t, proxy: p, client: addrPort(free.Addr()),
		conn: make(chan net.Conn, 1), denied: make(chan syscall.Errno, 1),
	}
	free.Close()
	s.Hold(Held{
		Client: w.client, Origin: origin, Admit: w.connect,
		Deny: func(errno syscall.Errno) error {
			w.denied <- errno
			s.Gone(nil, w.client)
			return nil
		},
	})
	return p, w
}

func (w *waiter) connect() error {
	d := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(w.client)}
	c, err := d.Dial("tcp4", w.proxy.addr)
	if err != nil {
		return err
	}
	w.t.Cleanup(func() { c.Close() })
	w.conn <- c
	return nil
}

func TestHeldIsLetInOnceTheUpstreamIs(t *testing.T) {
	upstream := listen(t)
	p, w := hold(t, &Server{}, addrPort(upstream.Addr()))
	server, err := upstream.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c := next(t, w.conn)
	if _, err := c.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	c.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(server); err != nil || string(got) != "question" {
		t.Errorf("the server read %q, %v", got, err)
	}
	server.Close()
	f := next(t, p.ended)
	if f.Err != nil || f.Client != w.client || f.Upstream != addrPort(upstream.Addr()) || f.Process.PID != 7 {
		t.Errorf("flow %+v", f)
	}
	if f.Bytes[faults.ToServer] != int64(len("question")) {
		t.Errorf("carried %v", f.Bytes)
	}
}

func TestHeldIsDenied(t *testing.T) {
	for _, tc := range []struct {
		dial, told syscall.Errno
		failure    string
	}{
		{syscall.ECONNREFUSED, syscall.ECONNREFUSED, "refused"},
		{syscall.ENETUNREACH, syscall.ENETUNREACH, "unreachable"},
		{syscall.EHOSTUNREACH, syscall.EHOSTUNREACH, "unreachable"},
		{syscall.EACCES, syscall.EHOSTUNREACH, "other"},
	} {
		t.Run(tc.dial.Error(), func(t *testing.T) {
			failing := func(string, string, syscall.RawConn) error { return tc.dial }
			p, w := hold(t, &Server{Exempt: failing}, addrPort(listen(t).Addr()))
			if got := next(t, w.denied); got != tc.told {
				t.Errorf("told %v, want %v", got, tc.told)
			}
			if f := next(t, p.ended); Failure(f.Err) != tc.failure {
				t.Errorf("flow ended with %v, want %s", f.Err, tc.failure)
			}
		})
	}
}

func TestHeldIsDeniedUntilItHears(t *testing.T) {
	origin := Intercepted{Destination: addrPort(listen(t).Addr())}
	failing := func(string, string, syscall.RawConn) error { return syscall.EHOSTUNREACH }
	p := run(t, &Server{Exempt: failing})
	client, told := netip.MustParseAddrPort("127.0.0.1:9"), 0
	p.Hold(Held{Client: client, Origin: origin, Deny: func(syscall.Errno) error {
		if told++; told == 3 {
			p.Gone(nil, client)
		}
		return nil
	}})
	if f := next(t, p.ended); Failure(f.Err) != "unreachable" || told != 3 {
		t.Errorf("flow ended with %v, the client was told %d times", f.Err, told)
	}
}

func TestHeldTimeoutIsTheClients(t *testing.T) {
	failing := func(string, string, syscall.RawConn) error { return syscall.ETIMEDOUT }
	p, w := hold(t, &Server{Exempt: failing}, addrPort(listen(t).Addr()))
	if f := next(t, p.ended); Failure(f.Err) != "timeout" {
		t.Errorf("flow ended with %v", f.Err)
	}
	select {
	case errno := <-w.denied:
		t.Errorf("the client was told %v", errno)
	default:
	}
}

// hanging is a dial that ends with its context.
func hanging(ctx context.Context) func(string, string, syscall.RawConn) error {
	return func(string, string, syscall.RawConn) error {
		<-ctx.Done()
		return context.Canceled
	}
}

func TestHeldClientGone(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	p, w := hold(t, &Server{Exempt: hanging(gone)}, addrPort(listen(t).Addr()))
	next(t, p.begun)
	p.Gone(nil, netip.MustParseAddrPort("192.0.2.1:1")) // of which nobody knows
	p.Gone(nil, w.client)
	cancel()
	if f := next(t, p.ended); Failure(f.Err) != "client-gone" {
		t.Errorf("flow ended with %v", f.Err)
	}
	p.Settle(t.Context())
}

func TestHeldThatDoesNotArrive(t *testing.T) {
	upstream := listen(t)
	origin := Intercepted{Destination: addrPort(upstream.Addr())}
	p := run(t, &Server{Origin: func(net.Conn) (Intercepted, bool, error) { return origin, true, nil }})
	client, failed := netip.MustParseAddrPort("127.0.0.1:9"), errors.New("no raw socket")
	p.Hold(Held{Client: client, Origin: origin, Admit: func() error { return failed }})
	if f := next(t, p.ended); !errors.Is(f.Err, failed) {
		t.Errorf("flow ended with %v", f.Err)
	}
	withdrawn := make(chan bool, 1)
	p.Hold(Held{
		Client: client, Origin: origin,
		Admit:    func() error { p.Gone(nil, client); return nil },
		Withdraw: func() error { withdrawn <- true; return nil },
	})
	if f := next(t, p.ended); Failure(f.Err) != "client-gone" {
		t.Errorf("flow ended with %v", f.Err)
	}
	next(t, withdrawn)
}

func TestSettle(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	p, w := hold(t, &Server{Exempt: hanging(gone)}, addrPort(listen(t).Addr()))
	short, end := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer end()
	p.Settle(short)
	if short.Err() == nil {
		t.Error("settled while a connection is held")
	}
	settled := make(chan struct{})
	go func() { p.Settle(t.Context()); close(settled) }()
	p.Gone(nil, w.client)
	cancel()
	next(t, settled)
}

func TestHeldIsDeniedWhenTheRunEnds(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	p, w := hold(t, &Server{Exempt: hanging(gone)}, addrPort(listen(t).Addr()))
	next(t, p.begun)
	go func() { <-p.ctx.Done(); cancel() }()
	p.stop()
	p.Drain(expired)
	if got := next(t, w.denied); got != syscall.ECONNREFUSED {
		t.Errorf("told %v", got)
	}
	if f := next(t, p.ended); !errors.Is(f.Err, ErrEnded) {
		t.Errorf("flow ended with %v", f.Err)
	}
	refused := make(chan syscall.Errno, 1)
	p.Hold(Held{Client: w.client, Deny: func(e syscall.Errno) error { refused <- e; return nil }})
	if got := next(t, refused); got != syscall.ECONNREFUSED {
		t.Errorf("told %v", got)
	}
}
