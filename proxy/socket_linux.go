package proxy

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// prepareSocket sets what a socket needs before it connects. Urgent bytes stay
// in the stream, instead of being dropped by a relay that never asks for them.
func prepareSocket(c syscall.RawConn, bound bool) error {
	var err error
	cerr := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_OOBINLINE, 1)
		if err == nil && bound {
			// Otherwise bind(2) takes one port of the host for each flow,
			// wherever it goes.
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		}
	})
	if cerr != nil {
		return cerr
	}
	return err
}

// broken waits until the peer has reset the connection, and returns the
// reason; nil if the connection was closed here, or both ends have finished.
// Nobody may read meanwhile. The kernel reports a reset once; a connection
// whose end was read already would otherwise stay open unnoticed.
func broken(c *net.TCPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	var reset error
	_ = raw.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd)}}
		if n, err := unix.Poll(p, 0); n <= 0 || err != nil {
			return false
		}
		if p[0].Revents&unix.POLLERR != 0 {
			reset = syscall.ECONNRESET
			return true
		}
		return p[0].Revents&unix.POLLHUP != 0
	})
	return reset
}

// torn says of a connection that was read to its end, and that we have not
// ended, whether the peer has reset it, and writing was told so. A reset behind
// the peer's end does not count: that one is still to be told.
func torn(c *net.TCPConn) (yes bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	_ = raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(p, 0)
		yes = err == nil && n > 0 && p[0].Revents&(unix.POLLHUP|unix.POLLERR) == unix.POLLHUP
	})
	return yes
}
