package faults

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Reset resets both ends of a flow, after so many bytes or so long, whichever
// is first.
type Reset struct {
	// AfterBytes is how many bytes of one link arrive before; with 0 the flow
	// ends with the first. [Unlimited] leaves it to After.
	AfterBytes int64
	// After is the age of the flow, 0 if that does not matter. Nothing needs to
	// arrive then.
	After time.Duration
	// On is the links of which bytes are counted.
	On Links
}

// Name is "reset".
func (f Reset) Name() string { return "reset" }

// Links is f.On, and none if bytes do not count.
func (f Reset) Links() Links {
	if f.AfterBytes == Unlimited {
		return 0
	}
	return f.On
}

// String describes the settings.
func (f Reset) String() string {
	switch {
	case f.AfterBytes == Unlimited:
		return fmt.Sprintf("both ends after %v", f.After)
	case f.AfterBytes == 0 && f.After == 0:
		return fmt.Sprintf("both ends at the first byte; %v", f.On)
	case f.After == 0:
		return fmt.Sprintf("both ends after %s; %v", bytes(f.AfterBytes), f.On)
	}
	return fmt.Sprintf("both ends after %v or %s; %v", f.After, bytes(f.AfterBytes), f.On)
}

// Validate wants something to reset after.
func (f Reset) Validate() error {
	switch {
	case f.AfterBytes < 0:
		return fmt.Errorf("a reset after %d bytes", f.AfterBytes)
	case f.After < 0:
		return fmt.Errorf("a reset after %v", f.After)
	case f.AfterBytes == Unlimited && f.After == 0:
		return fmt.Errorf("a reset after neither bytes nor a time")
	}
	return nil
}

// Shaper gives the limit of one link.
func (f Reset) Shaper(*rand.Rand, Carrier) Shaper { return &limit{f.AfterBytes, ErrReset} }

func (f Reset) ofStreams() {}

// Expiry is when a fault resets a flow whether or not anything arrives.
type Expiry struct {
	// At is the time, [Never] if none does.
	At    time.Duration
	Fault int // index in [Plan.Faults]
}

// pausedAgain is after how long a pause is looked at again.
const pausedAgain = 100 * time.Millisecond

// Expiry gives the next one, from a time on, of a flow that began at another.
// While the plan is paused that is only when to ask again.
func (p *Plan) Expiry(flow uint64, began, now time.Duration) Expiry {
	next := Expiry{At: Never}
	for i, f := range p.Faults {
		reset, ok := f.Fault.(Reset)
		if !ok || reset.After == 0 || !p.Applies(flow, i) {
			continue
		}
		if at := f.Schedule.from(max(now, later(began, reset.After))); at < next.At {
			next = Expiry{at, i}
		}
	}
	if next.At <= now && p.paused() {
		next.At = now + pausedAgain
	}
	return next
}

// bytes prints a number of them.
func bytes(n int64) string {
	if n == 1 {
		return "1 byte"
	}
	return fmt.Sprintf("%d bytes", n)
}
