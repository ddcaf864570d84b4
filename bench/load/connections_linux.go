package load

import (
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

func connections(j Job) (Result, error) {
	to, err := sockaddr(j.To)
	if err != nil {
		return Result{}, err
	}
	from := new(atomic.Uint32)
	return j.workers(func() worker { return &visitor{to, from} })
}

// visitor opens a connection, has a byte sent back, and closes it. It comes from
// one address of loopback after the other, or its own closed connections would
// leave it too few ports to search quickly.
type visitor struct {
	to   unix.Sockaddr
	from *atomic.Uint32
}

func (v *visitor) do() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	n := v.from.Add(1)
	err = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 1, byte(n >> 8), byte(n)}})
	}
	if err == nil {
		err = connect(fd, v.to)
	}
	if err != nil {
		return err
	}
	b := []byte{once}
	if err := write(fd, b); err != nil {
		return err
	}
	return readFull(fd, b)
}

func (*visitor) stop() {}
