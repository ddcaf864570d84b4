package faults

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Latency delays pieces by draws from a distribution. It costs no throughput:
// pieces wait side by side, not one after another.
type Latency struct {
	// Delay is where delays are drawn from.
	Delay Distribution
	// On is the links that are delayed.
	On Links
	// PerReadWrite delays every piece; otherwise the first piece of each link
	// waits, and what comes behind it no longer than that.
	PerReadWrite bool
	// Phase is what is delayed of a flow.
	Phase Phase
}

// Phase is a part of a flow's life.
type Phase string

// The phases. By default the data is meant, and where connect(2) itself waits
// for the upstream both are, each with draws of its own.
const (
	AtDefault Phase = ""
	AtConnect Phase = "connect" // the answer to an attempt to connect
	AtData    Phase = "data"    // the bytes
	AtBoth    Phase = "both"
)

// Validate says what is wrong with the settings.
func (f Latency) Validate() error {
	if f.Delay == nil {
		return errors.New("latency without a distribution")
	}
	switch f.Phase {
	case AtDefault, AtConnect, AtData, AtBoth:
		return f.Delay.Validate()
	}
	return fmt.Errorf("%q is no phase of a flow", f.Phase)
}

// Name is "latency".
func (f Latency) Name() string { return "latency" }

// Links is f.On.
func (f Latency) Links() Links { return f.On }

// String describes the settings.
func (f Latency) String() string {
	how := "once a flow"
	if f.PerReadWrite {
		how = "every read and write"
	}
	switch f.Phase {
	case AtConnect:
		how = "at connect only"
	case AtData:
		how += ", not at connect"
	case AtBoth:
		how = "at connect, and " + how
	}
	return f.Delay.String() + "; " + f.On.String() + ", " + how
}

// Shaper gives the latency of one link.
func (f Latency) Shaper(rng *rand.Rand, _ Carrier) Shaper {
	if f.PerReadWrite {
		return &everyPiece{f.Delay, rng}
	}
	return &firstPiece{delay: f.Delay.Sample(rng)}
}

// OnConnect says whether connections are delayed whose clients wait in some way.
func (f Latency) OnConnect(wait Wait) bool {
	switch f.Phase {
	case AtConnect, AtBoth:
		return true
	}
	return f.Phase == AtDefault && wait == Held
}

func (f Latency) connects(wait Wait) bool { return f.OnConnect(wait) }

// question is nothing: of a round trip the answer has the whole delay.
func (f Latency) question() Shaper { return nil }

func (f Latency) answer(rng *rand.Rand) Shaper { return &firstPiece{delay: f.Delay.Sample(rng)} }

func (f Latency) shapesData() bool { return f.Phase != AtConnect }

// firstPiece holds the first piece. The pieces behind it keep their order, and
// so wait for what is left of its delay.
type firstPiece struct {
	delay  time.Duration
	passed bool
}

func (s *firstPiece) Shape(at time.Duration, _ int) (time.Duration, error) {
	if s.passed {
		return at, nil
	}
	s.passed = true
	return later(at, s.delay), nil
}

func (s *firstPiece) Spent() bool { return s.passed }

type everyPiece struct {
	delay Distribution
	rng   *rand.Rand
}

func (s *everyPiece) Shape(at time.Duration, _ int) (time.Duration, error) {
	return later(at, s.delay.Sample(s.rng)), nil
}

func (s *everyPiece) Spent() bool { return false }

// later is at + d, or [Never] if no clock of ours gets there.
func later(at, d time.Duration) time.Duration { return at + min(d, Never-at) }
