package bpf

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newHolding is a host whose listener holds SYNs.
func newHolding(t *testing.T) (*host, *Holder) {
	t.Helper()
	h := newHost(t, everything())
	holder, err := h.i.Holder()
	if err != nil {
		t.Fatal(err)
	}
	h.holds(holder)
	t.Cleanup(func() {
		if err := holder.Close(); err != nil {
			t.Error(err)
		}
	})
	return h, holder
}

// holds has a holder hold SYNs at the host's listener.
func (h *host) holds(holder *Holder) {
	h.t.Helper()
	var raw *Raw
	if err := h.ns.Do(func() (err error) { raw, err = OpenRaw(); return err }); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { raw.Close() })
	if err := holder.Hold(h.ln, h.ns.Inode(), raw); err != nil {
		h.t.Fatal(err)
	}
}

// nextHeld is the next that happens to SYNs.
func nextHeld(t *testing.T, holder *Holder) Held {
	t.Helper()
	got := make(chan Held, 1)
	go func() {
		held, err := holder.Next()
		if err != nil {
			t.Error(err)
		}
		got <- held
	}()
	select {
	case held := <-got:
		return held
	case <-time.After(patience):
		t.Fatal("no SYN is held")
		panic("unreachable")
	}
}

// callers are sockets whose connections are held, and where they go.
var callers = map[string]struct {
	family int
	bound  netip.Addr
	to     netip.AddrPort
}{
	"IPv4":       {unix.AF_INET, netip.Addr{}, server4},
	"IPv6":       {unix.AF_INET6, netip.Addr{}, server6},
	"mapped":     {unix.AF_INET6, netip.Addr{}, netip.AddrPortFrom(netip.AddrFrom16(server4.Addr().As16()), server4.Port())},
	"bound IPv4": {unix.AF_INET, client4, server4},
}

// TestHold answers SYNs in each way, to callers of each kind.
func TestHold(t *testing.T) {
	answers := map[string]struct {
		answer func(*Holder, *Held) error
		want   error
	}{
		"admitted":            {(*Holder).Admit, nil},
		"refused":             {(*Holder).Refuse, syscall.ECONNREFUSED},
		"host unreachable":    {func(h *Holder, s *Held) error { return h.Unreachable(s, 1) }, syscall.EHOSTUNREACH},
		"network unreachable": {func(h *Holder, s *Held) error { return h.Unreachable(s, 0) }, syscall.ENETUNREACH},
	}
	h, holder := newHolding(t)
	for kind, caller := range callers {
		for name, tc := range answers {
			t.Run(kind+" "+name, func(t *testing.T) {
				for _, blocking := range []bool{true, false} {
					fd := h.socket(caller.family, unix.SOCK_STREAM, 0)
					if caller.bound.IsValid() {
						if err := unix.Bind(fd, sockaddr(netip.AddrPortFrom(caller.bound, 0))); err != nil {
							t.Fatal(err)
						}
					}
					ended := connecting(t, fd, caller.to, blocking)
					held := nextHeld(t, holder)
					for held.Gone { // the one before
						held = nextHeld(t, holder)
					}
					if want := netip.AddrPortFrom(caller.to.Addr().Unmap(), caller.to.Port()); held.Origin.Destination != want {
						t.Errorf("held on its way to %v, want %v", held.Origin.Destination, want)
					}
					select {
					case err := <-ended:
						t.Errorf("connect(2) ended with %v before there was an answer", err)
					case <-time.After(20 * time.Millisecond):
					}
					if err := tc.answer(holder, &held); err != nil {
						t.Fatal(err)
					}
					if err := <-ended; !errors.Is(err, tc.want) {
						t.Errorf("blocking %v: connect(2) gives %v, want %v", blocking, err, tc.want)
					}
					if tc.want == nil {
						c := accepted(t, h.ln)
						if addrPortOfConn(c) != held.Client {
							t.Errorf("accepted %v, held %v", c.RemoteAddr(), held.Client)
						}
						if _, ok := h.origin(c); !ok {
							t.Error("the origin is lost")
						}
					}
				}
			})
		}
	}
	h.settles()
}

// connecting connects and gives the error that a program gets.
func connecting(t *testing.T, fd int, to netip.AddrPort, blocking bool) <-chan error {
	t.Helper()
	ended := make(chan error, 1)
	// A SYN that nobody answers is sent twice more.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_SYNCNT, 2); err != nil {
		t.Fatal(err)
	}
	if blocking {
		go func() { ended <- unix.Connect(fd, sockaddr(to)) }()
		return ended
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, sockaddr(to)); err != unix.EINPROGRESS {
		t.Fatalf("connect(2) gives %v at once", err)
	}
	go func() {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		n, err := unix.Poll(p, int(patience.Milliseconds()))
		for err == unix.EINTR {
			n, err = unix.Poll(p, int(patience.Milliseconds()))
		}
		if n != 1 {
			ended <- errors.Join(errors.New("poll"), err)
			return
		}
		errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && errno != 0 {
			err = syscall.Errno(errno)
		}
		ended <- err
	}()
	return ended
}

func addrPortOfConn(c net.Conn) netip.AddrPort { return c.RemoteAddr().(*net.TCPAddr).AddrPort() }

// settles is that nothing is left in the maps.
func (h *host) settles() {
	h.t.Helper()
	if n := h.waiting(); n != 0 {
		h.t.Errorf("%d origins are left", n)
	}
	var key interceptFlowKey
	var one uint8
	for entries := h.i.objs.Admitted.Iterate(); entries.Next(&key, &one); {
		h.t.Errorf("%+v is still admitted", key)
	}
}

// TestHoldGone is a caller who gives up, and one who sends its SYN again.
func TestHoldGone(t *testing.T) {
	h, holder := newHolding(t)
	fd := h.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	ended := connecting(t, fd, server4, false)
	held := nextHeld(t, holder)
	time.Sleep(1200 * time.Millisecond) // the first SYN is repeated after one second
	other := h.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err := unix.SetNonblock(other, true); err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(other, sockaddr(server4)); err != unix.EINPROGRESS {
		t.Fatal(err)
	}
	second := nextHeld(t, holder)
	if second.Client == held.Client {
		t.Error("a SYN that was sent again counts twice")
	}
	unix.Close(other)
	if gone := nextHeld(t, holder); !gone.Gone || gone.Client != second.Client {
		t.Errorf("%+v, want that %v is gone", gone, second.Client)
	}
	if err := holder.Admit(&second); err != nil { // too late
		t.Error(err)
	}
	for range 2 { // the second time there is nothing to withdraw
		if err := holder.Withdraw(&second); err != nil {
			t.Error(err)
		}
	}
	if err := holder.Admit(&held); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	c := accepted(t, h.ln)
	if addrPortOfConn(c) != held.Client {
		t.Errorf("accepted %v, want %v", c.RemoteAddr(), held.Client)
	}
	h.origin(c)
	h.settles()
}

// TestHoldExplicit is a client of the listener itself, who does not wait.
func TestHoldExplicit(t *testing.T) {
	h, _ := newHolding(t)
	var err error
	_ = h.ns.Do(func() error {
		var c net.Conn
		if c, err = net.DialTimeout("tcp4", h.ln.Addr().String(), patience); err == nil {
			c.Close()
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// TestHoldMany holds many at once, and admits and refuses them in turns.
func TestHoldMany(t *testing.T) {
	many := 5000
	if os.Getenv("FAULT_GUEST") != "" {
		many = 200
	}
	h, holder := newHolding(t)
	var wg sync.WaitGroup
	go func() {
		for {
			c, err := h.ln.AcceptTCP()
			if err != nil {
				return
			}
			_, _, _ = h.i.Origin(h.ns.Inode(), c.RemoteAddr().(*net.TCPAddr).AddrPort(), c.LocalAddr().(*net.TCPAddr).AddrPort())
			c.Close()
		}
	}()
	results := make(chan error, many)
	for range many {
		fd := h.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		ended := connecting(t, fd, server4, false)
		wg.Go(func() { results <- <-ended })
	}
	held := make(map[netip.AddrPort]Held)
	for len(held) < many {
		s := nextHeld(t, holder)
		if _, ok := held[s.Client]; ok || s.Gone {
			t.Fatalf("%v twice, or gone (%v)", s.Client, s.Gone)
		}
		held[s.Client] = s
	}
	n := 0
	for _, s := range held {
		answer := holder.Admit
		if n++; n%2 == 0 {
			answer = holder.Refuse
		}
		if err := answer(&s); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	close(results)
	count := make(map[error]int)
	for err := range results {
		count[err]++
	}
	if count[nil] != many/2 || count[syscall.ECONNREFUSED] != many/2 {
		t.Errorf("connects ended with %v", count)
	}
	deadline := time.Now().Add(patience)
	for h.waiting() > 0 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	h.settles()
}

// TestHoldClose is that nobody waits once nobody answers.
func TestHoldClose(t *testing.T) {
	h, holder := newHolding(t)
	fd := h.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	ended := connecting(t, fd, server4, false)
	nextHeld(t, holder)
	if err := holder.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := holder.Next(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("next gives %v", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	after := h.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err := unix.Connect(after, sockaddr(server4)); err != nil {
		t.Error(err)
	}
}

// TestHoldInTwoNamespaces holds connections all numbers of which are the same
// but that of the namespace, and answers each in its own.
func TestHoldInTwoNamespaces(t *testing.T) {
	h, holder := newHolding(t)
	other := &host{t, newNS(t), nil, h.i}
	other.ln = listen(t, other.ns, h.ln.Addr().String())
	other.holds(holder)
	if err := h.i.Serve(other.ln, other.ns.Inode()); err != nil {
		t.Fatal(err)
	}
	connect := func(at *host, port int) <-chan error {
		fd := at.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port}); err != nil {
			t.Fatal(err)
		}
		return connecting(t, fd, server4, false)
	}
	for n, tc := range []struct {
		answer func(*Holder, *Held) error
		want   error
	}{{(*Holder).Admit, nil}, {(*Holder).Refuse, syscall.ECONNREFUSED}} {
		first := connect(h, 4000+n)
		held := nextHeld(t, holder)
		second := connect(other, 4000+n)
		there := nextHeld(t, holder)
		if held.Netns() != h.ns.Inode() || there.Netns() != other.ns.Inode() || held.Client != there.Client {
			t.Errorf("held %v in %d and %v in %d", held.Client, held.Netns(), there.Client, there.Netns())
		}
		if err := tc.answer(holder, &there); err != nil {
			t.Fatal(err)
		}
		if err := <-second; !errors.Is(err, tc.want) {
			t.Errorf("connect(2) there gives %v, want %v", err, tc.want)
		}
		select {
		case err := <-first:
			t.Errorf("connect(2) here gives %v, which was not answered", err)
		case <-time.After(20 * time.Millisecond):
		}
		if err := holder.Refuse(&held); err != nil {
			t.Fatal(err)
		}
		if err := <-first; !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("connect(2) here gives %v", err)
		}
		refused := 1
		if tc.want != nil {
			refused = 2
		}
		for range refused {
			if gone := nextHeld(t, holder); !gone.Gone {
				t.Errorf("%+v, want that a caller is gone", gone)
			}
		}
		if tc.want == nil {
			c := accepted(t, other.ln)
			other.origin(c)
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	}
	if err := holder.Leave(other.ns.Inode()); err != nil {
		t.Fatal(err)
	}
	if err := <-connect(other, 4002); err != nil { // nobody holds it any more
		t.Errorf("connect(2) gives %v where nothing is held", err)
	}
	other.origin(accepted(t, other.ln))
	h.settles()
}
