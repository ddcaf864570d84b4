package load

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// connects has a UDP socket connect again and again: there is little in that
// call but what programs at it do.
func connects(j Job) (Result, error) {
	to, err := sockaddr(j.To)
	if err != nil {
		return Result{}, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return Result{}, err
	}
	defer unix.Close(fd)
	return j.time(func() (time.Duration, error) {
		const many = 100 // so that the look at the clock does not count
		began := time.Now()
		for range many {
			if err := unix.Connect(fd, to); err != nil {
				return 0, err
			}
		}
		return time.Since(began) / many, nil
	})
}

// streamConnects has one TCP socket after the other connect, and resets it.
func streamConnects(j Job) (Result, error) {
	to, err := sockaddr(j.To)
	if err != nil {
		return Result{}, err
	}
	return j.time(func() (time.Duration, error) {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return 0, err
		}
		defer unix.Close(fd)
		err = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		began := time.Now()
		if err == nil {
			err = unix.Connect(fd, to)
		}
		return time.Since(began), err
	})
}

// time repeats something that says how long it took.
func (j Job) time(do func() (time.Duration, error)) (Result, error) {
	runtime.LockOSThread()
	m := j.measurement()
	for _, lasts := range []time.Duration{j.WarmUp, j.Window} {
		m.begin()
		for time.Since(m.began) < lasts {
			took, err := do()
			if err != nil {
				return Result{}, err
			}
			m.took = append(m.took, took)
		}
		m.end()
	}
	return m.result(), nil
}
