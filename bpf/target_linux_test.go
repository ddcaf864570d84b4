package bpf

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/netns"
)

const (
	callerName    = "fault-target"
	callerThread  = "fault-thread"
	bystanderName = "fault-bystander"
	formerName    = "former-and-long"
)

// callerProcess is this test binary as a program that does what it is told,
// line by line, on a thread with a name of its own: "name NAME" names the
// process, "ask ADDRESS" connects.
func callerProcess() {
	besidesFirstThread(func() {
		thread := append([]byte(callerThread), 0)
		err := unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&thread[0])), 0, 0, 0)
		for lines := bufio.NewScanner(os.Stdin); err == nil && lines.Scan(); {
			switch what, with, _ := strings.Cut(lines.Text(), " "); what {
			case "name":
				err = os.WriteFile("/proc/self/comm", []byte(with), 0)
				if err == nil {
					fmt.Println("named")
				}
			case "ask":
				fmt.Println(askHere(with))
			}
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	})
}

// besidesFirstThread runs f on a thread that is not the process's first.
func besidesFirstThread(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if unix.Gettid() != unix.Getpid() {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		besidesFirstThread(f)
	}()
	<-done
}

type caller struct {
	t   *testing.T
	pid uint32
	in  io.Writer
	out *bufio.Reader
}

// startCaller starts a callerProcess in a namespace.
func startCaller(t *testing.T, ns *netns.NS, name string) *caller {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "FAULT_BPF_CALLER=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := ns.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	c := &caller{t, uint32(cmd.Process.Pid), in, bufio.NewReader(out)}
	// What is left of the first name must not be taken for the second's.
	c.rename(formerName)
	c.rename(name)
	return c
}

// does tells the caller what to do and returns its answer.
func (c *caller) does(what string) string {
	c.t.Helper()
	if _, err := fmt.Fprintln(c.in, what); err != nil {
		c.t.Fatal(err)
	}
	line, err := c.out.ReadString('\n')
	if err != nil {
		c.t.Fatalf("caller: %q, %v", line, err)
	}
	return strings.TrimSuffix(line, "\n")
}

// ask has the caller connect and returns the line that it is answered with.
func (c *caller) ask(to netip.AddrPort) string {
	c.t.Helper()
	return c.does("ask " + to.String())
}

func (c *caller) rename(name string) {
	c.t.Helper()
	if line := c.does("name " + name); line != "named" {
		c.t.Fatalf("caller: %s", line)
	}
}

// newDirectHost is a host without programs, whose servers answer "direct".
func newDirectHost(t *testing.T) *host {
	needsRoot(t)
	h := &host{t: t, ns: newNS(t)}
	for _, at := range []netip.AddrPort{server4, server6} {
		answer(listen(t, h.ns, at.String()), func(net.Conn) string { return "direct" })
	}
	return h
}

// with is the same host with programs, and a listener that answers
// "diverted" and the thread that connected.
func (h *host) with(t *testing.T, cfg Config) *host {
	t.Helper()
	h = &host{t: t, ns: h.ns, ln: listen(t, h.ns, "127.0.0.1:0")}
	cfg.Cgroup, cfg.Proxy, cfg.Rules = testCgroup, addrPortOf(h.ln), []Rule{everything()}
	h.i = attach(t, cfg)
	if err := h.i.Serve(h.ln, h.ns.Inode()); err != nil {
		t.Fatal(err)
	}
	answer(h.ln, func(c net.Conn) string {
		o, _, err := h.i.Origin(h.ns.Inode(), c.RemoteAddr().(*net.TCPAddr).AddrPort(), addrPortOf(h.ln))
		if err != nil {
			return err.Error()
		}
		return "diverted " + o.Thread
	})
	return h
}

// answer says a line to whoever connects, until the listener is closed.
func answer(ln net.Listener, line func(net.Conn) string) {
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(c, line(c))
			c.Close()
		}
	}()
}

// destinations is one of each family, as far as it can be diverted here.
func destinations() []netip.AddrPort {
	if canReadKernel() != nil {
		return []netip.AddrPort{server4}
	}
	return []netip.AddrPort{server4, server6}
}

// readsNames says whether processes can be selected by their names here, of
// which it leaves a note. If not, that must be what Attach says.
func readsNames(t *testing.T) bool {
	t.Helper()
	needsRoot(t)
	err := canReadProcessNames()
	if err == nil {
		t.Log("FEATURE process-name yes")
		return true
	}
	t.Log("FEATURE process-name no", err)
	_, got := Attach(Config{Cgroup: testCgroup, Proxy: server4, Process: callerName})
	if !errors.Is(got, ErrMissing) || got.Error() != err.Error() {
		t.Errorf("attach: %v, want %v", got, err)
	}
	return false
}

// TestTarget is whose connects are diverted. Those of others are left alone
// and counted, each once.
func TestTarget(t *testing.T) {
	h := newDirectHost(t)
	c := startCaller(t, h.ns, callerName)
	names := readsNames(t)
	self := uint32(os.Getpid())
	for name, tc := range map[string]struct {
		process string
		pid     uint32
		want    Verdict
	}{
		"everyone":             {"", 0, Intercepted},
		"pid":                  {"", c.pid, Intercepted},
		"another pid":          {"", self, NotTargeted},
		"name":                 {callerName, 0, Intercepted},
		"name of the thread":   {callerThread, 0, NotTargeted},
		"another name":         {bystanderName, 0, NotTargeted},
		"former name":          {formerName, 0, NotTargeted},
		"prefix":               {callerName[:5], 0, NotTargeted},
		"all but one":          {callerName[:len(callerName)-1], 0, NotTargeted},
		"longer":               {callerName + "s", 0, NotTargeted},
		"pid and another name": {bystanderName, c.pid, Intercepted},
		"another pid and name": {callerName, self, NotTargeted},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.process != "" && tc.pid == 0 && !names {
				t.Skip("not on this kernel")
			}
			h := h.with(t, Config{Process: tc.process, PID: tc.pid})
			to := destinations()
			for _, to := range to {
				if got := c.ask(to); strings.HasPrefix(got, "diverted") != (tc.want == Intercepted) {
					t.Errorf("%v: %s", to, got)
				}
			}
			h.onlyCounted(tc.want, len(to))
		})
	}
}

// onlyCounted wants a verdict to have been given n times, and no other.
func (h *host) onlyCounted(v Verdict, n int) {
	h.t.Helper()
	counts, err := h.i.Counts()
	if err != nil {
		h.t.Fatal(err)
	}
	if !maps.Equal(counts, map[Verdict]uint64{v: uint64(n)}) {
		h.t.Errorf("counted %v, want %s %d times", counts, v, n)
	}
}

// TestTargetName is that a name means all processes that have it, from when
// they have it until they have another, whatever their threads are called.
func TestTargetName(t *testing.T) {
	if !readsNames(t) {
		t.Skip("not on this kernel")
	}
	direct := newDirectHost(t)
	before := startCaller(t, direct.ns, callerName)
	h := direct.with(t, Config{Process: callerName})
	after := startCaller(t, h.ns, callerName)
	bystander := startCaller(t, h.ns, bystanderName)
	for _, c := range []*caller{before, after} {
		if got, want := c.ask(server4), "diverted "+callerThread; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := bystander.ask(server4); got != "direct" {
		t.Errorf("bystander: %s", got)
	}
	before.rename(bystanderName)
	bystander.rename(callerName)
	if got := before.ask(server4); got != "direct" {
		t.Errorf("renamed: %s", got)
	}
	if got, want := bystander.ask(server4), "diverted "+callerThread; got != want {
		t.Errorf("renamed bystander: %s, want %s", got, want)
	}
}

// TestTargetLongName is names as long as the kernel keeps them, and longer.
func TestTargetLongName(t *testing.T) {
	if !readsNames(t) {
		t.Skip("not on this kernel")
	}
	direct := newDirectHost(t)
	const long = "fault-target-with-a-long-name"
	c := startCaller(t, direct.ns, long)
	for process, want := range map[string]Verdict{
		long:            Intercepted,
		long[:16]:       Intercepted,
		long[:15]:       Intercepted,
		long[:14]:       NotTargeted,
		long[:14] + "!": NotTargeted,
	} {
		t.Run(process, func(t *testing.T) {
			h := direct.with(t, Config{Process: process})
			c.ask(server4)
			h.onlyCounted(want, 1)
		})
	}
}

// TestTargetOrder is that the target is asked for after the destination, and
// before all else.
func TestTargetOrder(t *testing.T) {
	needsRoot(t)
	h := &host{t: t, ns: newNS(t)}
	listen(t, h.ns, "192.0.2.10:81")
	direct := listen(t, h.ns, server4.String())
	loopback := listen(t, h.ns, "127.0.0.1:80")
	h.ln = listen(t, h.ns, "127.0.0.1:0")
	h.i = attach(t, Config{Cgroup: testCgroup, Proxy: addrPortOf(h.ln), PID: 1, Rules: []Rule{
		{Port: 80},
		{Prefix: netip.MustParsePrefix("192.0.2.20/32"), Exclude: true},
	}})
	// No listener of ours: that another process is meant comes first.
	for name, tc := range map[string]struct {
		typ  int
		to   netip.AddrPort
		want Verdict
		err  error
	}{
		"matched":     {unix.SOCK_STREAM, addrPortOf(direct), NotTargeted, nil},
		"not matched": {unix.SOCK_STREAM, netip.MustParseAddrPort("192.0.2.10:81"), NotMatched, nil},
		"excluded":    {unix.SOCK_STREAM, netip.MustParseAddrPort("192.0.2.20:80"), Excluded, unix.ECONNREFUSED},
		"UDP":         {unix.SOCK_DGRAM, server4, NotTargeted, nil},
		"loopback":    {unix.SOCK_STREAM, addrPortOf(loopback), NotTargeted, nil},
	} {
		t.Run(name, func(t *testing.T) {
			checkLeftAlone(&host{t, h.ns, h.ln, h.i}, unix.AF_INET, tc.typ, tc.to, nil, tc.want, tc.err)
		})
	}
}

// TestTargetPrivilege is that a name needs cap_perfmon, and no more than that,
// and that without it Attach fails instead of taking everyone, or no one. A pid
// needs no more than everyone does, which on older kernels is cap_perfmon, too:
// their verifier is stricter without it.
func TestTargetPrivilege(t *testing.T) {
	names := readsNames(t)
	direct := newDirectHost(t)
	c := startCaller(t, direct.ns, callerName)
	t.Run("with cap_perfmon", func(t *testing.T) {
		if !names {
			t.Skip("not on this kernel")
		}
		withOnly(t, unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_PERFMON)
		h := direct.with(t, Config{Process: callerName})
		c.ask(server4)
		h.onlyCounted(Intercepted, 1)
	})
	t.Run("without", func(t *testing.T) {
		withOnly(t, unix.CAP_BPF, unix.CAP_NET_ADMIN)
		_, err := Attach(Config{Cgroup: testCgroup, Proxy: server4, Process: callerName})
		var missing *MissingError
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), "cap_perfmon is missing") || missing.Hint == "" {
			t.Errorf("attach: %v, want that cap_perfmon is missing and what to do", err)
		}
		if left := attached(t); len(left) != 0 {
			t.Errorf("still attached: %v", left)
		}
		i, err := Attach(Config{Cgroup: testCgroup, Proxy: server4})
		if err != nil {
			t.Log("FEATURE without-perfmon no", err)
			return
		}
		t.Log("FEATURE without-perfmon yes")
		if err := i.Close(); err != nil {
			t.Error(err)
		}
		for pid, want := range map[uint32]Verdict{c.pid: Intercepted, 1: NotTargeted} {
			h := direct.with(t, Config{Process: callerName, PID: pid})
			c.ask(server4)
			h.onlyCounted(want, 1)
			if err := h.i.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// withOnly takes from this thread all capabilities but these, until the test
// ends.
func withOnly(t *testing.T, capabilities ...int) {
	t.Helper()
	if err := rlimit.RemoveMemlock(); err != nil { // takes another one before Linux 5.11
		t.Fatal(err)
	}
	runtime.LockOSThread()
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var all [2]unix.CapUserData
	if err := unix.Capget(&hdr, &all[0]); err != nil {
		t.Fatal(err)
	}
	some := all
	some[0].Effective, some[1].Effective = 0, 0
	for _, c := range capabilities {
		some[c/32].Effective |= 1 << (c % 32)
	}
	if err := unix.Capset(&hdr, &some[0]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Capset(&hdr, &all[0]); err != nil {
			t.Fatal(err) // without privilege the thread ends with the test
		}
		runtime.UnlockOSThread()
	})
}
