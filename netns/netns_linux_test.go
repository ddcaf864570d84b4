package netns

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/internal/requires"
)

// patience bounds every wait for something that has to happen.
const patience = 10 * time.Second

func newNS(t *testing.T) *NS {
	t.Helper()
	requires.Root(t)
	ns, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return ns
}

func prefixes(s ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(s))
	for i := range s {
		out[i] = netip.MustParsePrefix(s[i])
	}
	return out
}

// joined skips the test on a kernel that has no veth devices, and only then.
func joined(t *testing.T, a, b *NS, aAddrs, bAddrs []netip.Prefix) {
	t.Helper()
	err := Veth(a, b, aAddrs, bAddrs)
	if withoutVeth(err) {
		t.Skipf("this kernel has no veth devices: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// withoutVeth tells EOPNOTSUPP for the devices from one for their addresses,
// which is what a kernel without IPv6 says.
func withoutVeth(err error) bool {
	return errors.Is(err, syscall.EOPNOTSUPP) && strings.Contains(err.Error(), "make veth pair")
}

// echo serves one line per connection inside ns until the test ends.
func echo(t *testing.T, ns *NS, addr string) (listening string) {
	t.Helper()
	l, err := ns.Listen(t.Context(), "tcp", addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.SetDeadline(time.Now().Add(patience))
			line, _ := bufio.NewReader(c).ReadString('\n')
			io.WriteString(c, line)
			c.Close()
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return l.Addr().String()
}

// say dials an echo from inside ns and reports whether a line came back.
func say(ns *NS, addr string, within time.Duration) error {
	var c net.Conn
	err := ns.Do(func() (err error) {
		c, err = net.DialTimeout("tcp", addr, within)
		return err
	})
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(within))
	fmt.Fprintf(c, "to %s\n", addr)
	back, err := io.ReadAll(c)
	if want := "to " + addr + "\n"; err == nil && string(back) != want {
		err = fmt.Errorf("%s answered %q, want %q", addr, back, want)
	}
	return err
}

func inodeHere(t *testing.T) uint64 {
	t.Helper()
	here, err := Current()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	return here.Inode()
}

// wait polls ok, for what the kernel does in its own time.
func wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func TestIdentity(t *testing.T) {
	before := inodeHere(t)
	a, b := newNS(t), newNS(t)
	if after := inodeHere(t); after != before {
		t.Errorf("New moved the caller from %d to %d", before, after)
	}
	if a.Inode() == b.Inode() || a.Inode() == before {
		t.Errorf("inodes %d and %d (caller: %d) are not distinct", a.Inode(), b.Inode(), before)
	}

	var inside uint64
	var link string
	err := a.Do(func() (err error) {
		inside = inodeHere(t)
		link, err = os.Readlink(threadPath)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("net:[%d]", a.Inode()); inside != a.Inode() || link != want {
		t.Errorf("inside: inode %d, link %s, want %s", inside, link, want)
	}

	again, err := Open(a.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Inode() != a.Inode() {
		t.Errorf("%s is namespace %d, want %d", a.Path(), again.Inode(), a.Inode())
	}
}

func TestPathIsGoodForNsenter(t *testing.T) {
	requires.Tools(t, "nsenter")
	ns := newNS(t)
	out, err := exec.Command("nsenter", "--net="+ns.Path(), "readlink", "/proc/self/ns/net").CombinedOutput()
	if want := fmt.Sprintf("net:[%d]\n", ns.Inode()); err != nil || string(out) != want {
		t.Errorf("got %q (%v), want %q", out, err, want)
	}
}

func TestOpenRefusesWhatIsNoNamespace(t *testing.T) {
	dir := t.TempDir()
	fifo, plain := filepath.Join(dir, "fifo"), filepath.Join(dir, "plain")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		fifo:                     "not a network namespace",
		plain:                    "not a network namespace",
		"/proc/self/ns/mnt":      "not a network namespace",
		filepath.Join(dir, "no"): "no such file or directory",
	} {
		ns, err := Open(path)
		if err == nil {
			ns.Close()
			t.Errorf("Open(%s): no error", path)
			continue
		}
		if want := "open network namespace " + path + ": " + want; err.Error() != want {
			t.Errorf("got %q, want %q", err, want)
		}
	}
	if _, err := Open(filepath.Join(dir, "no")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v does not wrap fs.ErrNotExist", err)
	}
}

// At home, as a process that only has the privileges of an agent: it may not make
// or enter another namespace, and need not.
func TestAtHomeNeedsNoPrivilege(t *testing.T) {
	const child = "NETNS_TEST_WITHOUT_PRIVILEGE"
	if os.Geteuid() == 0 && os.Getenv(child) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), child+"=1")
		if out, err := withoutSysAdmin(cmd.CombinedOutput); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if ns, err := New(); !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("New: %v, %v, want an error that wraps fs.ErrPermission", ns, err)
	}
	here, err := Current()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	if err := here.Do(func() error { return nil }); err != nil {
		t.Error(err)
	}
	if err := say(here, echo(t, here, "127.0.0.1:0"), patience); err != nil {
		t.Error(err)
	}
}

// withoutSysAdmin runs start, which starts a process, on a thread that cannot
// hand CAP_SYS_ADMIN on, and that dies afterwards.
func withoutSysAdmin(start func() ([]byte, error)) (out []byte, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err = unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_ADMIN, 0, 0, 0); err == nil {
			out, err = start()
		}
	}()
	<-done
	return out, err
}

func TestLoopbackIsItsOwn(t *testing.T) {
	for _, loopback := range []string{"127.0.0.1:0", "[::1]:0"} {
		a, b := newNS(t), newNS(t)
		addr := echo(t, a, loopback)
		if err := say(a, addr, patience); err != nil {
			t.Errorf("inside: %v", err)
		}
		if err := say(b, addr, patience); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("from another namespace: %v, want a refusal", err)
		}
	}
}

func TestAddAddr(t *testing.T) {
	ns := newNS(t)
	for _, p := range []string{"192.0.2.10/32", "2001:db8::10/128"} {
		prefix := netip.MustParsePrefix(p)
		if err := ns.AddAddr("lo", prefix); err != nil {
			t.Fatal(err)
		}
		if err := say(ns, echo(t, ns, netip.AddrPortFrom(prefix.Addr(), 0).String()), patience); err != nil {
			t.Error(err)
		}
	}
	for _, c := range []struct {
		dev  string
		p    netip.Prefix
		want string
	}{
		{"lo", netip.MustParsePrefix("192.0.2.10/32"), "add address 192.0.2.10/32 to lo: file exists"},
		{"nope0", netip.MustParsePrefix("192.0.2.11/32"), "find nope0: no such device"},
		{"lo", netip.Prefix{}, "add address invalid Prefix to lo: invalid argument"},
	} {
		if err := ns.AddAddr(c.dev, c.p); err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
}

func TestListenErrors(t *testing.T) {
	ns := newNS(t)
	if l, err := ns.Listen(t.Context(), "tcp", "192.0.2.99:0", nil); !errors.Is(err, syscall.EADDRNOTAVAIL) || l != nil {
		t.Errorf("got %v, %v, want a nil listener and %v", l, err, syscall.EADDRNOTAVAIL)
	}
	if _, err := ns.Listen(t.Context(), "tcp", "127.0.0.1:0", &net.ListenConfig{
		Control: func(string, string, syscall.RawConn) error { return io.ErrNoProgress },
	}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v: the ListenConfig was not used", err)
	}
}

func TestClosed(t *testing.T) {
	ns := newNS(t)
	if err := ns.Close(); err != nil {
		t.Fatal(err)
	}
	if err := ns.Do(func() error { t.Error("f ran"); return nil }); err == nil {
		t.Error("Do after Close: no error")
	}
	if err := ns.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
}

func TestDoPassesErrorsPanicsAndGoexit(t *testing.T) {
	ns := newNS(t)
	if err := ns.Do(func() error { return io.EOF }); err != io.EOF {
		t.Errorf("got %v, want %v itself", err, io.EOF)
	}

	func() {
		defer func() {
			err, _ := recover().(error)
			if !errors.Is(err, io.ErrClosedPipe) || !strings.Contains(err.Error(), "TestDoPasses") {
				t.Errorf("recovered %v, want the panic and its stack", err)
			}
		}()
		ns.Do(func() error { panic(io.ErrClosedPipe) })
	}()

	ended := make(chan bool)
	go func() {
		returned := false
		defer func() { ended <- !returned && recover() == nil }()
		ns.Do(func() error { runtime.Goexit(); return nil })
		returned = true
	}()
	if !<-ended {
		t.Error("Goexit did not go on in the caller")
	}
	everyThreadAtHome(t)
}

// everyThreadAtHome checks that no thread of the process is in a foreign
// namespace, and that the goroutines run at home.
func everyThreadAtHome(t *testing.T) {
	t.Helper()
	home, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil || len(tasks) == 0 {
		t.Fatalf("list threads: %d found, %v", len(tasks), err)
	}
	for _, task := range tasks {
		// A thread may end meanwhile.
		if at, err := os.Readlink(task); err == nil && at != home {
			t.Errorf("%s is %s, want %s", task, at, home)
		}
	}
}

func TestDoRestoresEveryThread(t *testing.T) {
	spaces := []*NS{newNS(t), newNS(t), newNS(t)}
	home, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			for range 50 {
				ns := spaces[i%len(spaces)]
				err := ns.Do(func() error {
					runtime.Gosched()
					at, err := os.Readlink(threadPath)
					if want := fmt.Sprintf("net:[%d]", ns.Inode()); at != want {
						err = fmt.Errorf("in %s, want %s", at, want)
					}
					if main, _ := os.Readlink("/proc/self/ns/net"); main != home {
						err = fmt.Errorf("the main thread went to %s", main)
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	everyThreadAtHome(t)
}

func TestGoroutinesOfFAreOutside(t *testing.T) {
	ns, home := newNS(t), inodeHere(t)
	err := ns.Do(func() error {
		at := make(chan uint64)
		go func() { at <- inodeHere(t) }()
		if got := <-at; got != home {
			return fmt.Errorf("in %d, want %d", got, home)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// dropCapabilities takes all privileges from the calling thread alone.
func dropCapabilities(t *testing.T) {
	t.Helper()
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&hdr, &none[0]); err != nil {
		t.Fatal(err)
	}
}

func TestThreadThatCannotReturnIsThrownAway(t *testing.T) {
	ns := newNS(t)
	var tid int
	err := ns.Do(func() error {
		tid = unix.Gettid()
		dropCapabilities(t)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wait(t, fmt.Sprintf("end of thread %d", tid), func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", tid))
		return errors.Is(err, fs.ErrNotExist)
	})
	everyThreadAtHome(t)
}

func TestVethCarriesTCPAtOnce(t *testing.T) {
	for range 5 {
		a, b := newNS(t), newNS(t)
		joined(t, a, b,
			prefixes("198.51.100.1/24", "2001:db8:1::1/64"),
			prefixes("198.51.100.2/24", "2001:db8:1::2/64"))
		// Less than the second after which a lost SYN or neighbour
		// solicitation would be sent again.
		const atOnce = 700 * time.Millisecond
		for _, c := range []struct {
			from, to *NS
			addr     string
		}{
			{a, b, "[2001:db8:1::2]:0"},
			{a, b, "198.51.100.2:0"},
			{b, a, "[2001:db8:1::1]:0"},
			{b, a, "198.51.100.1:0"},
		} {
			if err := say(c.from, echo(t, c.to, c.addr), atOnce); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestVethTwiceAndRoutes(t *testing.T) {
	client, router, server := newNS(t), newNS(t), newNS(t)
	joined(t, client, router, prefixes("198.51.100.1/24"), prefixes("198.51.100.2/24"))
	joined(t, router, server, prefixes("203.0.113.1/24"), prefixes("203.0.113.2/24"))
	for ns, want := range map[*NS]string{client: "lo veth0", router: "lo veth0 veth1", server: "lo veth1"} {
		if got := devices(t, ns); got != want {
			t.Errorf("devices %q, want %q", got, want)
		}
	}

	// The server has an address of no subnet, which only a route leads to.
	if err := router.AddAddr("lo", netip.MustParsePrefix("192.0.2.10/32")); err != nil {
		t.Fatal(err)
	}
	addr := echo(t, router, "192.0.2.10:0")
	if err := say(client, addr, patience); !errors.Is(err, syscall.ENETUNREACH) {
		t.Errorf("without a route: %v, want %v", err, syscall.ENETUNREACH)
	}
	if err := client.AddDefaultRoute("veth0", netip.MustParseAddr("198.51.100.2")); err != nil {
		t.Fatal(err)
	}
	if err := say(client, addr, patience); err != nil {
		t.Error(err)
	}
	err := client.AddDefaultRoute("veth0", netip.MustParseAddr("203.0.113.9"))
	if want := "add default route by 203.0.113.9 on veth0: "; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s…", err, want)
	}
}

func devices(t *testing.T, ns *NS) string {
	t.Helper()
	var names []string
	err := ns.Do(func() error {
		all, err := net.Interfaces()
		for _, dev := range all {
			names = append(names, dev.Name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, " ")
}

func TestVethIsAllOrNothing(t *testing.T) {
	a, b := newNS(t), newNS(t)
	joined(t, a, b, nil, nil)
	err := Veth(a, b, prefixes("198.51.100.1/24"), prefixes("198.51.100.2/24", "198.51.100.2/24"))
	if want := "join network namespaces: add address 198.51.100.2/24 to veth1: file exists"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	for _, ns := range []*NS{a, b} {
		if got, want := devices(t, ns), "lo veth0"; got != want {
			t.Errorf("devices %q, want %q", got, want)
		}
	}
	err = Veth(a, a, nil, nil)
	if want := "join network namespaces: both are the same"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// A namespace that something still holds keeps its end of the pair, and so the
// other end.
func TestCloseEndsTheNamespace(t *testing.T) {
	a, b := newNS(t), newNS(t)
	joined(t, a, b, nil, nil)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	wait(t, "end of the other namespace", func() bool { return devices(t, a) == "lo" })
}

func TestNoDescriptorLeaks(t *testing.T) {
	requires.Root(t)
	count := func() int {
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(open)
	}
	round := func() {
		a, b := newNS(t), newNS(t)
		defer a.Close()
		defer b.Close()
		err := Veth(a, b, prefixes("198.51.100.1/24"), prefixes("198.51.100.2/24"))
		if err != nil && !withoutVeth(err) {
			t.Fatal(err)
		}
		l, err := a.Listen(t.Context(), "tcp", "127.0.0.1:0", nil)
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
		a.Do(func() error { return io.EOF })
		Open("/proc/self/ns/mnt")
	}
	// The first round opens what the process keeps, such as epoll.
	round()
	before := count()
	for range 10 {
		round()
	}
	if after := count(); after != before {
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
}
