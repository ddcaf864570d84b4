package load

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// bulkPiece is what one call reads or writes.
const bulkPiece = 256 << 10

// bulk has a thread for each flow.
func bulk(j Job) (Result, error) {
	command := byte(sink)
	if j.Down {
		command = source
	}
	fds, err := j.dialAll(command)
	if err != nil {
		return Result{}, err
	}
	defer closeAll(fds)

	var moved atomic.Int64
	var ending atomic.Bool
	errs := make([]error, len(fds))
	var all sync.WaitGroup
	for i, fd := range fds {
		all.Go(func() {
			runtime.LockOSThread()
			b := make([]byte, bulkPiece)
			for errs[i] == nil {
				var n int
				if j.Down {
					n, errs[i] = read(fd, b)
				} else {
					n, errs[i] = unix.Write(fd, b)
				}
				moved.Add(int64(max(n, 0)))
				if errs[i] == unix.EINTR {
					errs[i] = nil
				}
			}
			if ending.Load() {
				errs[i] = nil
			}
		})
	}
	time.Sleep(j.WarmUp)
	pids := tree(j.PID) // with those that were started for the flows
	from, computed, began := moved.Load(), clock(pids), time.Now()
	time.Sleep(j.Window)
	n, cpu, lasted := moved.Load()-from, clock(pids)-computed, time.Since(began)

	ending.Store(true)
	for _, fd := range fds {
		abort(fd)
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return Result{}, err
		}
	}
	return Result{PerSecond: perSecond(n, lasted), CPU: each(cpu, n)}, nil
}
