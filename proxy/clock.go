package proxy

import "time"

// Clock counts the time of a run.
type Clock struct {
	start time.Time
	alarm *alarm // nil: the runtime's timers do
}

// NewClock starts at zero now. It wakes by the runtime's timers, which may be a
// millisecond late.
func NewClock() Clock { return Clock{start: time.Now()} }

// Spin is how long before its time a precise clock begins to watch for it, at
// most: what a processor takes at most, mostly, to wake up.
const Spin = 250 * time.Microsecond

// leastSpin is the same where times are close to each other: to watch for longer
// would make them late, as it takes the processors from those who send.
const leastSpin = 30 * time.Microsecond

// NewExactClock is a [NewClock] that wakes within what a processor takes to wake
// up, where the kernel helps (Linux); a precise one is awake before, which costs
// up to [Spin] of a processor each time. The caller closes it.
func NewExactClock(precise bool) (Clock, error) {
	c := NewClock()
	var err error
	c.alarm, err = newAlarm(c, precise)
	return c, err
}

// Close ends the waking; nobody may wait any more.
func (c Clock) Close() error {
	if c.alarm == nil {
		return nil
	}
	return c.alarm.close()
}

// Now is the time since the start, on the monotonic clock.
func (c Clock) Now() time.Duration { return time.Since(c.start) }

// at closes a channel when a time has come. Who does not wait for it any more
// cancels that.
func (c Clock) at(when time.Duration) (reached <-chan struct{}, cancel func()) {
	if c.alarm != nil {
		return c.alarm.at(when)
	}
	done := make(chan struct{})
	t := time.AfterFunc(when-c.Now(), func() { close(done) })
	return done, func() { t.Stop() }
}
