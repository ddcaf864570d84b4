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
	runtime.LockOSThread()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return Result{}, err
	}
	defer unix.Close(fd)
	var r Result
	for _, lasts := range []time.Duration{j.WarmUp, j.Window} {
		const many = 1000 // between looks at the clock
		n, began, lasted := 0, time.Now(), time.Duration(0)
		for ; lasted < lasts; lasted = time.Since(began) {
			for range many {
				if err := unix.Connect(fd, to); err != nil {
					return Result{}, err
				}
			}
			n += many
		}
		r.Each = each(lasted, n)
	}
	return r, nil
}
