package proxy

import (
	"sync"
	"time"

	"github.com/faultproxy/fault/faults"
)

// lineCapacity bounds what waits in one line, in bytes: what a link of 300 ms
// needs to carry 100 MB/s. Beyond it the sender is held back as by any
// receiver that is full.
const lineCapacity = 32 << 20

// pieceOverhead is what a piece costs beside its bytes, so that a line of many
// tiny ones is bounded, too.
const pieceOverhead = 128

// piece is some bytes of a link, or its end, on their way.
type piece struct {
	data   []byte
	at     time.Duration  // when it arrived
	leave  time.Duration  // when it may go on
	delays []faults.Delay // what held it
	end    error          // if set nothing follows: io.EOF, errSpent, or why
}

func (p *piece) cost() int { return len(p.data) + pieceOverhead }

// line is the queue of a link: pieces go in as they arrive and come out in the
// same order, none before its time. Nothing else in the program waits for a
// fault. It has one writer and one reader.
type line struct {
	clock Clock
	stop  <-chan struct{} // closed when the flow is over

	mu     sync.Mutex
	pieces []piece
	bytes  int
	filled chan struct{} // has a token when pieces may have come
	room   chan struct{} // has a token when room may have come
}

func newLine(clock Clock, stop <-chan struct{}) *line {
	return &line{
		clock: clock, stop: stop,
		filled: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
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
	if l.bytes > 0 && l.bytes+p.cost() > lineCapacity {
		return false
	}
	l.pieces = append(l.pieces, p)
	l.bytes += p.cost()
	return true
}

// take waits for the next piece and for its time. False means that the flow is
// over.
func (l *line) take() (piece, bool) {
	p, ok := l.head()
	for !ok {
		select {
		case <-l.filled:
		case <-l.stop:
			return piece{}, false
		}
		p, ok = l.head()
	}
	if !wait(l.clock, p.leave, l.stop) {
		return piece{}, false
	}
	l.mu.Lock()
	l.pieces[0] = piece{} // lets go of the bytes
	l.pieces = l.pieces[1:]
	l.bytes -= p.cost()
	l.mu.Unlock()
	signal(l.room)
	return p, true
}

func (l *line) head() (piece, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.pieces) == 0 {
		return piece{}, false
	}
	return l.pieces[0], true
}

// wait waits until a time of the run. False means that stop came first.
func wait(clock Clock, until time.Duration, stop <-chan struct{}) bool {
	if until == faults.Never {
		<-stop
		return false
	}
	d := until - clock.Now()
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-stop:
		return false
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
