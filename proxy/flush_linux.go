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
	for again := flushAgain; ; again = min(2*again, flushPatience) {
		done := true
		_ = raw.Control(func(fd uintptr) { done = flushed(int(fd)) })
		if done {
			return
		}
		select {
		case <-time.After(again):
		case <-stop:
			return
		}
	}
}

func flushed(fd int) bool {
	if poll(fd, 0)&(unix.POLLERR|unix.POLLHUP) != 0 {
		return true // nobody will acknowledge the rest
	}
	left, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
	return err != nil || left == 0
}
