package e2e

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/faultproxy/fault/netns"
)

// host is a network namespace with programs in it, as another machine is.
type host struct {
	ns *netns.NS
	// v4 and v6 are the addresses by which others know it.
	v4, v6 netip.Addr
	// device is what a client and its server both call the cable between them.
	device string
	// cgroup is where its programs run; nil is that of the tests.
	cgroup *os.File

	clients int // that were joined to it
}

func newHost(t testing.TB) *host {
	t.Helper()
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return &host{ns: ns}
}

// newServer makes a host with the same addresses for all its clients, so that
// one certificate serves them.
func newServer(t testing.TB) *host {
	t.Helper()
	return newServerAt(t, netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10"))
}

func newServerAt(t testing.TB, v4, v6 netip.Addr) *host {
	t.Helper()
	h := newHost(t)
	h.v4, h.v6 = v4, v6
	for _, a := range []netip.Addr{h.v4, h.v6} {
		if err := h.ns.AddAddr("lo", netip.PrefixFrom(a, a.BitLen())); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// newClient makes a host that is joined to a server.
func newClient(t testing.TB, server *host) *host {
	t.Helper()
	h := newHost(t)
	h.join(t, server)
	return h
}

// join gives a host a cable to a server.
func (h *host) join(t testing.TB, server *host) {
	t.Helper()
	server.clients++
	n := server.clients
	net4 := netip.MustParsePrefix(fmt.Sprintf("10.77.%d.0/24", n))
	net6 := netip.MustParsePrefix(fmt.Sprintf("fd77:%d::/64", n))
	h.v4, h.v6 = net4.Addr().Next(), net6.Addr().Next()
	gateways := []netip.Addr{h.v4.Next(), h.v6.Next()}
	err := netns.Veth(h.ns, server.ns,
		[]netip.Prefix{netip.PrefixFrom(h.v4, 24), netip.PrefixFrom(h.v6, 64)},
		[]netip.Prefix{netip.PrefixFrom(gateways[0], 24), netip.PrefixFrom(gateways[1], 64)})
	if err == nil {
		h.device, err = h.cable()
	}
	for _, gw := range gateways {
		if err == nil {
			err = h.ns.AddDefaultRoute(h.device, gw)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// cable gives the name of the only device of a client but loopback.
func (h *host) cable() (string, error) {
	var devices []net.Interface
	err := h.ns.Do(func() (err error) {
		devices, err = net.Interfaces()
		return err
	})
	for _, d := range devices {
		if d.Flags&net.FlagLoopback == 0 && d.Flags&net.FlagUp != 0 {
			return d.Name, err
		}
	}
	return "", fmt.Errorf("no device: %w", err)
}

// start starts a program in the namespace and the cgroup. No host is the
// tests' own.
func (h *host) start(cmd *exec.Cmd) error {
	if h == nil {
		return cmd.Start()
	}
	if h.cgroup != nil {
		cmd.SysProcAttr.UseCgroupFD = true
		cmd.SysProcAttr.CgroupFD = int(h.cgroup.Fd())
	}
	return h.ns.Do(cmd.Start)
}

// set sets one of the namespace's parameters, as sysctl(8) does those of net.
func (h *host) set(t testing.TB, parameter, value string) {
	t.Helper()
	err := h.ns.Do(func() error { return os.WriteFile("/proc/sys/net/"+parameter, []byte(value), 0) })
	if err != nil {
		t.Fatal(err)
	}
}

// dial connects from the namespace to an IP address.
func (h *host) dial(address string) (net.Conn, error) {
	var c net.Conn
	err := h.ns.Do(func() (err error) {
		c, err = net.DialTimeout("tcp", address, patience)
		return err
	})
	return c, err
}

// listen listens in the namespace, until the test ends.
func (h *host) listen(t testing.TB, address string) net.Listener {
	t.Helper()
	ln, err := h.ns.Listen(context.Background(), "tcp", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func (h *host) listenUDP(t testing.TB, address string) net.PacketConn {
	t.Helper()
	var c net.PacketConn
	err := h.ns.Do(func() (err error) {
		var lc net.ListenConfig
		c, err = lc.ListenPacket(context.Background(), "udp", address)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

var cgroups atomic.Int32

// isolate gives the host's programs a cgroup of their own, and returns its
// folder: an agent that selects it meets nobody else's connections, so that its
// counts are exact.
func (h *host) isolate(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(cgroup2(t), fmt.Sprintf("fault-e2e-%d-%d", os.Getpid(), cgroups.Add(1)))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(dir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.cgroup = nil
		f.Close()
		// Its processes have been waited for, but leave it a little later.
		if !within(patience, func() bool { return os.Remove(dir) == nil }) {
			t.Errorf("cgroup %s cannot be removed", dir)
		}
	})
	h.cgroup = f
	return dir
}

// cgroup2 is where the root of cgroup2 is mounted.
func cgroup2(t testing.TB) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		before, after, _ := strings.Cut(line, " - ")
		if fields := strings.Fields(before); strings.HasPrefix(after, "cgroup2 ") && fields[3] == "/" {
			return fields[4]
		}
	}
	t.Fatal("no cgroup2 is mounted")
	return ""
}
