package load

import (
	"fmt"
	"io"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

func sockaddr(address string) (*unix.SockaddrInet4, error) {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	if !a.Addr().Is4() {
		return nil, fmt.Errorf("%s is not an IPv4 address", address)
	}
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}, nil
}

// dial opens a blocking connection on which no wait is longer than patience.
func dial(address string) (int, error) {
	to, err := sockaddr(address)
	if err != nil {
		return -1, err
	}
	return dialTo(to)
}

func dialTo(to unix.Sockaddr) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err := connect(fd, to); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func connect(fd int, to unix.Sockaddr) error {
	err := prepare(fd)
	if err == nil {
		err = again(func() error { return unix.Connect(fd, to) })
	}
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return nil
}

func prepare(fd int) error {
	patient := unix.NsecToTimeval(int64(patience))
	for _, option := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, option, &patient); err != nil {
			return err
		}
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}

// abort resets a connection, also one that another thread reads or writes.
func abort(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	_ = unix.Shutdown(fd, unix.SHUT_RDWR)
}

// again repeats a call that a signal has interrupted.
func again(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// read is read(2), with the end of stream as an error.
func read(fd int, b []byte) (n int, err error) {
	err = again(func() error {
		n, err = unix.Read(fd, b)
		return err
	})
	if err == nil && n == 0 {
		err = io.EOF
	}
	return max(n, 0), err
}

// write writes all of b.
func write(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		switch err {
		case nil:
			b = b[n:]
		case unix.EINTR:
		default:
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}

// readFull fills b.
func readFull(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := read(fd, b)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		b = b[n:]
	}
	return nil
}

// poller waits for many descriptors at once.
type poller struct {
	fd     int
	events []unix.EpollEvent
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	return &poller{fd, make([]unix.EpollEvent, 256)}, nil
}

func (p *poller) close() { unix.Close(p.fd) }

func (p *poller) add(fd int) error {
	err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
	if err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

func (p *poller) remove(fd int) error { return unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, nil) }

// wait gives what can be read now, after at most so long if that is not
// negative.
func (p *poller) wait(atMost time.Duration) (ready []unix.EpollEvent, err error) {
	ms := -1
	if atMost >= 0 {
		ms = int(atMost.Milliseconds())
	}
	var n int
	err = again(func() error {
		n, err = unix.EpollWait(p.fd, p.events, ms)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("epoll_wait: %w", err)
	}
	return p.events[:n], nil
}

// sleepUntil waits as exactly as the kernel does.
func sleepUntil(t time.Time) {
	if d := time.Until(t); d > 0 {
		left := unix.NsecToTimespec(int64(d))
		_ = unix.Nanosleep(&left, nil) // a signal at most makes it early
	}
}
