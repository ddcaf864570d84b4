package proxy

import (
	"errors"
	"io"
	"net"
	"time"

	"github.com/faultproxy/fault/faults"
)

// readSize is the most that one read of a shaped link takes: the largest
// segment that the kernel's offloading hands up.
const readSize = 64 << 10

var (
	// errSpent ends the shaped part of a link: the rest is copied as it is.
	errSpent = errors.New("no shaper alters what follows")
	// errStopped is what a link ends with when its flow was ended from
	// elsewhere.
	errStopped = errors.New("flow ended")
)

// Clock counts the time of a run.
type Clock struct{ start time.Time }

// NewClock starts at zero now.
func NewClock() Clock { return Clock{time.Now()} }

// Now is the time since the start, on the monotonic clock.
func (c Clock) Now() time.Duration { return time.Since(c.start) }

// Injection sums up what faults did to one link of a flow: how long the pieces
// that they held took from their arrival at us until they went on.
type Injection struct {
	Pieces   int
	Sum, Max time.Duration
}

// shaping is a chain at work on the bytes of one reader.
type shaping struct {
	src      io.Reader
	chain    *faults.Chain
	clock    Clock
	stop     <-chan struct{} // closed when the flow is over
	injected func(d faults.Delay, late time.Duration)
	// eof says what it means that src ended: io.EOF, or an error. It may be
	// nil, for io.EOF.
	eof func() error

	queue *line
	last  time.Duration // departure of the piece before
	sum   Injection
}

// fill reads pieces and puts them into the queue.
func (s *shaping) fill() {
	buf := make([]byte, readSize)
	for {
		n, err := s.src.Read(buf)
		if n == 0 && err == nil {
			continue
		}
		if err == io.EOF {
			err = s.end()
		}
		p := s.shape(append([]byte(nil), buf[:n]...), n, err)
		if !s.queue.put(p) || p.end != nil {
			return
		}
	}
}

// end is what an end of src means.
func (s *shaping) end() error {
	if s.eof == nil {
		return io.EOF
	}
	return s.eof()
}

// shape gives a piece of n bytes that has just arrived its time to leave.
func (s *shaping) shape(data []byte, n int, end error) piece {
	p := piece{data: data, at: s.clock.Now(), end: end}
	leave, delays, err := s.chain.Shape(p.at, n)
	s.last = max(leave, s.last) // order is kept: nothing overtakes
	p.leave, p.delays = s.last, delays
	switch {
	case err != nil:
		p.end = err
	case end == nil && s.chain.Spent():
		p.end = errSpent
	}
	return p
}

// account reports what the faults of a piece did, once it has gone on. What
// the drawn delays do not explain is our own lateness.
func (s *shaping) account(p piece) {
	if len(p.delays) == 0 {
		return
	}
	now := s.clock.Now()
	held := now - p.at
	s.sum.Pieces++
	s.sum.Sum += held
	s.sum.Max = max(s.sum.Max, held)
	for _, d := range p.delays {
		s.injected(d, now-p.leave)
	}
}

// link carries one direction of a flow to dst. It runs once, and closes
// nothing.
type link struct {
	shaping
	which faults.Link
	dst   io.Writer
	bytes int64
}

// writeError is an error of a link's dst, not of its src.
type writeError struct{ error }

// Unwrap gives the error.
func (e writeError) Unwrap() error { return e.error }

// run carries until the end of the stream, for which it returns nil, or until
// src breaks, or dst (a writeError), or stop.
func (l *link) run() error {
	if l.chain.Spent() {
		return l.copy()
	}
	l.queue = newLine(l.clock, l.stop)
	go l.fill()
	for {
		p, ok := l.queue.take()
		if !ok {
			return errStopped
		}
		if len(p.data) > 0 {
			n, err := l.dst.Write(p.data)
			l.bytes += int64(n)
			if err != nil {
				return writeError{err}
			}
		}
		l.account(p)
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
	n, err := copyStream(l.dst, l.src)
	l.bytes += n
	if err == nil {
		err = l.end()
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// copyStream copies src to dst until its end; between bare TCP connections the
// kernel moves the bytes.
func copyStream(dst io.Writer, src io.Reader) (int64, error) {
	to, ok := dst.(*net.TCPConn)
	from, bare := src.(*net.TCPConn)
	if ok && bare {
		return move(to, from)
	}
	return io.Copy(dst, src)
}
