package load

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// connections has a thread for each worker.
func connections(j Job) (Result, error) {
	to, err := sockaddr(j.To)
	if err != nil {
		return Result{}, err
	}
	pids := tree(j.PID)
	var measuring, ending atomic.Bool
	took, errs := make([][]time.Duration, j.Flows), make([]error, j.Flows)
	var all sync.WaitGroup
	for i := range j.Flows {
		all.Go(func() {
			runtime.LockOSThread()
			for errs[i] == nil && !ending.Load() {
				began := time.Now()
				errs[i] = visit(to)
				if measuring.Load() {
					took[i] = append(took[i], time.Since(began))
				}
			}
		})
	}
	time.Sleep(j.WarmUp)
	computed, began := clock(pids), time.Now()
	measuring.Store(true)
	time.Sleep(j.Window)
	measuring.Store(false)
	lasted, cpu := time.Since(began), clock(pids)-computed
	ending.Store(true)
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return Result{}, err
		}
	}
	visits := slices.Concat(took...)
	r := Result{PerSecond: perSecond(len(visits), lasted), CPU: each(cpu, len(visits))}
	r.P50, r.P99 = percentiles(visits)
	return r, nil
}

// visit opens a connection, has a byte sent back, and closes it.
func visit(to unix.Sockaddr) error {
	fd, err := dialTo(to)
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
