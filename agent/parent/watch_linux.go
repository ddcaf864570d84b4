package parent

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Watch watches the parent and its parents, for as long as this process lasts.
// It climbs
//
//   - not to init, nor out of the pid namespace: who has left us to init
//     before we looked is not known;
//   - through those that only run a command and wait for it, such as sudo and
//     timeout, whatever their signals and process groups are;
//   - not from a process that ignores SIGHUP to one that does not: somebody
//     said nohup, so it is to stay;
//   - from our parent on, not out of its process group: the shell in which
//     somebody typed a command does not take it along. Our own parent is
//     watched in any group, but not if we ignore SIGHUP.
//
// Once it returns, no end is missed, also of one that ended meanwhile.
func Watch() *Starters {
	s := newStarters()
	err := climb(os.Getpid(), lookUp(), func(p Process) error {
		err := s.hold(p.PID)
		if err == nil {
			s.all = append(s.all, p)
			return nil
		}
		if !errors.Is(err, unix.ESRCH) && len(s.all) == 0 {
			s.all = append(s.all, p)
			go func() {
				poll(p.PID)
				s.end()
			}()
		}
		return err
	})
	if errors.Is(err, unix.ESRCH) {
		s.end()
	}
	return s
}

// hold has the end of a process told. An error of ESRCH says that it has ended,
// any other that this cannot be told.
func (s *Starters) hold(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err
	}
	// So it is Go's poller that waits, and no thread.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return err
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	conn, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return err
	}
	go func() {
		defer f.Close()
		if conn.Read(hasEnded) == nil {
			s.end()
		}
	}()
	return nil
}

// hasEnded says whether the process of a pidfd has.
func hasEnded(fd uintptr) bool {
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(poll, 0)
	return err == nil && n > 0
}
