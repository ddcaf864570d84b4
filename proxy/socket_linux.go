package proxy

import (
	"errors"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// keepUrgent has urgent bytes stay in the stream, instead of being dropped by a
// relay that never asks for them.
func keepUrgent(c syscall.RawConn) error {
	return setOptions(c, option{unix.SOL_SOCKET, unix.SO_OOBINLINE, 1})
}

// apply sets up a socket that is about to be bound and to connect.
func (s Socket) apply(network string, c syscall.RawConn) error {
	var all []option
	if s.Source.IsValid() {
		// Otherwise bind(2) takes one port of the host for each flow, wherever
		// it goes.
		all = append(all, option{unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1})
	}
	switch {
	case s.TOS == 0:
	case network == "tcp4":
		all = append(all, option{unix.IPPROTO_IP, unix.IP_TOS, int(s.TOS)})
	default:
		all = append(all, option{unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(s.TOS)})
	}
	if err := setOptions(c, all...); err != nil || s.Mark == 0 {
		return err
	}
	err := setOptions(c, option{unix.SOL_SOCKET, unix.SO_MARK, int(s.Mark)})
	if errors.Is(err, unix.EPERM) {
		return nil
	}
	return err
}

// hurry has what goes to a peer on this host not be paced for a network that
// is not there, as bbr does. Reno does not pace, and everybody may have it.
func hurry(c *net.TCPConn) {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { hurryFD(int(fd), addrPort(c.RemoteAddr()).Addr()) })
	}
}

func hurryFD(fd int, peer netip.Addr) {
	if !peer.IsLoopback() {
		own, err := unix.Getsockname(fd)
		if err != nil || fromSockaddr(own).Addr() != peer {
			return
		}
	}
	_ = unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno")
}

type option struct{ level, name, value int }

func setOptions(c syscall.RawConn, all ...option) error {
	var err error
	cerr := c.Control(func(fd uintptr) {
		for _, o := range all {
			if err = unix.SetsockoptInt(int(fd), o.level, o.name, o.value); err != nil {
				return
			}
		}
	})
	if cerr != nil {
		return cerr
	}
	return err
}

// poll is what is to be said of a socket now: of some events, and of its end.
func poll(fd int, events int16) int16 {
	fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
	if n, err := unix.Poll(fds, 0); n <= 0 || err != nil {
		return 0
	}
	return fds[0].Revents
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
		hung := poll(int(fd), 0)
		if hung&unix.POLLERR != 0 {
			reset = syscall.ECONNRESET
			return true
		}
		return hung&unix.POLLHUP != 0
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
	_ = raw.Control(func(fd uintptr) { yes = tornFD(int(fd)) })
	return yes
}

func tornFD(fd int) bool { return poll(fd, 0)&(unix.POLLHUP|unix.POLLERR) == unix.POLLHUP }
