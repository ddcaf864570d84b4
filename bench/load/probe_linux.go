package load

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// probe takes messages that the server sends now and then, so that what is in
// between delays them; how late that is it knows best itself. Meanwhile other
// flows, if there are any, have messages under way to the job itself.
func probe(j Job) (r Result, err error) {
	if j.Flows > 0 {
		around, err := newBacklog(j)
		if err != nil {
			return Result{}, err
		}
		defer func() { err = errors.Join(err, around.end()) }()
		time.Sleep(j.WarmUp)
		defer func() { r.Outstanding = around.outstanding() }()
	}
	fd, err := dial(j.To)
	if err != nil {
		return Result{}, err
	}
	defer unix.Close(fd)
	if err := write(fd, []byte{push}); err != nil {
		return Result{}, err
	}
	b := make([]byte, 64<<10)
	var first time.Time
	for time.Since(first) < j.Window || first.IsZero() {
		if _, err := read(fd, b); err != nil {
			return Result{}, err
		}
		if first.IsZero() {
			first = time.Now()
		}
	}
	abort(fd)
	return r, nil
}

// backlogEvery is how often each flow of a backlog sends.
const backlogEvery = 100 * time.Millisecond

// backlog sends messages to itself.
type backlog struct {
	listener       int
	mine           []int
	sent, received atomic.Int64 // bytes
	ending         atomic.Bool

	sending, receiving sync.WaitGroup
	errs               [2]error
}

// newBacklog sends through Via, which has to connect to Behind.
func newBacklog(j Job) (*backlog, error) {
	at, err := sockaddr(j.Behind)
	if err != nil {
		return nil, err
	}
	b := new(backlog)
	if b.listener, err = listen(at); err != nil {
		return nil, fmt.Errorf("listen at %s: %w", j.Behind, err)
	}
	b.receiving.Go(func() { b.errs[0] = b.untilEnd(b.receive) })
	through := j
	through.To = j.Via
	b.mine, err = through.dialAll(0)
	if err != nil {
		return nil, errors.Join(err, b.end())
	}
	b.sent.Store(int64(len(b.mine))) // the command
	b.sending.Go(func() { b.errs[1] = b.untilEnd(b.send) })
	return b, nil
}

// untilEnd runs a part on a thread of its own. What fails at the end was meant
// to.
func (b *backlog) untilEnd(part func() error) error {
	runtime.LockOSThread()
	if err := part(); !b.ending.Load() {
		return err
	}
	return nil
}

func (b *backlog) send() error {
	began := time.Now()
	message := make([]byte, messageSize)
	for n := 0; !b.ending.Load(); n++ {
		// Apart from each other, as flows are that know nothing of each other.
		sleepUntil(began.Add(backlogEvery * time.Duration(n) / time.Duration(len(b.mine))))
		if err := write(b.mine[n%len(b.mine)], message); err != nil {
			return err
		}
		b.sent.Add(messageSize)
	}
	return nil
}

// receive takes what comes until all connections have ended.
func (b *backlog) receive() error {
	p, err := newPoller()
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.add(b.listener); err != nil {
		return err
	}
	open := 0
	buffer := make([]byte, 64<<10)
	for {
		ready, err := p.wait(50 * time.Millisecond)
		if err != nil {
			return err
		}
		if b.ending.Load() && (open == 0 || len(ready) == 0) {
			return nil
		}
		for _, e := range ready {
			fd := int(e.Fd)
			if fd == b.listener {
				fd, _, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
				if err == unix.EAGAIN {
					continue
				}
				if err == nil {
					err = p.add(fd)
				}
				if err != nil {
					return err
				}
				open++
				continue
			}
			n, err := read(fd, buffer)
			if err != nil && err != unix.EAGAIN {
				unix.Close(fd)
				if open--; !b.ending.Load() {
					return err
				}
			}
			b.received.Add(int64(n))
		}
	}
}

// outstanding is how many messages are under way.
func (b *backlog) outstanding() int64 {
	received := b.received.Load()
	return (b.sent.Load() - received) / messageSize
}

// end resets all connections from one side, so that no end of one is a piece
// that waits in between, too.
func (b *backlog) end() error {
	b.ending.Store(true)
	b.sending.Wait()
	for _, fd := range b.mine {
		_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
		unix.Close(fd)
	}
	b.receiving.Wait()
	unix.Close(b.listener)
	return errors.Join(b.errs[:]...)
}
