package proxy

import (
	"io"

	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/faults"
)

// lane is one link of a [pair]. It moves when something happens to one of the
// two connections, or somebody's time has come, and never waits.
type lane struct {
	pair  *pair
	which faults.Link
	state laneState

	readable bool // src may have something to read
	thorough bool // that a read is not full does not mean that this was all
	broken   bool // src was seen to be reset
	blocked  bool // dst has no room
	queued   bool // it has another turn
	discards bool // what src says is thrown away
	bulk     uint8

	piped int32  // bytes in the pipe, which are to be written
	pipe  pipe   // zero if there is none
	out   []byte // is to be written before anything else
	bytes int64  // that dst took

	shaped *shaped // nil: what comes goes on as it is
}

type laneState uint8

const (
	laneCarries laneState = iota
	laneDone              // src has ended, and dst has been told
	laneGone              // dst is gone, and what src says is of no use
)

const (
	// turn is how many bytes a lane moves before others have their turn.
	turn = 256 << 10
	// A stream that fills bulkReads reads of bulkSize is worth a pipe, until no
	// more than bulkEnd come at once.
	bulkReads = 2
	bulkSize  = 64 << 10
	bulkEnd   = 16 << 10
)

// move moves what it can, in one turn.
func (w *lane) move() {
	for left := turn; left > 0; {
		n := w.step()
		if n == 0 {
			w.arm()
			return
		}
		left -= n
	}
	w.pair.loop.later(w)
}

// step does one thing, and says how much that was; 0 if there is nothing to do
// now.
func (w *lane) step() int {
	switch {
	case w.pair.over, w.pair.connecting:
		return 0
	case w.discards:
		return w.discardSome()
	case w.state != laneCarries:
		return 0
	case w.shaped != nil:
		return w.shaped.step()
	case w.blocked:
		return 0
	case len(w.out) > 0:
		return w.writeOut()
	case w.piped > 0:
		return w.drain()
	case !w.readable:
		return 0
	case w.bulk >= bulkReads:
		return w.splice()
	}
	return w.copy()
}

// copy carries what one read gives.
func (w *lane) copy() int {
	buf := w.pair.loop.buf
	n, end := w.read(buf)
	if end != nil {
		w.ends(end)
		return 0
	}
	if n < bulkSize {
		w.bulk = 0
	} else {
		w.bulk++
	}
	if rest := w.write(buf[:n]); len(rest) > 0 {
		w.out = append([]byte(nil), rest...)
	}
	return n
}

// read reads what src has. 0 is nothing, for now; end is io.EOF or why src
// broke.
func (w *lane) read(buf []byte) (n int, end error) {
	for {
		n, err := readFD(w.pair.fd(w.which), buf)
		switch {
		case n > 0:
			w.readable = n == len(buf) || w.thorough
			return n, nil
		case err == unix.EINTR:
			continue
		}
		w.readable = false
		switch err {
		case nil:
			return 0, w.pair.endOf(w.which)
		case unix.EAGAIN:
			return 0, nil
		}
		return 0, err
	}
}

// write gives dst what it takes, and returns the rest. If dst turns out to be
// gone that is nothing, and the lane does not carry any more.
func (w *lane) write(b []byte) (rest []byte) {
	to := 1 - w.which
	for len(b) > 0 {
		n, err := writeFD(w.pair.fd(to), b)
		switch {
		case n > 0:
			w.count(n)
			b = b[n:]
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			w.isBlocked()
			return b
		default:
			w.gone(err)
			return nil
		}
	}
	return nil
}

func (w *lane) isBlocked() {
	w.blocked = true
	w.pair.awaitRoom(1 - w.which)
}

func (w *lane) count(n int) {
	w.bytes += int64(n)
	w.pair.loop.server.gauges.carried[w.which].Add(int64(n))
}

func (w *lane) writeOut() int {
	before := len(w.out)
	w.out = w.write(w.out)
	return before - len(w.out)
}

// splice takes what src has into a pipe. What it leaves, be it nothing, an
// urgent byte or the end, is for a read to tell: splice(2) takes an urgent byte
// for the end of the stream.
func (w *lane) splice() int {
	l := w.pair.loop
	if w.pipe == (pipe{}) {
		p, err := l.getPipe()
		if err != nil {
			w.bulk = 0
			return w.copy()
		}
		w.pipe = p
	}
	n, err := transfer(w.pair.fd(w.which), int(w.pipe.w), pipeSize)
	if n < bulkEnd && err != unix.EAGAIN {
		w.bulk = 0
	}
	switch {
	case n > 0:
		w.piped = int32(n)
		return n
	case err == unix.EAGAIN:
		w.readable = false
		w.returnPipe()
		return 0
	}
	w.returnPipe()
	return w.copy()
}

// drain gives dst what is in the pipe.
func (w *lane) drain() int {
	n, err := transfer(int(w.pipe.r), w.pair.fd(1-w.which), int(w.piped))
	switch {
	case n > 0:
		w.count(n)
		w.piped -= int32(n)
		if w.piped == 0 && w.bulk < bulkReads {
			w.returnPipe()
		}
	case err == unix.EAGAIN:
		w.isBlocked()
	default:
		w.gone(err)
	}
	return n
}

func transfer(from, to, n int) (int, error) {
	for {
		m, err := unix.Splice(from, nil, to, nil, n, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		if err != unix.EINTR {
			return max(0, int(m)), err
		}
	}
}

func (w *lane) returnPipe() {
	switch {
	case w.pipe == pipe{}:
	case w.piped > 0: // which nobody will take
		w.pair.loop.losePipe(w.pipe)
	default:
		w.pair.loop.putPipe(w.pipe)
	}
	w.pipe, w.piped = pipe{}, 0
}

// ends passes on how src has ended, behind all that it said.
func (w *lane) ends(end error) {
	if end != io.EOF {
		w.pair.finish(end)
		return
	}
	p := w.pair
	if p.noted(p.carried(w.which)); p.over { // before dst hears of it, and reacts
		return
	}
	if p.ends == 0 { // otherwise the connection is closed now, which says the same
		if err := p.sendEnd(1 - w.which); err != nil {
			w.gone(err)
			return
		}
	}
	p.laneEnded(w, nil)
}

// gone notes that dst is.
func (w *lane) gone(err error) { w.pair.laneEnded(w, writeError{err}) }

// discard throws away what src still says, to hear of its end.
func (w *lane) discard() {
	w.discards, w.readable = true, true
	w.pair.loop.later(w)
}

func (w *lane) discardSome() int {
	if !w.readable {
		return 0
	}
	n, end := w.read(w.pair.loop.buf)
	if end != nil {
		w.discards = false
		w.pair.noted(w.pair.drained(w.which))
	}
	return n
}

// arm has the lane move again when a fault says so.
func (w *lane) arm() {
	if w.shaped != nil && !w.pair.over && !w.queued {
		w.shaped.arm()
	}
}

// leave lets go of what is on its way.
func (w *lane) leave() {
	if w.shaped != nil {
		w.shaped.leave()
	}
	w.returnPipe()
	w.out = nil
}
