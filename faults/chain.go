package faults

import "time"

// Chain is the shapers of one link, one after another.
type Chain struct {
	stages  []stage
	carrier Carrier
	paused  func() bool
	now     time.Duration // the last arrival
}

// stage is one fault in a chain. A fault that comes on again after a pause
// begins anew.
type stage struct {
	fault    int
	schedule Schedule
	draw     func() Shaper
	most     int // bytes of a piece

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
	// how many of them it chose. A packet that is sent again is one more.
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
	// Err ends the flow with a reset when the piece would leave.
	Err error
}

// Shape is that of the shapers together. Pieces keep their order.
func (c *Chain) Shape(at time.Duration, n int) Departure {
	c.now = at
	paused := c.paused != nil && c.paused()
	d := Departure{Leave: at, Hold: at}
	for i := range c.stages {
		s := &c.stages[i]
		arrived := d.Leave
		if !paused && s.on(arrived) {
			e, err := s.shape(arrived, n)
			if d.Err = err; err != nil {
				break
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
	return d
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
	if c.paused != nil && c.paused() {
		return n
	}
	for _, s := range c.stages {
		if s.most < n && s.schedule.On(at) {
			n = s.most
		}
	}
	return n
}

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
