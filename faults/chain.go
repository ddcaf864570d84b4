package faults

import (
	"errors"
	"time"
)

// Chain is the shapers of one link, one after another.
type Chain struct {
	stages  []stage
	carrier Carrier
	paused  func() bool
	now     time.Duration // the last arrival
	// endsApart is whether a fault minds the end of the stream.
	endsApart bool
}

// stage is one fault in a chain. A fault that comes on again after a pause
// begins anew.
type stage struct {
	fault    int
	schedule Schedule
	draw     func() Shaper
	most     func() int // bytes of the next piece; nil if that does not matter

	period int // of the schedule, that shaper is for; -1 before the first
	shaper Shaper
	last   time.Duration // departure of the piece before
}

// Effect is what one fault of the plan did to one piece, or to one request.
type Effect struct {
	Fault int // index in [Plan.Faults]
	// Delay is how long the fault holds the piece; [Never] if it swallows it.
	Delay time.Duration
	// Bytes is how long the piece is.
	Bytes int
	// Tried is how many packets, or requests, the fault decided about, and Hit
	// how many of them it chose. A packet that is sent again is one more. A fault
	// that ends the link chose once, and one that slices each of its pieces.
	Tried, Hit int
}

// Departure is what a chain decided about a piece.
type Departure struct {
	// Leave is when the piece may go on, [Never] if it does not.
	Leave time.Duration
	// Hold is when the sender may go on: it fills a queue faster than that
	// empties.
	Hold time.Duration
	// Full is the fault whose queue that is, if the sender is to wait.
	Full int
	// Effects is what each fault did, of those that did something.
	Effects []Effect
	// Err ends the link behind the first Kept bytes of the piece, when they
	// leave: as a truncated stream if it is [ErrTruncated], and with a reset of
	// the flow otherwise.
	Err  error
	Kept int
	By   int // the fault that ends it
}

// Shape is that of the shapers together. Pieces keep their order.
func (c *Chain) Shape(at time.Duration, n int) Departure { return c.shape(at, n, false) }

// Head is Shape for n bytes, such as the head of a message, that count in no
// limit, but for one of none.
func (c *Chain) Head(at time.Duration, n int) Departure { return c.shape(at, n, true) }

func (c *Chain) shape(at time.Duration, n int, head bool) Departure {
	c.now = at
	paused := c.isPaused()
	d := Departure{Leave: at, Hold: at}
	for i := range c.stages {
		s := &c.stages[i]
		arrived := d.Leave
		if !paused && s.on(arrived) {
			if l, ok := s.shaper.(*limit); ok && head {
				l.spare(n)
			}
			e, err := s.shape(arrived, n)
			if err != nil {
				n = d.end(err, s.fault, n)
				if n == 0 {
					break
				}
			}
			if e.Delay > 0 || e.Tried > 0 {
				d.Effects = append(d.Effects, e)
			}
			if d.Leave = later(arrived, e.Delay); d.Leave == Never && c.carrier == Datagrams {
				break // and those behind it do not wait for what is gone
			}
		}
		d.Leave = max(d.Leave, s.last)
		s.last = d.Leave
		if d.Leave == Never {
			break
		}
		if q, ok := s.shaper.(queue); ok && !paused {
			if hold := at + d.Leave - arrived - q.depth(); hold > d.Hold {
				d.Hold, d.Full = hold, s.fault
			}
		}
	}
	d.told()
	return d
}

// end takes what a shaper says of the end of the link, and gives how many of n
// bytes go on before it. What a fault behind it says comes first.
func (d *Departure) end(err error, fault, n int) int {
	kept := 0
	if c := (*cut)(nil); errors.As(err, &c) {
		kept, err = min(n, c.kept), c.how
	}
	if d.Err == nil || kept < d.Kept {
		d.Err, d.Kept, d.By = err, kept, fault
	}
	return kept
}

// told is what the fault did that ends the link, if one does.
func (d *Departure) told() {
	if d.Err == ErrReset || d.Err == ErrTruncated {
		d.Effects = append(d.Effects, Effect{Fault: d.By, Bytes: d.Kept, Tried: 1, Hit: 1})
	}
}

// on says whether the fault is on when a piece gets there, and if so has a
// shaper for it.
func (s *stage) on(at time.Duration) bool {
	period, on := s.schedule.period(at)
	if on && period != s.period {
		s.period, s.shaper = period, s.draw()
	}
	return on
}

func (s *stage) shape(at time.Duration, n int) (Effect, error) {
	e := Effect{Fault: s.fault, Bytes: n}
	var tried, hit int
	packets, samples := s.shaper.(sampler)
	if samples {
		tried, hit = packets.sampled()
	}
	leave, err := s.shaper.Shape(at, n)
	if err != nil {
		return e, err
	}
	if _, waits := s.shaper.(queue); waits {
		leave = min(leave, s.schedule.end(s.period))
	}
	if e.Delay = leave - at; leave == Never {
		e.Delay = Never
	}
	if samples {
		e.Tried, e.Hit = packets.sampled()
		e.Tried -= tried
		e.Hit -= hit
	}
	return e, nil
}

// Piece is how many of n bytes that arrive at a time are one piece. A datagram
// is never divided.
func (c *Chain) Piece(at time.Duration, n int) int {
	if c.isPaused() {
		return n
	}
	for _, s := range c.stages {
		if s.most != nil && s.schedule.On(at) {
			n = min(n, s.most())
		}
	}
	return n
}

// EndsApart says that the end of the stream is to be a piece of its own, and
// not part of the last one.
func (c *Chain) EndsApart() bool { return c.endsApart }

func (c *Chain) isPaused() bool { return c.paused != nil && c.paused() }

// Spent says that no later piece will be altered.
func (c *Chain) Spent() bool {
	for i := range c.stages {
		if !c.stages[i].spent(c.now) {
			return false
		}
	}
	return true
}

// spent says that the fault is over, or that what it does to a link is done.
// It is neither while the rest of a stream waits behind what does not arrive.
func (s *stage) spent(now time.Duration) bool {
	if s.last == Never || !s.schedule.last(now) {
		return false
	}
	period, on := s.schedule.period(now)
	return !on || period == s.period && s.shaper.Spent()
}
