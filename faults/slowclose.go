package faults

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// SlowClose has the end of a stream arrive later than it came.
type SlowClose struct {
	// Delay is how much later.
	Delay time.Duration
	// On is the links whose end is delayed.
	On Links
}

// Name is "slow-close".
func (f SlowClose) Name() string { return "slow-close" }

// Links is f.On.
func (f SlowClose) Links() Links { return f.On }

// String describes the settings.
func (f SlowClose) String() string { return fmt.Sprintf("the end %v later; %v", f.Delay, f.On) }

// Validate wants a time.
func (f SlowClose) Validate() error {
	if f.Delay < 0 {
		return fmt.Errorf("an end %v later", f.Delay)
	}
	return nil
}

// Shaper gives the end of one link.
func (f SlowClose) Shaper(*rand.Rand, Carrier) Shaper { return slowClose{f.Delay} }

func (f SlowClose) ofStreams() {}

func (f SlowClose) awaitsEnd() {}

type slowClose struct{ delay time.Duration }

func (s slowClose) Shape(at time.Duration, n int) (time.Duration, error) {
	if n > 0 {
		return at, nil
	}
	return later(at, s.delay), nil
}

func (s slowClose) Spent() bool { return false }
