package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// control calls a function with the descriptor of a connection.
func control(t *testing.T, c syscall.Conn, do func(fd int) error) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
}

// buffered says whether a connection has bytes to read.
func buffered(c *net.TCPConn) (yes bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		n, err := unix.IoctlGetInt(int(fd), unix.SIOCINQ)
		yes = err == nil && n > 0
	})
	return yes
}

// What was sent before a reset arrives before it.
func TestResetBehindBytes(t *testing.T) {
	inEachWay(t, func(t *testing.T, f flow) {
		send(t, f.client, "last words")
		expect(t, f.server, "last words")
		send(t, f.server, "unheard") // so that closing resets
		if !within(func() bool { return buffered(f.client) }) {
			t.Fatal("nothing arrived")
		}
		f.client.Close()
		expectReset(t, f.server)
		endedWith(t, f, "reset")
	})
}

// A reset is no end of the stream, also where more is on its way to the one
// who resets than that one takes, so that writing to it fails as well.
func TestResetAgainstTheStream(t *testing.T) {
	for _, who := range []string{"client", "server"} {
		t.Run(who, func(t *testing.T) {
			inEachWay(t, func(t *testing.T, f flow) {
				one, other := sides(f)[who][0], sides(f)[who][1]
				_ = one.SetReadBuffer(16 << 10)
				_ = other.SetWriteBuffer(4 << 20)
				send(t, other, string(make([]byte, 3<<20)))
				expect(t, one, "\x00")
				reset(one)
				expectReset(t, other)
				endedWith(t, f, "reset")
			})
		})
	}
}

// Who has read the end of a stream and says nothing is told of a reset, too.
func TestResetIsToldToTheSilent(t *testing.T) {
	inEachWay(t, func(t *testing.T, f flow) {
		send(t, f.client, "x")
		closeWrite(t, f.client)
		expectEnd(t, f.server, "x")
		reset(f.client)
		if !within(func() bool { return failed(t, f.server) }) {
			t.Fatal("nothing was told")
		}
		endedWith(t, f, "reset")
	})
}

// failed says whether a connection has an error to tell.
func failed(t *testing.T, c *net.TCPConn) (yes bool) {
	t.Helper()
	control(t, c, func(fd int) error {
		p := []unix.PollFd{{Fd: int32(fd)}}
		_, err := unix.Poll(p, 0)
		yes = p[0].Revents&unix.POLLERR != 0
		return err
	})
	return yes
}

// An urgent byte is a byte of the stream to a relay that knows no better. It
// must not end the stream, nor hold it up.
func TestUrgentByteStaysInTheStream(t *testing.T) {
	for _, way := range ways[1:] {
		t.Run(way.name, func(t *testing.T) {
			noLeaks(t)
			f := way.open(t)
			send(t, f.client, "abc")
			expect(t, f.server, "abc")
			control(t, f.client, func(fd int) error { return unix.Sendto(fd, []byte("X"), unix.MSG_OOB, nil) })
			expect(t, f.server, "X")
			send(t, f.client, "def")
			expect(t, f.server, "def")
			control(t, f.server, func(fd int) error { return unix.Sendto(fd, []byte("Y"), unix.MSG_OOB, nil) })
			send(t, f.server, "z")
			expect(t, f.client, "Yz")
			closeWrite(t, f.client)
			expectEnd(t, f.server, "")
		})
	}
}

// Also in the midst of so much that the kernel moves it.
func TestUrgentByteInBulk(t *testing.T) {
	noLeaks(t)
	f := intercept(t, nil)
	block := make([]byte, 1<<20)
	go func() {
		for range 8 {
			_, _ = f.client.Write(block)
			raw, _ := f.client.SyscallConn()
			_ = raw.Write(func(fd uintptr) bool {
				return unix.Sendto(int(fd), []byte{0}, unix.MSG_OOB, nil) != unix.EAGAIN
			})
		}
		_ = f.client.CloseWrite()
	}()
	got, err := digestOf(f.server, make([]byte, 1<<16))
	if want := int64(8 * (len(block) + 1)); got.n != want || err != nil {
		t.Errorf("received %d bytes, %v, want %d", got.n, err, want)
	}
}

// Silence between the ends stays silence.
func TestKeepaliveIsOff(t *testing.T) {
	noLeaks(t)
	ln := listen(t)
	// Others than the proxy's, which it closes.
	clientSide, upstreamSide := make(chan int, 1), make(chan int, 1)
	p := run(t, &Server{
		Origin: func(c net.Conn) (Intercepted, bool, error) {
			fd, err := duplicate(c.(*net.TCPConn))
			clientSide <- fd
			return Intercepted{Destination: loopback(ln)}, true, err
		},
		Exempt: func(_, _ string, c syscall.RawConn) error {
			fd, err := duplicateRaw(c)
			upstreamSide <- fd
			return err
		},
	})
	c := dial(t, p.addr)
	server := accept(t, ln)
	send(t, c, "x")
	expect(t, server, "x") // both sockets are as they will stay
	for name, fd := range map[string]int{"client's": next(t, clientSide), "upstream's": next(t, upstreamSide)} {
		keepalive, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE)
		inline, err2 := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_OOBINLINE)
		if errors.Join(err, err2, unix.Close(fd)) != nil || keepalive != 0 || inline != 1 {
			t.Errorf("the %s socket: %v, %v, keepalive %d, urgent bytes inline %d", name, err, err2, keepalive, inline)
		}
	}
}

// unanswered is an address that connects wait for: a listener whose backlog is
// full.
func unanswered(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(name.(*unix.SockaddrInet4).Port))
	dial(t, to.String()) // takes the one place there is
	return to
}

func TestClientLeavesWhileDialling(t *testing.T) {
	for _, leaves := range []string{"intercepted", "CONNECT", "http"} {
		t.Run(leaves, func(t *testing.T) {
			noLeaks(t)
			to := unanswered(t)
			dialling := make(chan struct{}, 1)
			s := &Server{Exempt: func(string, string, syscall.RawConn) error { dialling <- struct{}{}; return nil }}
			if leaves == "intercepted" {
				s.Origin = func(net.Conn) (Intercepted, bool, error) { return Intercepted{Destination: to}, true, nil }
			}
			p := run(t, s)
			c := dial(t, p.addr)
			switch leaves {
			case "CONNECT":
				send(t, c, "CONNECT "+to.String()+" HTTP/1.1\r\n\r\n")
			case "http":
				send(t, c, "GET http://"+to.String()+"/ HTTP/1.1\r\nHost: x\r\n\r\n")
			}
			next(t, dialling)
			reset(c)
			if f := next(t, p.ended); Failure(f.Err) != "client-gone" {
				t.Errorf("%v (%s)", f.Err, Failure(f.Err))
			}
		})
	}
}

func TestRunEndsWhileDialling(t *testing.T) {
	for _, how := range []string{"intercepted", "CONNECT", "http"} {
		t.Run(how, func(t *testing.T) {
			noLeaks(t)
			to := unanswered(t)
			dialling := make(chan struct{}, 1)
			s := &Server{Exempt: func(string, string, syscall.RawConn) error { dialling <- struct{}{}; return nil }}
			if how == "intercepted" {
				s.Origin = func(net.Conn) (Intercepted, bool, error) { return Intercepted{Destination: to}, true, nil }
			}
			p := run(t, s)
			c := dial(t, p.addr)
			switch how {
			case "CONNECT":
				send(t, c, "CONNECT "+to.String()+" HTTP/1.1\r\n\r\n")
			case "http":
				send(t, c, "GET http://"+to.String()+"/ HTTP/1.1\r\nHost: x\r\n\r\n")
			}
			next(t, dialling)
			p.stop()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			p.Drain(ctx)
			expectReset(t, c)
			if f := next(t, p.ended); f.Err != ErrEnded {
				t.Error(f.Err)
			}
		})
	}
}

// What goes to a peer on this host is not paced.
func TestLocalIsNotPaced(t *testing.T) {
	upstream := listen(t)
	client, err := net.Dial("tcp", upstream.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server := accept(t, upstream)
	for _, c := range []net.Conn{client, server} {
		tcp := c.(*net.TCPConn)
		setUpLocalConn(tcp)
		raw, err := tcp.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var name string
		cerr := raw.Control(func(fd uintptr) {
			name, err = unix.GetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION)
		})
		if cerr != nil || err != nil || name != "reno" {
			t.Errorf("congestion control %q, %v, %v", name, cerr, err)
		}
	}
}
