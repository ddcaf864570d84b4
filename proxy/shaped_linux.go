package proxy

import (
	"io"
	"time"

	"github.com/faultproxy/fault/faults"
)

// shaped is what faults do to a [lane]. Pieces wait in it for their time, as
// they do in the [line] of a [link].
type shaped struct {
	shaping
	lane    *lane
	timer   deadline
	pieces  []piece
	cost    int // of the pieces
	leaves  piece
	leaving bool // leaves is being written

	early   []byte // was read from src before
	reads   reading
	rest    []byte // has arrived, and found no room
	restAt  time.Duration
	swallow faults.Effect // what it is that swallows

	truncated bool  // dst has been told the end
	srcEnd    error // of src, of which dst is not told
	flush     *flushing
}

// reading is what becomes of what src says.
type reading uint8

const (
	readShapes   reading = iota // pieces
	readSwallows                // it is counted
	readNothing                 // it stays where it is
)

// flushing waits until the peer's kernel has all that was sent to a connection.
type flushing struct {
	fd    int
	at    time.Duration // when to ask
	again time.Duration // and after that
	then  func()
}

func newShaped(w *lane, s shaping) *shaped {
	h := &shaped{lane: w, shaping: s}
	h.timer.ring = w.move
	return h
}

// step is that of the lane.
func (h *shaped) step() int {
	if h.flush != nil {
		h.askFlushed()
		return 0
	}
	if n := h.release(); n > 0 || h.lane.pair.over || h.lane.shaped != h {
		return n
	}
	return h.take()
}

// release lets the next piece go on whose time has come.
func (h *shaped) release() int {
	w := h.lane
	now := h.clock.Now()
	if !h.leaving {
		if len(h.pieces) == 0 {
			return 0
		}
		if leave := h.pieces[0].leave; leave > now {
			if leave == faults.Never && w.pair.loop.ending {
				w.pair.finish(ErrEnded)
			}
			return 0
		}
		h.pop()
	}
	if w.blocked {
		return 0
	}
	n := len(w.out)
	w.out = w.write(w.out)
	if w.pair.over || w.shaped != h || len(w.out) > 0 {
		return 0
	}
	h.leaving = false
	h.tell(h.leaves, now)
	h.left(h.leaves.end)
	return n + 1
}

// pop takes out the first piece, to be written.
func (h *shaped) pop() {
	p := h.pieces[0]
	h.pieces[0] = piece{} // lets go of the bytes
	if h.pieces = h.pieces[1:]; len(h.pieces) == 0 {
		h.pieces = nil
	}
	h.cost -= p.cost()
	h.store.waiting.Add(-int64(len(p.data)))
	h.leaves, h.leaving, h.lane.out = p, true, p.data
}

// left is what follows behind a piece that has gone on.
func (h *shaped) left(end error) {
	w := h.lane
	switch end {
	case nil:
	case errSpent:
		h.leave()
	case faults.ErrReset:
		h.flushes(1-w.which, func() { w.pair.finish(faults.ErrReset) })
	case faults.ErrTruncated:
		w.pair.cut(w.which)
		if err := w.pair.sendEnd(1 - w.which); err != nil {
			w.gone(err)
			return
		}
		h.truncated = true
		h.resolve()
	default:
		w.ends(end)
	}
}

// resolve ends a link that was truncated, when the stream itself has ended, or
// when the other link is done: nobody is left then to talk to src.
func (h *shaped) resolve() {
	w := h.lane
	p := w.pair
	switch {
	case !h.truncated || h.flush != nil:
	case h.srcEnd == io.EOF:
		if p.noted(p.carried(w.which)); !p.over {
			p.laneEnded(w, nil)
		}
	case h.srcEnd != nil:
		p.finish(h.srcEnd)
	case p.lanes[1-w.which].state != laneCarries:
		// What is not read of src makes closing it a reset, which would overtake
		// what it is told.
		h.flushes(w.which, func() { p.laneEnded(w, nil) })
	}
}

// alone is called when the other lane is done.
func (h *shaped) alone() {
	if h.truncated {
		h.resolve()
		h.lane.arm()
	}
}

// take takes in what has arrived, if there is room.
func (h *shaped) take() int {
	w := h.lane
	switch h.reads {
	case readNothing:
		return 0
	case readSwallows:
		return h.swallowSome()
	}
	if len(h.rest) > 0 {
		if !h.store.fits(h.cost, pieceOverhead+1) {
			return 0
		}
		rest := h.rest
		h.rest = nil
		h.admit(h.restAt, rest, nil)
		return len(rest) - len(h.rest)
	}
	now := h.clock.Now()
	if h.hold > now {
		return 0
	}
	if len(h.early) > 0 {
		early := h.early
		h.early = nil
		h.admit(now, early, nil)
		return len(early)
	}
	room := h.store.room(h.cost)
	if room == 0 {
		return 0
	}
	var n int
	var end error
	buf := w.pair.loop.buf[:min(room, readSize)]
	if w.readable {
		n, end = w.read(buf)
	}
	// If there was something when the sender was let on again, it came then: that
	// we woke up late must not slow the line.
	at := now
	if h.hold > 0 && n > 0 {
		at = min(now, h.hold)
	}
	h.hold = 0
	if n == 0 && end == nil {
		return 0
	}
	h.admit(at, append([]byte(nil), buf[:n]...), end)
	return n + 1
}

// admit has what has arrived wait, in pieces that are not larger than the
// faults want them.
func (h *shaped) admit(at time.Duration, data []byte, end error) {
	for {
		p, rest, d := h.decide(at, data, end)
		switch {
		case p.leave == faults.Never:
			h.lose(p, d, rest, end)
			return
		case d.Err != nil:
			h.put(p)
			h.reads = readNothing
			if d.Err == faults.ErrTruncated {
				h.swallows(d.By, len(rest), end)
			}
			return
		}
		h.put(p)
		switch data = rest; {
		case p.end != nil:
			h.reads = readNothing
			return
		case len(data) == 0:
			if d.Hold > h.clock.Now() {
				h.hold = d.Hold
			}
			return
		case !h.store.fits(h.cost, pieceOverhead+1):
			h.rest, h.restAt = data, at
			return
		}
	}
}

func (h *shaped) put(p piece) {
	h.pieces = append(h.pieces, p)
	h.cost += p.cost()
	h.store.waiting.Add(int64(len(p.data)))
}

// lose swallows a piece and all that comes after.
func (h *shaped) lose(p piece, d faults.Departure, rest []byte, end error) {
	h.tell(p, h.clock.Now())
	h.put(piece{leave: faults.Never})
	h.lane.pair.lose(h.lane.which)
	h.swallows(p.effects[len(p.effects)-1].Fault, len(rest), end)
}

// swallows has a fault swallow the rest of what has arrived, and what still
// comes.
func (h *shaped) swallows(by, n int, end error) {
	h.reads, h.swallow = readSwallows, faults.Effect{Fault: by, Delay: faults.Never}
	h.shaping.swallow(h.swallow, n)
	if end != nil {
		h.swallowed(end)
	}
}

func (h *shaped) swallowSome() int {
	w := h.lane
	if !w.readable {
		return 0
	}
	n, end := w.read(w.pair.loop.buf)
	h.shaping.swallow(h.swallow, n)
	if end != nil {
		h.swallowed(end)
	}
	return n
}

// swallowed is what the end of src means, of which dst is not told.
func (h *shaped) swallowed(end error) {
	p := h.lane.pair
	h.reads, h.srcEnd = readNothing, end
	if p.dark[h.lane.which] {
		p.noted(p.drained(h.lane.which))
	} else {
		h.resolve()
	}
}

// flushes has something done when a connection's peer has all that was sent to
// it. The kernel tells of that only when asked.
func (h *shaped) flushes(to faults.Link, then func()) {
	h.flush = &flushing{fd: h.lane.pair.fd(to), again: flushAgain, then: then}
	h.askFlushed()
}

func (h *shaped) askFlushed() {
	f := h.flush
	now := h.clock.Now()
	switch {
	case flushed(f.fd):
		h.flush = nil
		f.then()
	case f.at <= now:
		f.at = now + f.again
		f.again = min(2*f.again, flushPatience)
	}
}

// arm has the lane move at the next time that matters.
func (h *shaped) arm() {
	next := faults.Never
	switch {
	case h.flush != nil:
		next = h.flush.at
	case !h.leaving && len(h.pieces) > 0:
		next = h.pieces[0].leave
	}
	if h.flush == nil && h.reads == readShapes && h.hold > h.clock.Now() {
		next = min(next, h.hold)
	}
	if l := h.lane.pair.loop; next != h.timer.until || h.timer.index == 0 {
		l.due.set(&h.timer, next)
	}
}

// leave ends the shaping of the lane: what waits is gone.
func (h *shaped) leave() {
	for _, p := range h.pieces {
		h.store.waiting.Add(-int64(len(p.data)))
	}
	h.pieces = nil
	h.lane.pair.loop.due.remove(&h.timer)
	h.lane.shaped = nil
}
