package proxy

import (
	"errors"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// notSent is how much a connection of ours may hold that its peer has no room
// for: the rest is held back, as nobody would do that for us.
const notSent = 512 << 10

// localBuffer is what a connection to a peer on this host may hold that we have
// not read. The kernel would let that grow, to tens of megabytes on some hosts,
// for the sake of networks that are far and fast.
const localBuffer = 1 << 20

// common is what every connection of ours has. Urgent bytes stay in the stream,
// instead of being dropped by a relay that never asks for them.
var common = []option{
	{unix.SOL_SOCKET, unix.SO_OOBINLINE, 1},
	{unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
	{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSent},
}

// setUp sets that.
func setUp(fd int) error { return setOptions(fd, common...) }

func setUpRaw(c syscall.RawConn) error { return setRawOptions(c, common...) }

// isSetUp says whether a socket has all of that.
func isSetUp(fd int) bool {
	inline, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_OOBINLINE)
	lowat, err2 := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT)
	return errors.Join(err, err2) == nil && inline != 0 && lowat == notSent
}

// setUpLocal sets what a connection has whose peer is on this host, if it is. It
// is not paced for a network that is not there, as bbr does: Reno does not, and
// everybody may have it. Its buffer takes CAP_NET_ADMIN; who has not has the
// kernel's.
func setUpLocal(fd int, peer netip.Addr) {
	if !peer.IsLoopback() {
		own, err := unix.Getsockname(fd)
		if err != nil || fromSockaddr(own).Addr() != peer {
			return
		}
	}
	_ = unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno")
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, localBuffer)
}

func setUpLocalConn(c *net.TCPConn) {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { setUpLocal(int(fd), addrPort(c.RemoteAddr()).Addr()) })
	}
}

// Inherit has the connections that a listener accepts have at once what each
// would be given. It is for [net.ListenConfig].
func Inherit(_, address string, c syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	return c.Control(func(fd uintptr) {
		_ = setUp(int(fd))
		if err == nil && at.Addr().IsLoopback() {
			setUpLocal(int(fd), at.Addr())
		}
	})
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
	if err := setRawOptions(c, all...); err != nil || s.Mark == 0 {
		return err
	}
	err := setRawOptions(c, option{unix.SOL_SOCKET, unix.SO_MARK, int(s.Mark)})
	if errors.Is(err, unix.EPERM) {
		return nil
	}
	return err
}

type option struct{ level, name, value int }

// setOptions sets all that the socket can have.
func setOptions(fd int, all ...option) (err error) {
	for _, o := range all {
		err = errors.Join(err, unix.SetsockoptInt(fd, o.level, o.name, o.value))
	}
	return err
}

func setRawOptions(c syscall.RawConn, all ...option) error {
	var err error
	cerr := c.Control(func(fd uintptr) { err = setOptions(int(fd), all...) })
	return errors.Join(cerr, err)
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
