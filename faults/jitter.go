package faults

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Jitter delays a piece now and then by up to an amplitude, uniformly. What
// comes behind such a piece waits for it, as order is kept.
type Jitter struct {
	// Amplitude is the longest delay.
	Amplitude time.Duration
	// Frequency is how often a second a piece of one link is delayed, at most.
	Frequency float64
	// On is the links that are delayed.
	On Links
}

// Name is "jitter".
func (f Jitter) Name() string { return "jitter" }

// Links is f.On.
func (f Jitter) Links() Links { return f.On }

// String describes the settings.
func (f Jitter) String() string {
	return fmt.Sprintf("up to %s ms, at most %s times a second; %v", ms(f.Amplitude), number(f.Frequency), f.On)
}

// Validate wants neither to be negative or without bound.
func (f Jitter) Validate() error {
	if f.Amplitude < 0 || f.Amplitude == math.MaxInt64 || !(f.Frequency >= 0) || math.IsInf(f.Frequency, 0) {
		return fmt.Errorf("jitter %v: neither may be negative or infinite", f)
	}
	return nil
}

// Shaper gives the jitter of one link.
func (f Jitter) Shaper(rng *rand.Rand, _ Carrier) Shaper {
	return &jitter{delay: Uniform{Max: f.Amplitude}, rng: rng, every: f.every()}
}

// every is the time between two delayed pieces. It is rounded up: a nanosecond
// less, and a third of a second would be in some second four times.
func (f Jitter) every() time.Duration {
	if f.Frequency == 0 || f.Amplitude == 0 {
		return Never
	}
	return nanoseconds(math.Ceil(float64(time.Second) / f.Frequency))
}

type jitter struct {
	delay Uniform
	rng   *rand.Rand
	every time.Duration // Never: nothing is delayed
	next  time.Duration // when a piece may be delayed again
}

func (s *jitter) Shape(at time.Duration, _ int) (time.Duration, error) {
	if s.every == Never || at < s.next {
		return at, nil
	}
	s.next = later(at, s.every)
	return later(at, s.delay.Sample(s.rng)), nil
}

func (s *jitter) Spent() bool { return s.every == Never }
