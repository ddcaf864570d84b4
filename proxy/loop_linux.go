package proxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/faults"
)

// loop is one thread of the [engine]. All that it has is its own, but for what
// is posted to it.
type loop struct {
	server             *Server
	epoll, timer, bell int // the bell is an eventfd

	clock Clock
	start int64         // of the clock, in ns of CLOCK_MONOTONIC
	armed time.Duration // what the timer is set for
	rung  time.Duration // when somebody's time came last
	due   deadlines

	pairs     []*pair // by the descriptors of both connections
	acceptors map[int]*acceptor
	again     []*lane
	buf       []byte
	pipes     []pipe // that are spare, of allPipes
	allPipes  int
	ending    bool // of the run
	cutting   bool // every flow ends at once
	stopped   bool

	mu     sync.Mutex
	posted []func()
	closed bool // nothing that is posted is done any more
}

// bufferSize is what a read takes at most. It fits the caches of a processor.
const bufferSize = 128 << 10

func newLoop(s *Server) (l *loop, err error) {
	clock := s.Clock
	l = &loop{server: s, epoll: -1, timer: -1, bell: -1, clock: clock, armed: faults.Never, buf: make([]byte, bufferSize)}
	defer func() {
		if err != nil {
			l.close()
			err = fmt.Errorf("start a thread for flows: %w", err)
		}
	}()
	if l.start, err = clock.monotonic(); err != nil {
		return l, err
	}
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return l, err
	}
	if l.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return l, err
	}
	if l.bell, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return l, err
	}
	for _, fd := range []int{l.timer, l.bell} {
		if err = l.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN); err != nil {
			return l, err
		}
	}
	return l, nil
}

func (l *loop) close() {
	for _, fd := range []int{l.epoll, l.timer, l.bell} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	for _, p := range l.pipes {
		p.close()
	}
}

// watch has the loop woken each time that something new happens to a
// descriptor.
func (l *loop) watch(how, fd int, events uint32) error {
	return unix.EpollCtl(l.epoll, how, fd, &unix.EpollEvent{Events: events | unix.EPOLLET, Fd: int32(fd)})
}

// post has the loop do something soon. False means that it has ended.
func (l *loop) post(do func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	l.posted = append(l.posted, do)
	if len(l.posted) == 1 {
		_, _ = unix.Write(l.bell, one)
	}
	return true
}

// one is what an eventfd counts.
var one = binary.NativeEndian.AppendUint64(nil, 1)

func (l *loop) doPosted() {
	l.mu.Lock()
	posted := l.posted
	l.posted = nil
	l.mu.Unlock()
	for _, do := range posted {
		do()
	}
}

// run carries until stop is posted.
func (l *loop) run() {
	runtime.LockOSThread() // or the runtime would move it from one to another
	defer runtime.UnlockOSThread()
	events := make([]unix.EpollEvent, 256)
	for !l.stopped {
		n := l.wait(events)
		l.ring()
		for _, e := range events[:n] {
			switch fd := int(e.Fd); fd {
			case l.timer:
				l.armed = faults.Never
			case l.bell:
				l.doPosted()
			default:
				l.happened(fd, e.Events)
			}
			l.ring() // who is due does not wait for all that has happened
		}
		l.goOn()
	}
	l.doPosted() // the last
}

// happened is told what happened to a connection or a listener. It may have been
// closed by an event before, and then be nobody's, or another one by now, which
// looks for nothing.
func (l *loop) happened(fd int, events uint32) {
	if fd < len(l.pairs) && l.pairs[fd] != nil {
		p := l.pairs[fd]
		p.happened(p.reads(fd), events)
	} else if a := l.acceptors[fd]; a != nil {
		a.accept(l)
	}
}

func (l *loop) ring() {
	if len(l.due) == 0 {
		return
	}
	if now := l.clock.Now(); l.due.next() <= now {
		l.rung = now
		l.due.ring(now)
	}
}

// wait waits until something happens, or somebody's time comes.
func (l *loop) wait(events []unix.EpollEvent) int {
	timeout := -1
	if next := l.due.next(); len(l.again) > 0 {
		timeout = 0
	} else if next != faults.Never {
		early := next - l.clock.spin(next-l.rung)
		switch {
		case early <= l.clock.Now():
			timeout = 0 // which is to watch for it, if it has not come
		case next != l.armed:
			l.armed = next
			setTimer(l.timer, l.start+int64(early))
		}
	}
	n, err := unix.EpollWait(l.epoll, events, timeout)
	if err != nil { // EINTR: the runtime interrupts its threads
		return 0
	}
	return n
}

// goOn gives those another turn that had more to carry than one allows.
func (l *loop) goOn() {
	if len(l.again) == 0 {
		return
	}
	again := l.again
	l.again = nil
	for _, w := range again {
		w.queued = false
		w.move()
		l.ring()
	}
}

// later gives a lane another turn, after the others.
func (l *loop) later(w *lane) {
	if !w.queued {
		w.queued = true
		l.again = append(l.again, w)
	}
}

// add has a pair be told of what happens to its connections.
func (l *loop) add(p *pair) error {
	for which := range p.fds {
		fd := p.fd(faults.Link(which))
		if fd >= len(l.pairs) {
			l.pairs = append(l.pairs, make([]*pair, fd+1-len(l.pairs)+len(l.pairs)/4)...)
		}
		l.pairs[fd] = p
		events := uint32(arrives)
		if p.writes[which] {
			events = noRoom
		}
		if err := l.watch(unix.EPOLL_CTL_ADD, fd, events); err != nil {
			return err
		}
	}
	return nil
}

// remove closes the connections of a pair, with a reset if it says so.
func (l *loop) remove(p *pair, reset [2]bool) {
	for which := range p.fds {
		fd := p.fd(faults.Link(which))
		l.pairs[fd] = nil
		if reset[which] {
			resetFD(fd)
		}
		unix.Close(fd)
	}
}

// each does something to every pair that the loop carries.
func (l *loop) each(do func(*pair)) {
	for fd, p := range l.pairs {
		if p != nil && p.reads(fd) == faults.ToServer {
			do(p)
		}
	}
}

func (l *loop) ends() {
	l.ending = true
	l.each((*pair).move)
}

func (l *loop) cutOff() {
	l.cutting = true
	l.each(func(p *pair) { p.finish(ErrEnded) })
}

func (l *loop) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopped, l.closed = true, true
}

// pipe is what splice(2) moves bytes through. It is empty between uses.
type pipe struct{ r, w int32 }

const (
	// pipeSize is the largest pipe that needs no privilege.
	pipeSize = 1 << 20
	// mostPipes is how many a loop has. More than a few never move bytes at the
	// same time, unless their peers do not take them.
	mostPipes = 16
)

var errNoPipe = errors.New("no pipe")

func (l *loop) getPipe() (pipe, error) {
	if n := len(l.pipes); n > 0 {
		p := l.pipes[n-1]
		l.pipes = l.pipes[:n-1]
		return p, nil
	}
	if l.allPipes == mostPipes {
		return pipe{}, errNoPipe
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return pipe{}, errNoPipe
	}
	// A smaller one works, too.
	_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	l.allPipes++
	return pipe{int32(fds[0]), int32(fds[1])}, nil
}

func (l *loop) putPipe(p pipe) { l.pipes = append(l.pipes, p) }

// losePipe closes a pipe with the bytes in it.
func (l *loop) losePipe(p pipe) {
	p.close()
	l.allPipes--
}

func (p pipe) close() {
	_ = unix.Close(int(p.r))
	_ = unix.Close(int(p.w))
}
