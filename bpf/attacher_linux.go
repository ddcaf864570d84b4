package bpf

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Attacher is a child process that attaches programs for this one, see the
// package's documentation. It is for one goroutine.
type Attacher struct {
	cmd  *exec.Cmd
	conn *net.UnixConn
	from *received
}

// attacherTime bounds what an attacher may take for an answer.
const attacherTime = 20 * time.Second

// StartAttacher starts this program once more, with the arguments by which it
// calls [ServeAttacher]. It has the capabilities that this one has got by its
// own start. The caller closes it.
func StartAttacher(args ...string) (*Attacher, error) {
	ours, theirs, err := socketpair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	if err := inheritNothing(); err != nil {
		ours.Close()
		return nil, err
	}
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", Args: append([]string{"fault"}, args...),
		Env: []string{}, ExtraFiles: []*os.File{theirs},
	}
	if err := cmd.Start(); err != nil {
		ours.Close()
		return nil, err
	}
	return &Attacher{cmd, ours, &received{conn: ours}}, nil
}

// Attach is [Attach] by the attacher, which then ends.
func (a *Attacher) Attach(ctx context.Context, cfg Config) (*Interception, error) {
	if err := json.NewEncoder(a.conn).Encode(newOrder(cfg)); err != nil {
		return nil, attacherError(err)
	}
	var done outcome
	err := a.answer(ctx, &done)
	defer a.from.close()
	switch {
	case err != nil:
		return nil, err
	case done.Err != nil:
		return nil, done.Err.error()
	case len(a.from.fds) != done.descriptors():
		return nil, attacherError(fmt.Errorf("%d descriptors arrived", len(a.from.fds)))
	}
	i := &Interception{
		cgroup: done.Cgroup, ipv6: done.IPv6.error(), learns: done.Learns.error(), follows: done.Follows.error(),
		mark: done.Mark, targets: newTargetTable(&cfg.Targets),
	}
	i.names, err = newNameTable(cfg.Names)
	if err == nil {
		i.objs.FaultHold, err = ebpf.NewProgramFromFD(a.from.take())
	}
	if err == nil {
		err = i.adopt(done, a.from.fds)
	}
	if err != nil {
		i.Close()
		return nil, err
	}
	return i, nil
}

// Close ends the attacher. What it attached does not need it.
func (a *Attacher) Close() {
	a.conn.Close()
	a.from.close()
	_ = a.cmd.Process.Kill()
	_ = a.cmd.Wait()
}

// answer waits for what came of the order.
func (a *Attacher) answer(ctx context.Context, done *outcome) error {
	_ = a.conn.SetReadDeadline(time.Now().Add(attacherTime))
	defer context.AfterFunc(ctx, func() { _ = a.conn.SetReadDeadline(time.Unix(1, 0)) })()
	if err := json.NewDecoder(a.from).Decode(done); err != nil {
		return attacherError(err)
	}
	return nil
}

func attacherError(err error) error {
	return fmt.Errorf("the process that attaches the programs did not answer: %w", err)
}

// adopt makes its own what the descriptors are of.
func (i *Interception) adopt(done outcome, fds []int) error {
	first, err := highDescriptors()
	if err != nil {
		return err
	}
	for n, fd := range fds[sharedMaps:] {
		l, err := raised(fd, first)
		if err != nil {
			return err
		}
		if n < done.Observes {
			i.observes = append(i.observes, l)
		} else {
			i.diverts = append(i.diverts, l)
		}
	}
	for n, m := range i.shared() {
		fd, err := unix.FcntlInt(uintptr(fds[n]), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return err
		}
		if *m, err = ebpf.NewMapFromFD(fd); err != nil {
			return err
		}
	}
	return i.taken.share(i.objs.Memory, done.Taken)
}

// inheritNothing keeps a child from what whoever started us left open.
func inheritNothing() error {
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range open {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd > 2 {
			unix.CloseOnExec(fd)
		}
	}
	return nil
}

// socketpair is two ends, of which the second is for a child.
func socketpair() (ours *net.UnixConn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	theirs = os.NewFile(uintptr(fds[1]), "attacher")
	if ours, err = connOf(fds[0]); err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// connOf takes over the descriptor of a socket.
func connOf(fd int) (*net.UnixConn, error) {
	f := os.NewFile(uintptr(fd), "attacher")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	if conn, ok := c.(*net.UnixConn); ok {
		return conn, nil
	}
	c.Close()
	return nil, syscall.ENOTSOCK
}
