package e2e

import (
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// visit connects once and says how that was. Its args are the fields of a
// visitor.
func visit(args []string) error {
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		if args[2] == "" {
			return nil
		}
		var err error
		cerr := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), args[2]) })
		if cerr != nil {
			return cerr
		}
		return err
	}}
	if args[3] != "" {
		source, err := netip.ParseAddr(args[3])
		if err != nil {
			return err
		}
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))
	}
	began := time.Now()
	c, err := dialEcho(&d, args[0], args[1])
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Println(time.Since(began).Milliseconds(), c.RemoteAddr(), c.direct())
	return nil
}

// visitor is a client that connects once.
type visitor struct {
	network, address string
	device, source   string // bound to; may be empty
}

func (v visitor) command(t *testing.T) *exec.Cmd {
	t.Helper()
	return role(t, "visit", v.network, v.address, v.device, v.source)
}

// visited is what a visitor met.
type visited struct {
	ms     int    // until the server had said whom it sees
	peer   string // whom the client sees
	direct bool   // the server sees the client's own socket
}

func (v visitor) visit(t *testing.T, h *host) visited {
	t.Helper()
	var met visited
	said := answer(t, h, v.command(t))
	if _, err := fmt.Sscan(said, &met.ms, &met.peer, &met.direct); err != nil {
		t.Fatalf("the visitor said %q: %v", said, err)
	}
	return met
}
