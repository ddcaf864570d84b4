package proxy

import (
	"errors"
	"io"
	"time"

	"github.com/faultproxy/fault/faults"
)

const (
	// readSize is the most that one read of a shaped link takes: the largest
	// segment that the kernel's offloading hands up.
	readSize = 64 << 10
	// drainSize is the most that one read of what is thrown away takes.
	drainSize = 16 << 10
)

var (
	// errSpent ends the shaped part of a link: the rest is copied as it is.
	errSpent = errors.New("no shaper alters what follows")
	// errStopped is what a link ends with when its flow was ended from
	// elsewhere.
	errStopped = errors.New("flow ended")
)

// shaping is a chain at work on the bytes of one reader.
type shaping struct {
	src   io.Reader
	chain *faults.Chain
	clock Clock
	life
	injected func(e faults.Effect, late time.Duration)
	// eof says what it means that src ended: io.EOF, or an error. It may be
	// nil, for io.EOF.
	eof func() error
	// lost is called when the link goes dark: nothing arrives any more. It may
	// be nil, as drained, which is called when after that src has ended.
	lost    func()
	drained func(end error)
	// discarded gets the end of src when the link was truncated before; it has
	// room for it. If it is nil, nothing is read any more.
	discarded chan error

	queue *line
	hold  time.Duration // until when the sender was held back
	*tally
	*meter
	store *store // what all links hold
}

// fill reads pieces and puts them into the queue, until the end of src.
func (s *shaping) fill() {
	buf := make([]byte, readSize)
	for {
		asked := s.clock.Now()
		n, err := s.src.Read(buf)
		if n == 0 && err == nil {
			continue
		}
		if err == io.EOF {
			err = s.end()
		}
		at, data := s.arrival(asked), append([]byte(nil), buf[:n]...)
		if n > 0 && err != nil && s.chain.EndsApart() {
			if !s.take(at, data, nil) {
				return
			}
			data = nil
		}
		if !s.take(at, data, err) {
			return
		}
	}
}

// prompt is how long a read takes at most that finds something.
const prompt = 5 * time.Millisecond

// arrival is when what was just read arrived. If it was there when the sender
// was let on again, it came then: that we woke up late must not slow the line.
func (s *shaping) arrival(asked time.Duration) time.Duration {
	now := s.clock.Now()
	if s.hold > 0 && now-asked < prompt {
		return min(now, s.hold)
	}
	return now
}

// end is what an end of src means.
func (s *shaping) end() error {
	if s.eof == nil {
		return io.EOF
	}
	return s.eof()
}

// take queues what has arrived, in pieces that are not larger than the faults
// want them. False means that nothing more is to be read.
func (s *shaping) take(at time.Duration, data []byte, end error) bool {
	for {
		p, rest, d := s.decide(at, data, end)
		switch {
		case p.leave == faults.Never:
			s.lose(p, rest, end)
			return false
		case d.Err != nil:
			s.cut(p, d, rest, end)
			return false
		}
		data = rest
		if !s.queue.put(p) || p.end != nil {
			return false
		}
		if len(data) == 0 {
			if s.hold = 0; d.Hold > s.clock.Now() {
				s.hold = d.Hold
			}
			return s.wait(s.clock, d.Hold) == nil
		}
	}
}

// decide has the faults decide about the first piece of what has arrived. Of a
// piece behind which they end the link, it keeps what still goes on.
func (s *shaping) decide(at time.Duration, data []byte, end error) (p piece, rest []byte, d faults.Departure) {
	size := s.chain.Piece(at, len(data))
	d = s.chain.Shape(at, size)
	p = piece{data: data[:size], leave: d.Leave, effects: d.Effects}
	rest = data[size:]
	switch {
	case d.Leave == faults.Never:
	case d.Err != nil:
		p.data, p.end, rest = data[:d.Kept], d.Err, data[d.Kept:]
	case len(rest) > 0:
	case end == nil && s.chain.Spent():
		p.end = errSpent
	default:
		p.end = end
	}
	return p, rest, d
}

// report counts what a fault did, and tells of it.
func (s *shaping) report(e faults.Effect, late, now time.Duration) {
	s.add(e, late, now)
	s.injected(e, late)
}

// tell reports what the faults did to a piece, which has gone on or is lost by
// now. What the drawn delays do not explain is our own lateness.
func (s *shaping) tell(p piece, now time.Duration) {
	late := time.Duration(0)
	if p.leave != faults.Never {
		late = max(0, now-p.leave)
	}
	for _, e := range p.effects {
		s.report(e, late, now)
	}
}

// link carries one direction of a flow to dst. It runs once, and closes
// nothing.
type link struct {
	shaping
	which faults.Link
	dst   io.Writer
}

// writeError is an error of a link's dst, not of its src.
type writeError struct{ error }

// Unwrap gives the error.
func (e writeError) Unwrap() error { return e.error }

// run carries until the end of the stream, for which it returns nil, or until
// src breaks, or dst (a writeError), or stop, or until a fault ends the link
// ([faults.ErrReset], [faults.ErrTruncated]).
func (l *link) run() error {
	if l.chain.Spent() {
		return l.copy()
	}
	l.queue = newLine(l.clock, l.life, l.store)
	defer l.queue.leave()
	go l.fill()
	for {
		p, err := l.queue.take()
		if err != nil {
			return err
		}
		if len(p.data) > 0 {
			n, err := l.dst.Write(p.data)
			l.count(n)
			if err != nil {
				return writeError{err}
			}
		}
		l.tell(p, l.clock.Now())
		switch p.end {
		case nil:
		case io.EOF:
			return nil
		case errSpent:
			return l.copy()
		default:
			return p.end
		}
	}
}

// copy carries the rest as it is.
func (l *link) copy() error {
	_, err := io.Copy(writer{l.dst, l.count}, l.src)
	if err == nil {
		err = l.end()
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// writer counts what it writes, and marks the errors of writing.
type writer struct {
	io.Writer
	count func(n int)
}

func (w writer) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	w.count(n)
	if err != nil {
		err = writeError{err}
	}
	return n, err
}
