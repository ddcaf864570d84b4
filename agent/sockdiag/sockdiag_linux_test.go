package sockdiag

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/internal/requires"
	"github.com/faultproxy/fault/netns"
)

const patience = 20 * time.Second

// pair is both ends of a connection.
type pair struct{ client, server *net.TCPConn }

// connect makes a connection from within a namespace, after which the listener
// is closed unless it is to stay.
func connect(t *testing.T, ns *netns.NS, network, at string, keepListener bool) pair {
	t.Helper()
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := ns.Listen(t.Context(), "tcp", at, &lc)
	if err != nil {
		t.Fatal(err)
	}
	_ = ln.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	to := ln.Addr().String()
	if network == "mapped" {
		_, port, _ := net.SplitHostPort(to)
		to = "127.0.0.1:" + port
	}
	var p pair
	err = ns.Do(func() error {
		if network == "mapped" {
			p.client, err = dialMapped(netip.MustParseAddrPort(to))
			return err
		}
		c, err := net.DialTimeout("tcp", to, patience)
		if err == nil {
			p.client = c.(*net.TCPConn)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	p.server = c.(*net.TCPConn)
	t.Cleanup(func() { p.client.Close(); p.server.Close(); ln.Close() })
	if !keepListener {
		ln.Close()
	}
	return p
}

// dialMapped connects an IPv6 socket to an IPv4 address.
func dialMapped(to netip.AddrPort) (*net.TCPConn, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "mapped")
	defer f.Close()
	addr := netip.AddrFrom16(to.Addr().As16()).As16()
	if err := unix.Connect(fd, &unix.SockaddrInet6{Port: int(to.Port()), Addr: addr}); err != nil {
		return nil, err
	}
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

func newNS(t *testing.T) *netns.NS {
	t.Helper()
	requires.Root(t)
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return ns
}

// look finds a connection by its local address.
func look(t *testing.T, ns *netns.NS, c *net.TCPConn) (found Connection, ok bool) {
	t.Helper()
	var all []Connection
	if err := ns.Do(func() (err error) { all, err = Connections(); return err }); err != nil {
		t.Fatal(err)
	}
	local, remote := unmapped(c.LocalAddr()), unmapped(c.RemoteAddr())
	for _, one := range all {
		if one.Local == local && one.Remote == remote {
			return one, true
		}
	}
	return Connection{}, false
}

func unmapped(a net.Addr) netip.AddrPort {
	at := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// shapes are connections of each kind.
var shapes = map[string]struct{ network, at string }{
	"IPv4":   {"tcp", "127.0.0.1:0"},
	"IPv6":   {"tcp", "[::1]:0"},
	"mapped": {"mapped", "127.0.0.1:0"},
}

// TestDirection tells who opened a connection, also when the listener has gone,
// whatever was carried and also by bytes that are retransmitted.
func TestDirection(t *testing.T) {
	for name, shape := range shapes {
		for _, keep := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				ns := newNS(t)
				p := connect(t, ns, shape.network, shape.at, keep)
				for round := range 3 {
					for c, want := range map[*net.TCPConn]Direction{p.client: Outgoing, p.server: Incoming} {
						found, ok := look(t, ns, c)
						if !ok || found.Direction != want || found.Inode == 0 || found.UID != uint32(os.Getuid()) || found.Cgroup == 0 {
							t.Errorf("round %d: found %v %+v, want direction %v", round, ok, found, want)
						}
					}
					exchange(t, p, (1+round)*100_000)
				}
			})
		}
	}
}

// exchange carries bytes both ways.
func exchange(t *testing.T, p pair, n int) {
	t.Helper()
	for _, way := range [][2]*net.TCPConn{{p.client, p.server}, {p.server, p.client}} {
		go func() { _, _ = way[0].Write(make([]byte, n)) }()
		_ = way[1].SetReadDeadline(time.Now().Add(patience))
		if _, err := io.ReadFull(way[1], make([]byte, n)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestUnknown is a connection whose peer does not read: of bytes that wait it
// cannot be told who opened it.
func TestUnknown(t *testing.T) {
	ns := newNS(t)
	p := connect(t, ns, "tcp", "127.0.0.1:0", false)
	_ = p.client.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	for {
		if _, err := p.client.Write(make([]byte, 1<<20)); errors.Is(err, os.ErrDeadlineExceeded) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if found, ok := look(t, ns, p.client); !ok || found.Direction != Unknown {
		t.Errorf("found %v %+v, want an unknown direction", ok, found)
	}
}

// TestReset resets one end, and nothing else.
func TestReset(t *testing.T) {
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			ns, other := newNS(t), newNS(t)
			p, bystander := connect(t, ns, shape.network, shape.at, true), connect(t, ns, shape.network, shape.at, true)
			elsewhere := connect(t, other, shape.network, shape.at, true)
			found, ok := look(t, ns, p.client)
			if !ok {
				t.Fatal("not found")
			}
			// The same addresses may be used elsewhere: the cookie tells.
			if err := other.Do(found.Reset); err != nil {
				t.Fatal(err)
			}
			exchange(t, p, 10)
			for range 2 { // that it is gone is no error
				if err := ns.Do(found.Reset); err != nil {
					t.Fatal(err)
				}
			}
			_ = p.client.SetReadDeadline(time.Now().Add(patience))
			if _, err := p.client.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNABORTED) {
				t.Errorf("the client reads %v", err)
			}
			_ = p.server.SetReadDeadline(time.Now().Add(patience))
			if _, err := p.server.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
				t.Errorf("the server reads %v", err)
			}
			exchange(t, bystander, 10)
			exchange(t, elsewhere, 10)
		})
	}
}

// TestCanReset holds for the kernels of the tests.
func TestCanReset(t *testing.T) {
	if err := newNS(t).Do(CanReset); err != nil {
		t.Error(err)
	}
}

// FuzzParse gives any bytes for a socket.
func FuzzParse(f *testing.F) {
	f.Add(make([]byte, messageSize))
	f.Add(append(make([]byte, messageSize), 12, 0, 21, 0, 1, 2, 3, 4, 5, 6, 7, 8))
	f.Add(append(make([]byte, messageSize), append([]byte{220, 0, 2, 0}, make([]byte, 216)...)...))
	f.Fuzz(func(t *testing.T, msg []byte) {
		c, _, err := parse(msg)
		if err == nil && len(msg) < messageSize {
			t.Errorf("%d bytes are %+v", len(msg), c)
		}
	})
}
