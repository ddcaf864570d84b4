package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"
)

// threadPath is what the calling thread sees. /proc/self/ns/net would be the
// main thread's, which may differ while a Do is running.
const threadPath = "/proc/thread-self/ns/net"

// ErrOther is why something cannot be opened that is not a network namespace.
var ErrOther = errors.New("not a network namespace")

// NS is an open network namespace: it lasts at least until Close, even with no
// process in it. The zero value is not usable. All methods may be called from
// several goroutines at once.
type NS struct {
	file  *os.File
	inode uint64
}

// New makes a network namespace that has no name and only a loopback device,
// which is up. The caller's own namespace does not change. The caller owns the
// result and must close it.
//
// It needs CAP_SYS_ADMIN; without it the error wraps fs.ErrPermission.
func New() (*NS, error) {
	var ns *NS
	err := onThread(func(self *NS) error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		var err error
		ns, err = Current()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make network namespace: %w", err)
	}
	if err := ns.setUp("lo"); err != nil {
		ns.Close()
		return nil, fmt.Errorf("make network namespace: %w", err)
	}
	return ns, nil
}

// Open opens the network namespace at path, such as /proc/PID/ns/net or
// /run/netns/NAME. The caller owns the result and must close it. Another
// process's namespace needs the right to ptrace that process.
func Open(path string) (*NS, error) {
	// O_NONBLOCK: path may come from a command line, and opening a FIFO
	// would otherwise wait for its writer.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open network namespace %s: %w", path, cause(err))
	}
	var st unix.Stat_t
	err = control(f, func(fd int) error {
		kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE)
		if err != nil || kind != unix.CLONE_NEWNET {
			return ErrOther
		}
		return unix.Fstat(fd, &st)
	})
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("open network namespace %s: %w", path, err)
	}
	return &NS{file: f, inode: st.Ino}, nil
}

// Current opens the network namespace of the calling thread: the process's own,
// or, inside Do, the one that was entered. The caller owns the result and must
// close it. It needs no privilege.
func Current() (*NS, error) { return Open(threadPath) }

// Inode identifies the namespace, as the number in /proc/PID/ns/net does: two
// open namespaces are the same one exactly if their inodes are equal.
func (ns *NS) Inode() uint64 { return ns.inode }

// Path names the namespace for other processes that see this one's /proc, for
// example `nsenter --net=PATH`. It holds while this process runs and ns is open;
// the caller must keep ns reachable for as long as the path is in use.
func (ns *NS) Path() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), int(ns.file.Fd()))
}

// Close releases the namespace, which ends with its last socket, process or
// opener. A second Close returns an error that wraps os.ErrClosed.
func (ns *NS) Close() error {
	if err := ns.file.Close(); err != nil {
		return fmt.Errorf("close network namespace: %w", cause(err))
	}
	return nil
}

// Do runs f inside the namespace, in a goroutine and on an OS thread of its own,
// and waits for it. It returns f's error as it is, or an error that says why the
// namespace could not be entered, in which case f has not run. A panic of f goes
// on in the caller, as an error that also tells where f panicked; so does a
// runtime.Goexit, such as testing.T.Fatal's.
//
// Goroutines that f starts are NOT inside, and neither are those that the
// standard library starts for it: give net.Dial and the like an IP address, not
// a host name, which may be looked up and dialled in other goroutines.
//
// It needs CAP_SYS_ADMIN here and in the user namespace that owns ns, unless ns
// is the caller's namespace already. If the thread cannot return to its own
// namespace afterwards, it is ended, and no other goroutine ever runs on it.
func (ns *NS) Do(f func() error) error {
	return onThread(func(self *NS) error {
		if ns.inode != self.inode {
			if err := ns.enter(); err != nil {
				return fmt.Errorf("enter network namespace %d: %w", ns.inode, err)
			}
		}
		return f()
	})
}

// Listen opens a listener inside the namespace with lc, where nil means the zero
// ListenConfig. A host name in addr is looked up in the process's own namespace.
// The caller owns the listener, which outlives ns and can be used anywhere. It
// needs what Do needs.
func (ns *NS) Listen(ctx context.Context, network, addr string, lc *net.ListenConfig) (net.Listener, error) {
	if lc == nil {
		lc = &net.ListenConfig{}
	}
	var l net.Listener
	err := ns.Do(func() (err error) {
		l, err = lc.Listen(ctx, network, addr)
		return err
	})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// enter moves the calling thread, which must be locked, into the namespace.
func (ns *NS) enter() error {
	return control(ns.file, func(fd int) error { return unix.Setns(fd, unix.CLONE_NEWNET) })
}

// control lends f's descriptor to use; a Close meanwhile waits, so that the
// number cannot come to mean another file.
func control(f *os.File, use func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return cause(err)
	}
	var result error
	if err := raw.Control(func(fd uintptr) { result = use(int(fd)) }); err != nil {
		return cause(err)
	}
	return result
}

// onThread runs f in a fresh goroutine locked to an OS thread, tells it the
// thread's namespace, returns the thread to it, and waits for all that.
func onThread(f func(self *NS) error) error {
	var err error
	var panicked *panicError
	returned := false
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if !returned {
				panicked = panicOf(recover())
			}
		}()
		err = locked(f)
		returned = true
	}()
	<-done
	if panicked != nil {
		panic(panicked)
	}
	if !returned {
		runtime.Goexit()
	}
	return err
}

// locked does onThread's work in the calling goroutine, which must end soon
// after: it may stay locked to a thread that has to die with it.
func locked(f func(self *NS) error) error {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The runtime cannot end the main thread, and /proc/PID/ns shows
		// the others its namespace. While this goroutine holds it, a
		// second one has to run elsewhere.
		defer runtime.UnlockOSThread()
		return onThread(f)
	}
	self, err := Current()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer func() {
		// A goroutine that ends while locked takes its thread along.
		if self.enterAgain() == nil {
			runtime.UnlockOSThread()
		}
		self.Close()
	}()
	return f(self)
}

// enterAgain is enter for a thread that may never have left, where setns would
// need a privilege for nothing.
func (ns *NS) enterAgain() error {
	now, err := Current()
	if err == nil {
		now.Close()
		if now.inode == ns.inode {
			return nil
		}
	}
	return ns.enter()
}

// panicError carries a panic into another goroutine without losing its stack.
type panicError struct {
	value any
	stack []byte
}

// panicOf must be called while the stack of the panic is still there. It returns
// nil if value is nil: the goroutine is ending, but not by a panic.
func panicOf(value any) *panicError {
	switch v := value.(type) {
	case nil:
		return nil
	case *panicError:
		return v
	}
	return &panicError{value, debug.Stack()}
}

func (p *panicError) Error() string { return fmt.Sprintf("%v\n\n%s", p.value, p.stack) }

func (p *panicError) Unwrap() error {
	err, _ := p.value.(error)
	return err
}

// cause drops the operation and path that os adds to an error: ours say both.
func cause(err error) error {
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		return errno
	case errors.Is(err, os.ErrClosed):
		return os.ErrClosed
	}
	return err
}
