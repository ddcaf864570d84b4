package load

import (
	"errors"
	"runtime"
	"sync/atomic"
	"time"
)

const messageSize = 64

// messages has all flows on one thread. A single flow does without epoll, as a
// program with one connection would.
func messages(j Job) (Result, error) {
	fds, err := j.dialAll(echo)
	if err != nil {
		return Result{}, err
	}
	defer closeAll(fds)
	b := make([]byte, messageSize)
	if len(fds) == 1 {
		return j.time(func() (time.Duration, error) {
			began := time.Now()
			err := write(fds[0], b)
			if err == nil {
				err = readFull(fds[0], b)
			}
			return time.Since(began), err
		})
	}
	runtime.LockOSThread()
	m := j.measurement()
	sent := make(map[int]time.Time, len(fds))
	for _, fd := range fds {
		sent[fd] = time.Now()
		if err := write(fd, b); err != nil {
			return Result{}, err
		}
	}
	err = m.receive(fds, func(fd int, at time.Time) (time.Duration, error) {
		took := at.Sub(sent[fd])
		sent[fd] = at
		return took, write(fd, b)
	})
	return m.result(), err
}

// receive waits for the messages of many connections. Of each that is there,
// back says what it took, and may send the next.
func (m *measurement) receive(fds []int, back func(fd int, at time.Time) (time.Duration, error)) error {
	p, err := newPoller()
	if err != nil {
		return err
	}
	defer p.close()
	for _, fd := range fds {
		if err := p.add(fd); err != nil {
			return err
		}
	}
	b := make([]byte, messageSize)
	got := make(map[int]int)
	for _, lasts := range []time.Duration{m.job.WarmUp, m.job.Window} {
		m.begin()
		for time.Since(m.began) < lasts {
			ready, err := p.wait(patience)
			if err != nil {
				return err
			}
			if len(ready) == 0 {
				return errors.New("no message comes back")
			}
			for _, e := range ready {
				fd := int(e.Fd)
				n, err := read(fd, b[got[fd]:])
				if err != nil {
					return err
				}
				if got[fd] += n; got[fd] < messageSize {
					continue
				}
				got[fd] = 0
				took, err := back(fd, time.Now())
				if err != nil {
					return err
				}
				m.took = append(m.took, took)
			}
		}
		m.end()
	}
	return nil
}

// paced sends each message when its time has come, the flows evenly spread over
// the interval, and none on a flow whose last one is not back yet: so the load
// is the same whatever a message takes.
func paced(j Job) (Result, error) {
	fds, err := j.dialAll(echo)
	if err != nil {
		return Result{}, err
	}
	defer closeAll(fds)
	began := time.Now()
	sent := make(map[int]*atomic.Int64, len(fds)) // after began; 0: it is back
	for _, fd := range fds {
		sent[fd] = new(atomic.Int64)
	}
	var ending atomic.Bool
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer close(failed)
		b := make([]byte, messageSize)
		for n := 1; !ending.Load(); n++ {
			sleepUntil(began.Add(j.Interval * time.Duration(n) / time.Duration(len(fds))))
			fd := fds[n%len(fds)]
			if !sent[fd].CompareAndSwap(0, int64(time.Since(began))) {
				continue
			}
			if err := write(fd, b); err != nil {
				failed <- err
				return
			}
		}
	}()

	runtime.LockOSThread()
	m := j.measurement()
	err = m.receive(fds, func(fd int, at time.Time) (time.Duration, error) {
		return at.Sub(began) - time.Duration(sent[fd].Swap(0)), nil
	})
	ending.Store(true)
	return m.result(), errors.Join(err, <-failed)
}
