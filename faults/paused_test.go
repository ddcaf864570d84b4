package faults

import (
	"slices"
	"testing"
	"time"
)

// Pieces that arrive while faults are paused pass as they are, behind those
// that are on their way; afterwards the link is where it was.
func TestPausedChain(t *testing.T) {
	paused := false
	plan := Plan{Faults: always(
		Latency{Delay: constant(100), On: both, PerReadWrite: true}, PacketLoss{Rate: 1e-300, On: both},
	), Paused: func() bool { return paused }}
	c := plan.Chain(1, ToClient, Stream)
	if d := shapes(t, c, 10, 1); d.Leave != 110 || len(d.Effects) != 2 {
		t.Errorf("before the pause: %+v", d)
	}
	paused = true
	for _, tc := range []struct{ at, leave time.Duration }{{20, 110}, {109, 110}, {111, 111}} {
		if d := shapes(t, c, tc.at, 1); d.Leave != tc.leave || d.Hold != tc.at || d.Effects != nil {
			t.Errorf("paused, a piece of %d: %+v", tc.at, d)
		}
	}
	if n := c.Piece(112, 1<<20); n != 1<<20 {
		t.Errorf("paused, a piece is divided at %d", n)
	}
	paused = false
	if d := shapes(t, c, 120, 1); d.Leave != 220 || len(d.Effects) != 2 {
		t.Errorf("after the pause: %+v", d)
	}
	if n := c.Piece(121, 1<<20); n != segmentSize {
		t.Errorf("after the pause, a piece is of %d", n)
	}
}

// A pause draws nothing anew: latency once a flow is once a flow, and a link
// that waits for its draw still does.
func TestPauseDrawsNothingAnew(t *testing.T) {
	paused := false
	plan := Plan{Faults: always(Latency{Delay: constant(100), On: both}), Paused: func() bool { return paused }}
	drawn, waiting := plan.Chain(1, ToClient, Stream), plan.Chain(2, ToClient, Stream)
	shapes(t, drawn, 0, 1)
	paused = true
	shapes(t, drawn, 200, 1)
	shapes(t, waiting, 200, 1)
	if !drawn.Spent() || waiting.Spent() {
		t.Errorf("paused: spent %v and %v", drawn.Spent(), waiting.Spent())
	}
	paused = false
	if d := shapes(t, drawn, 300, 1); d.Leave != 300 {
		t.Errorf("delayed a second time: %+v", d)
	}
	if d := shapes(t, waiting, 300, 1); d.Leave != 400 {
		t.Errorf("not delayed: %+v", d)
	}
}

// A blackhole that is paused lets pass what arrives then.
func TestPausedBlackhole(t *testing.T) {
	paused := true
	for _, carrier := range []Carrier{Stream, Datagrams} {
		c := (&Plan{Faults: always(Blackhole{On: both}), Paused: func() bool { return paused }}).Chain(1, ToClient, carrier)
		if d := shapes(t, c, 5, 1); d.Leave != 5 {
			t.Errorf("%d: %+v", carrier, d)
		}
	}
}

func TestPausedAnswers(t *testing.T) {
	paused := false
	plan := Plan{Faults: always(HTTPResponse{Status: 503, Probability: 1}), Paused: func() bool { return paused }}
	a := plan.Answers(1)
	paused = true
	if r, effects := a.Decide(0); r != nil || effects != nil || a.On(0) || a.Spent(0) {
		t.Errorf("paused: %v %v, on %v, spent %v", r, effects, a.On(0), a.Spent(0))
	}
	paused = false
	if r, effects := a.Decide(0); r == nil || !slices.Equal(effects, []Effect{{Tried: 1, Hit: 1}}) || !a.On(0) {
		t.Errorf("after the pause: %v %v, on %v", r, effects, a.On(0))
	}
}
