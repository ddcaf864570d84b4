package proxy

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// flushAgain is how long the kernel is not asked again at first, and
// flushPatience how long at most.
const (
	flushAgain    = time.Millisecond
	flushPatience = 50 * time.Millisecond
)

// flush waits until the peer's kernel has acknowledged all that was written to a
// connection, or that is broken, or stop is closed. The kernel tells of that
// only when asked.
func flush(c *net.TCPConn, stop <-chan struct{}) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	for again := flushAgain; !flushed(raw); again = min(2*again, flushPatience) {
		select {
		case <-time.After(again):
		case <-stop:
			return
		}
	}
}

func flushed(raw interface{ Control(func(uintptr)) error }) bool {
	done := true
	_ = raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd)}}
		if n, err := unix.Poll(p, 0); n > 0 && err == nil && p[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0 {
			return // nobody will acknowledge the rest
		}
		left, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ)
		done = err != nil || left == 0
	})
	return done
}
