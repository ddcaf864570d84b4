package bpf

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/internal/requires"
	"github.com/faultproxy/fault/netns"
)

// patience bounds every wait; a guest without KVM is slow.
const patience = 20 * time.Second

// The destinations of the tests are addresses of the namespaces' own loopback
// devices, so that they work on a kernel without modules. They are not of
// loopback's range.
var (
	server4 = netip.MustParseAddrPort("192.0.2.10:80")
	server6 = netip.MustParseAddrPort("[2001:db8::10]:80")
	client4 = netip.MustParseAddr("192.0.2.20")
	client6 = netip.MustParseAddr("2001:db8::20")
)

// testCgroup is the cgroup of this process, made for it.
var testCgroup string

// few are the rows of a table that a kernel of its own makes a difference to: in
// guests that are emulated, where tests are short, each attachment takes seconds.
func few[T any](all map[string]T, kept ...string) map[string]T {
	if testing.Short() {
		maps.DeleteFunc(all, func(name string, _ T) bool { return !slices.Contains(kept, name) })
	}
	return all
}

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == attacherArgument {
		if ServeAttacher() != nil {
			os.Exit(1)
		}
		return
	}
	if os.Getenv("FAULT_BPF_AGENT") != "" {
		agentProcess()
		return
	}
	if os.Getenv("FAULT_BPF_CALLER") != "" {
		callerProcess()
		return
	}
	os.Exit(inCgroup(m.Run))
}

// inCgroup runs f in a new cgroup, if that is allowed.
func inCgroup(f func() int) int {
	mount, err := cgroup2Mount("/proc/self/mountinfo")
	if err != nil || mount == "" || os.Geteuid() != 0 {
		return f()
	}
	old, err := ownCgroup()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	testCgroup = filepath.Join(mount, fmt.Sprintf("fault-test-%d", os.Getpid()))
	if err := os.Mkdir(testCgroup, 0o755); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.Remove(testCgroup)
	if err := enter(testCgroup); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = enter(filepath.Join(mount, old)) }()
	return f()
}

func enter(cgroup string) error {
	return os.WriteFile(filepath.Join(cgroup, "cgroup.procs"), []byte("0"), 0)
}

// needsRoot is for a test that runs in a cgroup of its own.
func needsRoot(t *testing.T) {
	t.Helper()
	requires.That(t, testCgroup != "", "root and cgroup2")
}

// host is a network namespace with the test's addresses, a listener that
// stands for the agent's, and programs that divert to it.
type host struct {
	t  *testing.T
	ns *netns.NS
	ln *net.TCPListener
	i  *Interception
}

func newHost(t *testing.T, rules ...Rule) *host { return newHostOf(t, Config{Rules: rules}) }

// newHostOf is newHost with all that cfg says.
func newHostOf(t *testing.T, cfg Config) *host {
	needsRoot(t)
	h := &host{t: t, ns: newNS(t)}
	h.ln = listen(t, h.ns, "127.0.0.1:0")
	cfg.Cgroup, cfg.Proxy = testCgroup, addrPortOf(h.ln)
	attached := func() (i *Interception, err error) {
		derr := h.ns.Do(func() error { i, err = Attach(cfg); return nil })
		return i, errors.Join(err, derr)
	}
	h.i = mustAttach(t, attached)
	if err := h.i.Serve(h.ln, h.ns.Inode()); err != nil {
		t.Fatal(err)
	}
	return h
}

func everything() Rule { return Rule{} }

func newNS(t *testing.T) *netns.NS {
	t.Helper()
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	for _, a := range []netip.Addr{server4.Addr(), server6.Addr(), client4, client6} {
		if err := ns.AddAddr("lo", netip.PrefixFrom(a, a.BitLen())); err != nil {
			t.Fatal(err)
		}
	}
	return ns
}

func listen(t *testing.T, ns *netns.NS, addr string) *net.TCPListener {
	t.Helper()
	lc := net.ListenConfig{}
	lc.SetMultipathTCP(false)
	ln, err := ns.Listen(t.Context(), "tcp", addr, &lc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln.(*net.TCPListener)
}

func attach(t *testing.T, cfg Config) *Interception {
	t.Helper()
	return mustAttach(t, func() (*Interception, error) { return Attach(cfg) })
}

func mustAttach(t *testing.T, attach func() (*Interception, error)) *Interception {
	t.Helper()
	i, err := attach()
	if err != nil {
		t.Fatalf("%v\n%s", err, VerifierLog(err))
	}
	t.Cleanup(func() {
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	return i
}

func addrPortOf(ln net.Listener) netip.AddrPort { return ln.Addr().(*net.TCPAddr).AddrPort() }

// accepted is the next connection that comes to a listener.
func accepted(t *testing.T, ln *net.TCPListener) net.Conn {
	t.Helper()
	_ = ln.SetDeadline(time.Now().Add(patience))
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// origin is what the programs know of an accepted connection.
func (h *host) origin(c net.Conn) (Origin, bool) {
	h.t.Helper()
	o, ok, err := h.i.Origin(h.ns.Inode(), c.RemoteAddr().(*net.TCPAddr).AddrPort(), c.LocalAddr().(*net.TCPAddr).AddrPort())
	if err != nil {
		h.t.Fatal(err)
	}
	return o, ok
}

// counted is how often a verdict was given since the programs were attached.
func (h *host) counted(v Verdict) uint64 {
	h.t.Helper()
	counts, err := h.i.Counts()
	if err != nil {
		h.t.Fatal(err)
	}
	return counts[v]
}

// waiting is how many connections are filed.
func (h *host) waiting() int {
	h.t.Helper()
	n, err := h.i.Sweep(time.Hour)
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// socket is a raw socket in the namespace, closed with the test.
func (h *host) socket(family, typ, protocol int) int {
	h.t.Helper()
	return socket(h.t, h.ns, family, typ, protocol)
}

func socket(t *testing.T, ns *netns.NS, family, typ, protocol int) int {
	t.Helper()
	fd := -1
	err := ns.Do(func() (err error) {
		fd, err = unix.Socket(family, typ|unix.SOCK_CLOEXEC, protocol)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

func peername(t *testing.T, fd int) netip.AddrPort {
	t.Helper()
	sa, err := unix.Getpeername(fd)
	if err != nil {
		t.Fatal(err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	t.Fatalf("peer %T", sa)
	return netip.AddrPort{}
}

// agentProcess is this test binary as an agent that can be killed: it attaches,
// says so, and accepts for ever.
func agentProcess() {
	lc := net.ListenConfig{}
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(context.Background(), "tcp4", "127.0.0.1:0")
	var i *Interception
	if err == nil {
		var ns *netns.NS
		if ns, err = netns.Current(); err == nil {
			i, err = Attach(Config{Cgroup: os.Getenv("FAULT_BPF_AGENT"), Proxy: addrPortOf(ln), Rules: []Rule{everything()}})
		}
		if err == nil {
			err = i.Serve(ln.(*net.TCPListener), ns.Inode())
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	for {
		c, err := ln.Accept()
		if err != nil {
			os.Exit(1)
		}
		fmt.Fprintln(c, "agent")
		c.Close()
		runtime.KeepAlive(i) // nothing else does, and its links end with it
	}
}

// startAgent starts an agentProcess in a namespace.
func startAgent(t *testing.T, ns *netns.NS) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "FAULT_BPF_AGENT="+testCgroup)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	// A child begins in the namespace of the thread that forks it.
	if err := ns.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready\n" {
		t.Fatalf("agent: %q, %v", line, err)
	}
	return cmd
}
