package load

import (
	"errors"
	"runtime"
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
	runtime.LockOSThread()
	m := measurement{pids: tree(j.PID), took: make([]time.Duration, 0, 1<<20)}
	if len(fds) == 1 {
		err = ping(j, fds[0], &m)
	} else {
		err = pingAll(j, fds, &m)
	}
	if err != nil {
		return Result{}, err
	}
	return m.result(), nil
}

// measurement collects what each of many things took.
type measurement struct {
	pids     []int
	took     []time.Duration
	began    time.Time
	computed time.Duration
}

// begin forgets what was before, which was warming up.
func (m *measurement) begin() {
	m.took = m.took[:0]
	m.began, m.computed = time.Now(), clock(m.pids)
}

func (m *measurement) result() Result {
	lasted, cpu := time.Since(m.began), clock(m.pids)-m.computed
	r := Result{PerSecond: perSecond(len(m.took), lasted), CPU: each(cpu, len(m.took))}
	r.P50, r.P99 = percentiles(m.took)
	return r
}

func ping(j Job, fd int, m *measurement) error {
	b := make([]byte, messageSize)
	for _, lasts := range []time.Duration{j.WarmUp, j.Window} {
		m.begin()
		for now := m.began; now.Sub(m.began) < lasts; {
			sent := now
			err := write(fd, b)
			if err == nil {
				err = readFull(fd, b)
			}
			if err != nil {
				return err
			}
			now = time.Now()
			m.took = append(m.took, now.Sub(sent))
		}
	}
	return nil
}

func pingAll(j Job, fds []int, m *measurement) error {
	type message struct {
		sent time.Time
		got  int
	}
	p, err := newPoller()
	if err != nil {
		return err
	}
	defer p.close()
	b := make([]byte, messageSize)
	flows := make(map[int]*message, len(fds))
	for _, fd := range fds {
		if err := p.add(fd); err != nil {
			return err
		}
		flows[fd] = &message{sent: time.Now()}
		if err := write(fd, b); err != nil {
			return err
		}
	}
	for _, lasts := range []time.Duration{j.WarmUp, j.Window} {
		m.begin()
		for time.Since(m.began) < lasts {
			ready, err := p.wait(patience)
			if err != nil {
				return err
			}
			if len(ready) == 0 {
				return errors.New("no answer")
			}
			for _, e := range ready {
				fd := int(e.Fd)
				flow := flows[fd]
				n, err := read(fd, b[flow.got:])
				if err != nil {
					return err
				}
				if flow.got += n; flow.got < messageSize {
					continue
				}
				now := time.Now()
				m.took = append(m.took, now.Sub(flow.sent))
				flow.got, flow.sent = 0, now
				if err := write(fd, b); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
