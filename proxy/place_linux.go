package proxy

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// enter puts a socket that was opened in a place into that of a dialer, which has
// not used its own yet. So all that the library does for a dial stays as it is,
// and connect(2) need not wait inside.
func (p *Place) enter(network string, c syscall.RawConn) error {
	if p == nil {
		return nil
	}
	family := unix.AF_INET
	if network == "tcp6" {
		family = unix.AF_INET6
	}
	inside, err := p.Socket(family, unix.SOCK_STREAM, unix.IPPROTO_TCP)
	if err != nil {
		return err
	}
	defer unix.Close(inside)
	cerr := c.Control(func(fd uintptr) { err = unix.Dup3(inside, int(fd), unix.O_CLOEXEC) })
	if cerr != nil {
		return cerr
	}
	return err
}
