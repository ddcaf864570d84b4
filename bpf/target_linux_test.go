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
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
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
// process, "ask ADDRESS" connects, "open" makes the socket for the next connect,
// "fork" has a child do what comes from then on, "orphan" a child's child when
// all before it have ended, and "enter CGROUP" moves there.
func callerProcess() {
	if os.Getenv("FAULT_BPF_CALLER") == "orphan" {
		_ = callerAgain("child").Start()
		return
	}
	opened := -1
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
			case "open":
				if opened, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); err == nil {
					fmt.Println("opened")
				}
			case "use":
				fmt.Println(askWith(opened, with))
			case "enter":
				if err = enter(with); err == nil {
					fmt.Println("entered")
				}
			case "fork", "orphan":
				err = handOver(what)
			}
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	})
}

// handOver starts a child that does what comes from now on, and waits for its
// end; or a child's child, which nobody waits for.
func handOver(to string) error {
	fmt.Println("handing over")
	if err := callerAgain(to).Run(); err != nil {
		return err
	}
	os.Exit(0)
	return nil
}

// callerAgain is this program once more, as a callerProcess or as the parent of
// an orphan.
func callerAgain(as string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "FAULT_BPF_CALLER="+as)
	cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
	return cmd
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
	in  io.WriteCloser
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

// end waits for the end of a caller and of the children that it handed over to.
func (c *caller) end() {
	c.t.Helper()
	c.in.Close()
	if _, err := io.Copy(io.Discard, c.out); err != nil {
		c.t.Fatal(err)
	}
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
	cfg.Proxy, cfg.Rules = addrPortOf(h.ln), []Rule{everything()}
	if cfg.Cgroup == "" {
		cfg.Cgroup = testCgroup
	}
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
	err := canReadProcesses()
	if err == nil {
		t.Log("FEATURE process-name yes")
		return true
	}
	t.Log("FEATURE process-name no", err)
	_, got := Attach(Config{Cgroup: testCgroup, Proxy: server4, Targets: Targets{Names: []string{callerName}}})
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
	exe := fileAt(t, "/proc/self/exe")
	for name, tc := range few(map[string]struct {
		targets Targets
		want    Verdict
	}{
		"everyone":            {Targets{}, Intercepted},
		"pid":                 {Targets{PIDs: []uint32{c.pid}}, Intercepted},
		"no pid yet":          {Targets{PIDs: []uint32{}}, NotTargeted},
		"name":                {Targets{Names: []string{callerName}}, Intercepted},
		"name of the thread":  {Targets{Names: []string{callerThread}}, NotTargeted},
		"prefix":              {Targets{Names: []string{callerName[:5]}}, NotTargeted},
		"longer":              {Targets{Names: []string{callerName + "s"}}, NotTargeted},
		"name of the file":    {Targets{Names: []string{nameOfExecutable(t)}}, Intercepted},
		"file":                {Targets{Files: []File{exe}}, Intercepted},
		"another file":        {Targets{Files: []File{fileAt(t, "/proc/self/maps")}}, NotTargeted},
		"user":                {Targets{Users: []uint32{uint32(os.Getuid())}}, Intercepted},
		"another user":        {Targets{Users: []uint32{54321}}, NotTargeted},
		"cgroup above":        {Targets{Cgroups: []uint64{idOf(t, filepath.Dir(testCgroup))}}, Intercepted},
		"another cgroup":      {Targets{Cgroups: []uint64{idOf(t, newCgroup(t))}}, NotTargeted},
		"name or pid":         {Targets{Names: []string{callerName}, PIDs: []uint32{self}}, Intercepted},
		"except a name":       {Targets{ExceptNames: []string{callerName}}, NotTargeted},
		"except another name": {Targets{ExceptNames: []string{bystanderName}}, Intercepted},
		"except that wins":    {Targets{PIDs: []uint32{c.pid}, ExceptNames: []string{callerName}}, NotTargeted},
	}, "name", "file", "cgroup above", "except that wins") {
		t.Run(name, func(t *testing.T) {
			if tc.targets.readsKernel() && !names {
				t.Skip("not on this kernel")
			}
			h := h.with(t, Config{Targets: tc.targets})
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

func fileAt(t *testing.T, path string) File {
	t.Helper()
	f, err := FileAt(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// nameOfExecutable is the base name of this program's file.
func nameOfExecutable(t *testing.T) string {
	t.Helper()
	path, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Base(strings.TrimSuffix(path, " (deleted)"))
}

func idOf(t *testing.T, cgroup string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(cgroup, &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

var newCgroups atomic.Int32

// newCgroup makes a cgroup beside that of the tests, for one of them.
func newCgroup(t *testing.T) string {
	t.Helper()
	return makeCgroupAt(t, filepath.Dir(testCgroup), fmt.Sprintf("fault-test-%d-%d", os.Getpid(), newCgroups.Add(1)))
}

// makeCgroupAt makes one in a folder. It is removed with the test.
func makeCgroupAt(t *testing.T, folder, name string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeCgroup(t, path) })
	return path
}

// removeCgroup removes one, of which processes that have been waited for may
// leave a little later.
func removeCgroup(t *testing.T, path string) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		err := os.Remove(path)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return
		}
		if time.Now().After(end) {
			t.Errorf("cgroup %s cannot be removed: %v", path, err)
			return
		}
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
	h := direct.with(t, Config{Targets: Targets{Names: []string{callerName}}})
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
			h := direct.with(t, Config{Targets: Targets{Names: []string{process}}})
			c.ask(server4)
			h.onlyCounted(want, 1)
		})
	}
}

// TestTargetChildren is that a process is meant with the children that it has
// later, with theirs, and with orphans, and no longer when it has ended.
func TestTargetChildren(t *testing.T) {
	direct := newDirectHost(t)
	c := startCaller(t, direct.ns, callerName)
	bystander := startCaller(t, direct.ns, bystanderName)
	h := direct.with(t, Config{Targets: Targets{PIDs: []uint32{c.pid}}})
	if err := h.i.Follows(); err != nil {
		t.Log("FEATURE follows-children no", err)
		t.Skip("not on this kernel")
	}
	t.Log("FEATURE follows-children yes")
	bystander.does("ask " + server4.String())
	for _, what := range []string{"", "fork", "fork", "orphan"} {
		if what != "" {
			c.does(what)
		}
		if got := c.ask(server4); !strings.HasPrefix(got, "diverted") {
			t.Errorf("after %q: %s", what, got)
		}
	}
	bystander.does("fork")
	if got := bystander.ask(server4); got != "direct" {
		t.Errorf("child of a bystander: %s", got)
	}
	// The orphan; all before it have ended.
	awaitKeys(t, 1, func() int { return keysOf[uint32, uint8](t, h.i.objs.TargetPids) })
	c.end()
	awaitKeys(t, 0, func() int { return keysOf[uint32, uint8](t, h.i.objs.TargetPids) })
}

// awaitKeys waits until a map has n entries.
func awaitKeys(t *testing.T, n int, has func() int) {
	t.Helper()
	for end := time.Now().Add(patience); has() != n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d entries, want %d", has(), n)
		}
	}
}

func keysOf[K, V any](t *testing.T, m *ebpf.Map) (n int) {
	t.Helper()
	var key K
	var value V
	entries := m.Iterate()
	for entries.Next(&key, &value) {
		n++
	}
	if err := entries.Err(); err != nil && !errors.Is(err, ebpf.ErrIterationAborted) {
		t.Fatal(err)
	}
	return n
}

// TestTargetLaterCgroup is that a cgroup of a name is meant from when it is made,
// with what is below, wherever it is.
func TestTargetLaterCgroup(t *testing.T) {
	direct := newDirectHost(t)
	name := fmt.Sprintf("fault-%d.service", os.Getpid())
	top := newCgroup(t)
	h := direct.with(t, Config{Cgroup: top, Targets: Targets{CgroupNames: []string{"fault-other.service", name}}})
	if err := h.i.Follows(); err != nil {
		t.Log("FEATURE follows-cgroups no", err)
		t.Skip("not on this kernel")
	}
	t.Log("FEATURE follows-cgroups yes")
	slice := makeCgroupAt(t, top, "slice")
	unit, beside := makeCgroupAt(t, slice, name), makeCgroupAt(t, slice, "x"+name)
	below := makeCgroupAt(t, unit, "payload")
	// The sockets are made there, as the programs see no others.
	for path, want := range map[string]string{unit: "diverted " + callerThread, below: "diverted " + callerThread, beside: "direct"} {
		c := startCaller(t, h.ns, callerName)
		c.does("enter " + path)
		if got := c.ask(server4); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
		c.end()
	}
	awaitKeys(t, 1, func() int { return keysOf[uint64, uint8](t, h.i.objs.TargetCgroups) })
	removeCgroup(t, below)
	removeCgroup(t, unit)
	awaitKeys(t, 0, func() int { return keysOf[uint64, uint8](t, h.i.objs.TargetCgroups) })
}

// TestTargetMoved is that a process counts for the cgroup in which it connects,
// and not for that in which it made its socket.
func TestTargetMoved(t *testing.T) {
	direct := newDirectHost(t)
	top := newCgroup(t)
	meant, other := makeCgroupAt(t, top, "meant"), makeCgroupAt(t, top, "other")
	h := direct.with(t, Config{Cgroup: top, Targets: Targets{Cgroups: []uint64{idOf(t, meant)}}})
	for _, tc := range []struct{ from, to, want string }{
		{other, meant, "diverted " + callerThread}, {meant, other, "direct"},
	} {
		c := startCaller(t, h.ns, callerName)
		c.does("enter " + tc.from)
		c.does("open")
		c.does("enter " + tc.to)
		if got := c.does("use " + server4.String()); got != tc.want {
			t.Errorf("from %s to %s: %s, want %s", tc.from, tc.to, got, tc.want)
		}
		c.end()
	}
}

// TestSetTargets is that selectors select what is found for them later, and no
// more what is not any more.
func TestSetTargets(t *testing.T) {
	direct := newDirectHost(t)
	c := startCaller(t, direct.ns, callerName)
	none := Targets{PIDs: []uint32{}, Cgroups: []uint64{}}
	found := []Targets{{PIDs: []uint32{c.pid}}, {Cgroups: []uint64{idOf(t, testCgroup)}}}
	if readsNames(t) {
		none.Files = []File{}
		found = append(found, Targets{Files: []File{fileAt(t, "/proc/self/exe")}})
	}
	h := direct.with(t, Config{Targets: none})
	for _, one := range found {
		for n, tc := range []struct {
			set  Targets
			want string
		}{{none, "direct"}, {one, "diverted " + callerThread}, {one, "diverted " + callerThread}, {none, "direct"}} {
			if err := h.i.SetTargets(tc.set); err != nil {
				t.Fatal(err)
			}
			if got := c.ask(server4); got != tc.want {
				t.Errorf("%+v, %d: %s, want %s", one, n, got, tc.want)
			}
		}
	}
}

// TestTargetOrder is that what others connect to is counted if it was meant but
// for them, where a listener of ours is; and that this comes before all else.
func TestTargetOrder(t *testing.T) {
	needsRoot(t)
	h := &host{t: t, ns: newNS(t)}
	listen(t, h.ns, "192.0.2.10:81")
	direct := listen(t, h.ns, server4.String())
	loopback := listen(t, h.ns, "127.0.0.1:80")
	h.ln = listen(t, h.ns, "127.0.0.1:0")
	h.i = attach(t, Config{Cgroup: testCgroup, Proxy: addrPortOf(h.ln), Targets: Targets{PIDs: []uint32{1}}, Rules: []Rule{
		{Port: 80},
		{Prefix: netip.MustParsePrefix("192.0.2.20/32"), Exclude: true},
	}})
	checkUncounted(h, addrPortOf(direct), nil)
	if err := h.i.Serve(h.ln, h.ns.Inode()); err != nil {
		t.Fatal(err)
	}
	checkUncounted(h, netip.MustParseAddrPort("192.0.2.10:81"), nil)
	checkUncounted(h, netip.MustParseAddrPort("192.0.2.20:80"), unix.ECONNREFUSED)
	for name, tc := range map[string]struct {
		typ int
		to  netip.AddrPort
	}{
		"matched":  {unix.SOCK_STREAM, addrPortOf(direct)},
		"UDP":      {unix.SOCK_DGRAM, server4},
		"loopback": {unix.SOCK_STREAM, addrPortOf(loopback)},
	} {
		t.Run(name, func(t *testing.T) {
			checkLeftAlone(&host{t, h.ns, h.ln, h.i}, unix.AF_INET, tc.typ, tc.to, nil, NotTargeted, nil)
		})
	}
}

// checkUncounted connects as one of others does that concerns nobody here.
func checkUncounted(h *host, to netip.AddrPort, want error) {
	h.t.Helper()
	if err := unix.Connect(h.socket(unix.AF_INET, unix.SOCK_STREAM, 0), sockaddr(to)); !errors.Is(err, want) {
		h.t.Fatal(err)
	}
	if counts, err := h.i.Counts(); err != nil || len(counts) > 0 {
		h.t.Errorf("counted %v, %v", counts, err)
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
		h := direct.with(t, Config{Targets: Targets{Names: []string{callerName}}})
		c.ask(server4)
		h.onlyCounted(Intercepted, 1)
	})
	t.Run("without", func(t *testing.T) {
		withOnly(t, unix.CAP_BPF, unix.CAP_NET_ADMIN)
		_, err := Attach(Config{Cgroup: testCgroup, Proxy: server4, Targets: Targets{Names: []string{callerName}}})
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
			h := direct.with(t, Config{Targets: Targets{PIDs: []uint32{pid}}})
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
