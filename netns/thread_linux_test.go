package netns

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/internal/requires"
)

// TestThread works in two namespaces by turns, from several goroutines, and has
// them end with their threads.
func TestThread(t *testing.T) {
	requires.Root(t)
	own, err := Current()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	var all sync.WaitGroup
	for range 2 {
		ns := newNS(t)
		thread, err := ns.Thread()
		if err != nil {
			t.Fatal(err)
		}
		for range 4 {
			all.Go(func() {
				for range 50 {
					err := thread.Do(func() error {
						here, err := Current()
						if err != nil {
							return err
						}
						defer here.Close()
						if here.Inode() != ns.Inode() {
							return errors.New("elsewhere")
						}
						return nil
					})
					if err != nil {
						t.Error(err)
					}
					if here, err := Current(); err != nil || here.Inode() != own.Inode() {
						t.Errorf("outside it is %v, %v", here, err)
					} else {
						here.Close()
					}
				}
			})
		}
		all.Wait()
		failed := errors.New("failed")
		if err := thread.Do(func() error { return failed }); err != failed {
			t.Errorf("error %v, want that of the function", err)
		}
		if err := thread.Close(); err != nil {
			t.Error(err)
		}
		if err := thread.Do(func() error { return nil }); err != os.ErrClosed {
			t.Errorf("after Close: %v", err)
		}
		if err := thread.Close(); err != os.ErrClosed {
			t.Errorf("a second Close: %v", err)
		}
	}
}

// TestThreadSocket is a socket that stays where it was opened.
func TestThreadSocket(t *testing.T) {
	ns := newNS(t)
	l := echo(t, ns, "127.0.0.1:0")
	thread, err := ns.Thread()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := thread.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := thread.Close(); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("flags %#x, %v: it blocks", flags, err)
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		t.Fatal(err)
	}
	port, _ := strconv.Atoi(l[strings.LastIndex(l, ":")+1:])
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port}); err != nil {
		t.Errorf("connect: %v", err)
	}
}

// TestThreadEnds holds that nothing keeps a namespace once its thread is closed.
func TestThreadEnds(t *testing.T) {
	ns := newNS(t)
	thread, err := ns.Thread()
	if err != nil {
		t.Fatal(err)
	}
	threads := func() int {
		n := 0
		all, _ := filepath.Glob("/proc/self/task/*/ns/net")
		for _, path := range all {
			if ns.IsAt(path) {
				n++
			}
		}
		return n
	}
	if n := threads(); n != 1 {
		t.Errorf("%d threads are inside, want 1", n)
	}
	if err := thread.Close(); err != nil {
		t.Fatal(err)
	}
	if !eventually(func() bool { return threads() == 0 }) {
		t.Error("a thread is still inside")
	}
}

// TestFind is what people call a namespace.
func TestFind(t *testing.T) {
	requires.Root(t)
	name := "fault-find-" + strconv.Itoa(os.Getpid())
	ip(t, "netns", "add", name)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
	names, err := Names()
	if err != nil || !slices.Contains(names, name) {
		t.Errorf("names %v, %v, want %s among them", names, err, name)
	}
	pid := strconv.Itoa(os.Getpid())
	for called, want := range map[string]string{
		name:                 "/run/netns/" + name,
		pid:                  "/proc/" + pid + "/ns/net",
		"/run/netns/" + name: "/run/netns/" + name,
		"./x":                "./x",
	} {
		if got, err := Find(called); got != want || err != nil {
			t.Errorf("%s: %s, %v, want %s", called, got, err, want)
		}
	}
	for _, called := range []string{"", ".", "..", "fault-not-there", "2147483647", "99999999999999999999", "a\x00b", "-1"} {
		if got, err := Find(called); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %s, %v", called, got, err)
		}
	}
}

// TestInhabited is a namespace whose name goes, and then its last process.
func TestInhabited(t *testing.T) {
	requires.Root(t)
	name := "fault-gone-" + strconv.Itoa(os.Getpid())
	ip(t, "netns", "add", name)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
	path, err := Find(name)
	if err != nil {
		t.Fatal(err)
	}
	ns, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if !ns.IsAt(path) || ns.Inhabited() {
		t.Errorf("it is at its path: %t, and a process is in it: %t", ns.IsAt(path), ns.Inhabited())
	}
	inside := exec.Command("sleep", "60")
	if err := ns.Do(inside.Start); err != nil {
		t.Fatal(err)
	}
	ip(t, "netns", "del", name)
	if ns.IsAt(path) || !ns.Inhabited() {
		t.Errorf("after its name has gone it is at its path: %t, and a process is in it: %t", ns.IsAt(path), ns.Inhabited())
	}
	_ = inside.Process.Kill()
	_ = inside.Wait()
	if ns.Inhabited() {
		t.Error("its last process has gone, and is in it")
	}
}

func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}
