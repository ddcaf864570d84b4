package proxy

import (
	"sync"
	"time"

	"github.com/faultproxy/fault/faults"
)

// pieceOverhead is what a piece costs beside its bytes, so that a line of many
// tiny ones is bounded, too.
const pieceOverhead = 128

// piece is some bytes of a link, or its end, on their way.
type piece struct {
	data    []byte
	leave   time.Duration   // when it may go on
	effects []faults.Effect // what the faults did to it
	end     error           // if set nothing follows: io.EOF, errSpent, or why
}

func (p *piece) cost() int { return len(p.data) + pieceOverhead }

// line is the queue of a link: pieces go in as they arrive and come out in the
// same order, none before its time. Nothing else in the program waits for a
// fault. It has one writer and one reader.
type line struct {
	clock Clock
	life
	store *store // of all lines

	mu     sync.Mutex
	left   bool // nobody takes pieces any more
	pieces []piece
	bytes  int
	filled chan struct{} // has a token when pieces may have come
	room   chan struct{} // has a token when room may have come
}

func newLine(clock Clock, l life, all *store) *line {
	return &line{
		clock: clock, life: l, store: all,
		filled: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
}

// life is what ends the waiting of a flow.
type life struct {
	stop   <-chan struct{} // closed when the flow is over
	ending <-chan struct{} // closed when the run is: nobody waits for ever then
}

// put appends a piece when there is room. False means that the flow is over.
func (l *line) put(p piece) bool {
	for !l.append(p) {
		select {
		case <-l.room:
		case <-l.stop:
			return false
		}
	}
	signal(l.filled)
	return true
}

func (l *line) append(p piece) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.store.fits(l.bytes, p.cost()) {
		return false
	}
	l.pieces = append(l.pieces, p)
	l.bytes += p.cost()
	if !l.left {
		l.store.waiting.Add(int64(len(p.data)))
	}
	return true
}

// leave says that nobody takes what is in the line, or what still comes.
func (l *line) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left {
		return
	}
	l.left = true
	for _, p := range l.pieces {
		l.store.waiting.Add(-int64(len(p.data)))
	}
}

// take waits for the next piece and for its time. The error says that the flow
// is over, or with [ErrEnded] that it had better be.
func (l *line) take() (piece, error) {
	p, ok := l.head()
	for !ok {
		select {
		case <-l.filled:
		case <-l.stop:
			return piece{}, errStopped
		}
		p, ok = l.head()
	}
	if err := l.wait(l.clock, p.leave); err != nil {
		return piece{}, err
	}
	l.mu.Lock()
	l.pieces[0] = piece{} // lets go of the bytes
	l.pieces = l.pieces[1:]
	l.bytes -= p.cost()
	l.mu.Unlock()
	l.store.waiting.Add(-int64(len(p.data)))
	signal(l.room)
	return p, nil
}

func (l *line) head() (piece, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pieces) == 0 {
		return piece{}, false
	}
	return l.pieces[0], true
}

// wait waits until a time of the run. The error is that of [line.take].
func (l life) wait(clock Clock, until time.Duration) error {
	if until == faults.Never {
		select {
		case <-l.stop:
			return errStopped
		case <-l.ending:
			return ErrEnded
		}
	}
	if until <= clock.Now() {
		return nil
	}
	reached, cancel := clock.at(until)
	defer cancel()
	select {
	case <-reached:
		return nil
	case <-l.stop:
		return errStopped
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
