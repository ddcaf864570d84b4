package load

import "golang.org/x/sys/unix"

func connections(j Job) (Result, error) {
	to, err := sockaddr(j.To)
	if err != nil {
		return Result{}, err
	}
	return j.workers(func() worker { return visitor{to} })
}

// visitor opens a connection, has a byte sent back, and closes it.
type visitor struct{ to unix.Sockaddr }

func (v visitor) do() error {
	fd, err := dialTo(v.to)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	b := []byte{once}
	if err := write(fd, b); err != nil {
		return err
	}
	return readFull(fd, b)
}

func (visitor) stop() {}
