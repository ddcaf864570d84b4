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
	for end := time.Now().Add(j.Window); time.Now().Before(end); {
		if _, err := read(fd, b); err != nil {
			return Result{}, err
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
	all            sync.WaitGroup
	errs           [2]error
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
	b.all.Go(func() { b.errs[0] = b.untilEnd(b.receive) })
	through := j
	through.To = j.Via
	b.mine, err = through.dialAll(0)
	if err != nil {
		return nil, errors.Join(err, b.end())
	}
	b.sent.Store(int64(len(b.mine))) // the command
	b.all.Go(func() { b.errs[1] = b.untilEnd(b.send) })
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
		// A few at once: to wake up for each would take more than to send it.
		due := backlogEvery * time.Duration(n) / time.Duration(len(b.mine))
		sleepUntil(began.Add(due.Truncate(time.Millisecond)))
		if err := write(b.mine[n%len(b.mine)], message); err != nil {
			return err
		}
		b.sent.Add(messageSize)
	}
	return nil
}

func (b *backlog) receive() error {
	p, err := newPoller()
	if err != nil {
		return err
	}
	defer p.close()
	if err := p.add(b.listener); err != nil {
		return err
	}
	var theirs []int
	defer func() { closeAll(theirs) }()
	buffer := make([]byte, 64<<10)
	for !b.ending.Load() {
		ready, err := p.wait(50 * time.Millisecond)
		if err != nil {
			return err
		}
		for _, e := range ready {
			fd := int(e.Fd)
			if fd == b.listener {
				fd, _, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
				if err == nil {
					theirs = append(theirs, fd)
					err = p.add(fd)
				}
				if err != nil && err != unix.EAGAIN {
					return err
				}
				continue
			}
			n, err := read(fd, buffer)
			if err != nil && err != unix.EAGAIN {
				return err
			}
			b.received.Add(int64(n))
		}
	}
	return nil
}

// outstanding is how many messages are under way.
func (b *backlog) outstanding() int64 {
	received := b.received.Load()
	return (b.sent.Load() - received) / messageSize
}

func (b *backlog) end() error {
	b.ending.Store(true)
	for _, fd := range b.mine {
		abort(fd) // what is under way is not waited for
	}
	b.all.Wait()
	closeAll(b.mine)
	unix.Close(b.listener)
	return errors.Join(b.errs[:]...)
}
