package faults

import (
	"math/rand/v2"
	"time"
)

// Blackhole lets nothing arrive any more, not even the end of the stream. If
// it goes off, what was sent meanwhile arrives, as TCP would have sent it
// again. Connections do not come to be in it whichever link is cut, as that
// takes both; but those are there already of which the client was told before.
type Blackhole struct {
	// On is the links that are cut.
	On Links
}

// Name is "blackhole".
func (f Blackhole) Name() string { return "blackhole" }

// Links is f.On.
func (f Blackhole) Links() Links { return f.On }

// String describes the settings.
func (f Blackhole) String() string { return "nothing arrives; " + f.On.String() }

// Validate finds nothing wrong.
func (f Blackhole) Validate() error { return nil }

// Shaper gives the hole of one link.
func (f Blackhole) Shaper(_ *rand.Rand, carrier Carrier) Shaper {
	if carrier == Datagrams {
		return lostForGood{}
	}
	return blackhole{}
}

func (f Blackhole) connects(wait Wait) bool { return wait != Accepted }

func (f Blackhole) question() Shaper { return blackhole{} }

func (f Blackhole) answer(*rand.Rand) Shaper { return blackhole{} }

type blackhole struct{}

func (blackhole) Shape(time.Duration, int) (time.Duration, error) { return Never, nil }

func (blackhole) Spent() bool { return false }

// depth bounds nothing: who holds the pieces has a bound of its own.
func (blackhole) depth() time.Duration { return Never }

// lostForGood is the hole for datagrams: nobody sends them again.
type lostForGood struct{}

func (lostForGood) Shape(time.Duration, int) (time.Duration, error) { return Never, nil }

func (lostForGood) Spent() bool { return false }
