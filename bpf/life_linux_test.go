package bpf

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/netns"
)

func rawConnect(fd int, sa []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&sa[0])), uintptr(len(sa)))
	if errno != 0 {
		return errno
	}
	return nil
}

func veth(a, b *netns.NS, near, beyond netip.Prefix) error {
	return netns.Veth(a, b, []netip.Prefix{near}, []netip.Prefix{beyond})
}

// TestCallerGoneBeforeAccept is a program that sends and closes before the
// agent gets to it: its bytes are still to be carried.
func TestCallerGoneBeforeAccept(t *testing.T) {
	h := newHost(t, everything())
	fd := h.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err := unix.Connect(fd, sockaddr(server4)); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(fd, []byte("last words")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Shutdown(fd, unix.SHUT_RDWR); err != nil {
		t.Fatal(err)
	}
	c := accepted(t, h.ln)
	if o, ok := h.origin(c); !ok || o.Destination != server4 {
		t.Fatalf("origin %v, %v", o, ok)
	}
	if got, err := io.ReadAll(c); err != nil || string(got) != "last words" {
		t.Errorf("read %q, %v", got, err)
	}
}

// TestNeverArrived is connections that the listener never gets: of those that
// were not even established nothing remains, and of those that were, until
// they are swept.
func TestNeverArrived(t *testing.T) {
	h := newHost(t, everything())
	full := fillBacklog(t, h)
	if n := h.waiting(); n == 0 {
		t.Fatal("nothing is filed")
	}
	for _, fd := range full {
		linger := unix.Linger{Onoff: 1}
		if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &linger); err != nil {
			t.Fatal(err)
		}
		disconnect(t, fd)
	}
	closed := h.waiting()
	if closed >= len(full) {
		t.Errorf("%d of %d origins remain although some connections never were", closed, len(full))
	}
	remain, err := h.i.Sweep(0)
	if err != nil || remain != 0 {
		t.Errorf("%d origins remain after the sweep, %v", remain, err)
	}
	checkRoom(h)
}

// fillBacklog connects until the listener's queue is full and connects hang.
func fillBacklog(t *testing.T, h *host) []int {
	t.Helper()
	raw, err := h.ln.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	// A second listen(2) makes the queue of a listener shorter.
	if err := control(raw, func(fd int) error { return unix.Listen(fd, 0) }); err != nil {
		t.Fatal(err)
	}
	var fds []int
	for range 6 {
		fd := h.socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
		if err := unix.Connect(fd, sockaddr(server4)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
			t.Fatal(err)
		}
		fds = append(fds, fd)
	}
	return fds
}

// checkRoom wants the programs' own count of entries to be that of the map.
func checkRoom(h *host) {
	h.t.Helper()
	var put, taken uint64
	if err := errors.Join(h.i.objs.OriginsPut.Get(&put), h.i.objs.OriginsTaken.Get(&taken)); err != nil {
		h.t.Fatal(err)
	}
	if n := h.waiting(); put-taken != uint64(n) {
		h.t.Errorf("the programs count %d entries, the map has %d", put-taken, n)
	}
}

// TestNoRoom is that a connection whose destination cannot be kept goes direct.
func TestNoRoom(t *testing.T) {
	h := newHost(t, everything())
	direct := listen(t, h.ns, server4.String())
	if err := h.i.objs.OriginsPut.Set(uint64(65536)); err != nil {
		t.Fatal(err)
	}
	checkLeftAlone(h, unix.AF_INET, unix.SOCK_STREAM, server4, nil, MapFull, nil)
	accepted(t, direct)
}

// TestManyAtOnce is that no connection gets another's destination.
func TestManyAtOnce(t *testing.T) {
	const callers, each, addresses = 16, 100, 50
	h := newHost(t, everything())
	var mu sync.Mutex
	seen := make(map[netip.AddrPort]int)
	var serving sync.WaitGroup
	for range 4 {
		serving.Go(func() {
			for {
				c, err := h.ln.Accept()
				if err != nil {
					return
				}
				serving.Go(func() {
					defer c.Close()
					o, ok := h.origin(c)
					if !ok {
						fmt.Fprintln(c, "no origin")
						return
					}
					mu.Lock()
					seen[o.Destination]++
					mu.Unlock()
					fmt.Fprintln(c, o.Destination)
				})
			}
		})
	}
	var calling sync.WaitGroup
	for caller := range callers {
		calling.Go(func() {
			for n := range each {
				to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + (caller*7+n)%addresses)}), uint16(1000+n))
				if got := ask(h, to); got != to.String() {
					t.Errorf("%v arrived as %s", to, got)
				}
			}
		})
	}
	calling.Wait()
	h.ln.Close()
	serving.Wait()
	total := 0
	for _, n := range seen {
		total += n
	}
	if total != callers*each {
		t.Errorf("%d connections arrived, want %d", total, callers*each)
	}
	checkRoom(h)
	if n := h.waiting(); n != 0 {
		t.Errorf("%d origins remain", n)
	}
}

// ask connects and returns the line that it is answered with.
func ask(h *host, to netip.AddrPort) string {
	var line string
	err := h.ns.Do(func() error {
		line = askHere(to.String())
		return nil
	})
	if err != nil {
		return err.Error()
	}
	return line
}

// askHere does so from the calling thread.
func askHere(to string) string {
	c, err := net.DialTimeout("tcp", to, patience)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	return answerOf(c)
}

// askWith does so with a socket.
func askWith(fd int, to string) string {
	address, err := netip.ParseAddrPort(to)
	if err == nil {
		err = unix.Connect(fd, sockaddr(address))
	}
	if err != nil {
		return err.Error()
	}
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	return answerOf(c)
}

// answerOf is the line that a server says.
func answerOf(c net.Conn) string {
	_ = c.SetDeadline(time.Now().Add(patience))
	b, err := io.ReadAll(c)
	if err != nil {
		return err.Error()
	}
	return strings.TrimSuffix(string(b), "\n")
}

// TestStop is that new connections go direct at once, and that old ones still
// know their peer.
func TestStop(t *testing.T) {
	h := newHost(t, everything())
	direct := listen(t, h.ns, server4.String())
	fd := h.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err := unix.Connect(fd, sockaddr(server4)); err != nil {
		t.Fatal(err)
	}
	if err := h.i.Stop(); err != nil {
		t.Fatal(err)
	}
	after := h.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err := unix.Connect(after, sockaddr(server4)); err != nil {
		t.Fatal(err)
	}
	accepted(t, direct)
	if o, ok := h.origin(accepted(t, h.ln)); !ok || o.Destination != server4 {
		t.Errorf("origin %v, %v", o, ok)
	}
	if peer := peername(t, fd); peer != server4 {
		t.Errorf("peer %v, want %v", peer, server4)
	}
	if err := h.i.Close(); err != nil {
		t.Fatal(err)
	}
	if left := attached(t); len(left) != 0 {
		t.Errorf("still attached: %v", left)
	}
}

// TestSetRules is that other rules hold from then on, and those before do not.
func TestSetRules(t *testing.T) {
	at := func(to netip.AddrPort) Rule { return Rule{Prefix: netip.PrefixFrom(to.Addr(), to.Addr().BitLen())} }
	another := netip.AddrPortFrom(server4.Addr().Next(), server4.Port())
	h := newHost(t, at(server4))
	for _, rules := range [][]Rule{{at(another)}, {at(another), at(server4)}, {at(server4)}} {
		if err := h.i.SetRules(rules); err != nil {
			t.Fatal(err)
		}
		for _, to := range []netip.AddrPort{server4, another} {
			before := h.counted(Intercepted)
			fd := h.socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
			_ = unix.Connect(fd, sockaddr(to)) // nobody need be there
			if got, want := h.counted(Intercepted) > before, slices.Contains(rules, at(to)); got != want {
				t.Errorf("with %v a connect to %v is intercepted: %t", rules, to, got)
			}
		}
	}
}

// TestAllOrNothing breaks the last attachment, and wants none to remain.
func TestAllOrNothing(t *testing.T) {
	needsRoot(t)
	cgroup, _, err := openCgroup(testCgroup)
	if err != nil {
		t.Fatal(err)
	}
	defer cgroup.Close()
	i := &Interception{ipv6: canReadKernel()}
	if err := i.load(Config{Proxy: netip.MustParseAddrPort("127.0.0.1:9")}); err != nil {
		t.Fatal(err)
	}
	i.objs.FaultConnect6.Close()
	err = i.attach(cgroup)
	if err == nil || !strings.Contains(err.Error(), "connect6") {
		t.Errorf("attach: %v, want an error about connect6", err)
	}
	if n := len(attached(t)); n != 4 {
		t.Errorf("%d attached before the failure, want 4", n)
	}
	if err := i.Close(); err != nil {
		t.Fatal(err)
	}
	if left := attached(t); len(left) != 0 {
		t.Errorf("still attached: %v", left)
	}
}

// TestKilled is that an agent which dies leaves nothing: connections go direct
// again, and the kernel has no program of it.
func TestKilled(t *testing.T) {
	needsRoot(t)
	h := &host{t: t, ns: newNS(t)}
	direct := listen(t, h.ns, server4.String())
	go func() {
		for {
			c, err := direct.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(c, "direct")
			c.Close()
		}
	}()
	for round := range 5 {
		agent := startAgent(t, h.ns)
		if got := ask(h, server4); got != "agent" {
			t.Fatalf("round %d: %s answers, want the agent", round, got)
		}
		kill(t, agent)
		// The kernel lets go of a process's links a little after its end.
		deadline := time.Now().Add(patience)
		for got := ""; got != "direct"; {
			got = ask(h, server4)
			if strings.Contains(got, "refused") {
				t.Fatalf("round %d: a new connect was refused", round)
			}
			if time.Now().After(deadline) {
				t.Fatalf("round %d: %s still answers", round, got)
			}
		}
		for len(attached(t)) > 0 {
			if time.Now().After(deadline) {
				t.Fatalf("round %d: still attached: %v", round, attached(t))
			}
		}
	}
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
}

// attached is the programs on the test's cgroup.
func attached(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, typ := range []ebpf.AttachType{
		ebpf.AttachCGroupInet4Connect, ebpf.AttachCGroupInet6Connect,
		ebpf.AttachCgroupInet4GetPeername, ebpf.AttachCgroupInet6GetPeername, ebpf.AttachCGroupSockOps,
	} {
		f, err := os.Open(testCgroup)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		found, err := link.QueryPrograms(link.QueryOptions{Target: int(f.Fd()), Attach: typ})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range found.Programs {
			names = append(names, fmt.Sprintf("%v %d", typ, p.ID))
		}
	}
	return names
}

// TestPrivateMount is the topmost cgroup where none is mounted.
func TestPrivateMount(t *testing.T) {
	needsRoot(t)
	before, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	f, err := mountPrivately()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := os.Stat(fmt.Sprintf("/proc/self/fd/%d/cgroup.procs", f.Fd())); err != nil {
		t.Error(err)
	}
	after, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Error("the mount can be seen")
	}
}

// TestCgroupArgument is what --cgroup takes.
func TestCgroupArgument(t *testing.T) {
	needsRoot(t)
	mount, err := cgroup2Mount("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{testCgroup, strings.TrimPrefix(testCgroup, mount)} {
		f, got, err := openCgroup(path)
		if err != nil || got != testCgroup {
			t.Errorf("%s: %s, %v", path, got, err)
		}
		if f != nil {
			f.Close()
		}
	}
	for _, path := range []string{"/tmp", "/nowhere", "/proc/self/exe"} {
		if f, _, err := openCgroup(path); err == nil {
			f.Close()
			t.Errorf("%s was taken for a cgroup", path)
		}
	}
}

// TestOutsideCgroup is that processes elsewhere are not affected.
func TestOutsideCgroup(t *testing.T) {
	h := newHost(t, everything())
	direct := listen(t, h.ns, server4.String())
	mount, err := cgroup2Mount("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	// A socket belongs to the cgroup that made it.
	if err := enter(mount); err != nil {
		t.Fatal(err)
	}
	fd := h.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err := enter(testCgroup); err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, sockaddr(server4)); err != nil {
		t.Fatal(err)
	}
	accepted(t, direct)
	if counts, err := h.i.Counts(); err != nil || len(counts) != 0 {
		t.Errorf("counted %v, %v, want nothing", counts, err)
	}
}

// BenchmarkConnect is what a connect pays that is not meant: against none of
// our programs, in turn.
func BenchmarkConnect(b *testing.B) {
	if os.Geteuid() != 0 || testCgroup == "" {
		b.Skip("needs root and cgroup2")
	}
	connect := func(b *testing.B) {
		for b.Loop() {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				b.Fatal(err)
			}
			if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: 9}); err != nil {
				b.Fatal(err)
			}
			unix.Close(fd)
		}
	}
	b.Run("none", connect)
	i, err := Attach(Config{Cgroup: testCgroup, Proxy: netip.MustParseAddrPort("127.0.0.1:9"),
		Rules: []Rule{{Prefix: netip.MustParsePrefix("192.0.2.0/24")}}})
	if err != nil {
		b.Fatal(err)
	}
	defer i.Close()
	b.Run("not matched", connect)
}

// TestVerifierLog is what is told of a program that the kernel refuses.
func TestVerifierLog(t *testing.T) {
	needsRoot(t)
	_, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.CGroupSockAddr, AttachType: ebpf.AttachCGroupInet4Connect, License: "GPL",
		Instructions: asm.Instructions{
			asm.LoadMem(asm.R0, asm.R1, 4096, asm.DWord), // outside the context
			asm.Return(),
		},
	})
	err = refused("load programs", err)
	if errors.Is(err, ErrMissing) {
		t.Errorf("%v: a program that is wrong is not something that the host lacks", err)
	}
	if text := err.Error(); strings.Contains(text, "\n") || !strings.Contains(text, "invalid bpf_context access") {
		t.Errorf("%q, want one line that says what is wrong", text)
	}
	if log := VerifierLog(err); strings.Count(log, "\n") < 2 {
		t.Errorf("the log is %q", log)
	}
	if log := VerifierLog(unix.EPERM); log != "" {
		t.Errorf("the log of another error is %q", log)
	}
}
