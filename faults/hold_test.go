package faults

import (
	"testing"
	"time"
)

// held is a bandwidth of 20 bytes in 20 ms, which holds back who is 100 ms
// ahead of it.
var held = Bandwidth{Rate: 1000, On: both}

func TestBandwidthHoldsTheSender(t *testing.T) {
	const ms = time.Millisecond
	for what, tc := range map[string]struct {
		faults  []Planned
		travels time.Duration // what a piece does not wait for, but takes
	}{
		"alone":                 {always(held), 0},
		"after latency":         {always(Latency{Delay: constant(time.Second), On: both}, held), time.Second},
		"before latency":        {always(held, Latency{Delay: constant(time.Second), On: both, PerReadWrite: true}), time.Second},
		"in its period":         {[]Planned{{Fault: held, Schedule: Schedule{{0, time.Hour}}}}, 0},
		"in front of a pause":   {[]Planned{{Fault: held}, {Fault: held, Schedule: Schedule{{time.Hour, Never}}}}, 0},
		"with loss that is not": {always(held, PacketLoss{Rate: 1e-300, On: both}), 0},
	} {
		c := (&Plan{Faults: tc.faults}).Chain(1, ToClient, Stream)
		for i := range 100 {
			d := shapes(t, c, 0, 20)
			waits := time.Duration(i+1) * 20 * ms
			if want := waits + tc.travels; d.Leave != want {
				t.Fatalf("%s: piece %d leaves at %v, want %v", what, i, d.Leave, want)
			}
			// Who sends is held back by what waits, not by what travels.
			if want := max(0, waits-200*ms); d.Hold != want {
				t.Fatalf("%s: the sender of piece %d goes on at %v, want %v", what, i, d.Hold, want)
			}
		}
	}
}

// A sender that does as it is told keeps the slowest line busy, and never has
// more than a depth in each.
func TestHeldSenderFillsTheLine(t *testing.T) {
	const ms = time.Millisecond
	slow := Bandwidth{Rate: 500, On: both}
	for what, tc := range map[string]struct {
		faults      []Fault
		every, fill time.Duration // from one departure to the next; until the first
	}{
		"one line":           {[]Fault{held}, 20 * ms, 20 * ms},
		"two alike":          {[]Fault{held, held}, 20 * ms, 40 * ms},
		"the slow one last":  {[]Fault{held, slow}, 40 * ms, 60 * ms},
		"the slow one first": {[]Fault{slow, held}, 40 * ms, 60 * ms},
		"a long way, a line": {[]Fault{Latency{Delay: constant(time.Hour), On: both, PerReadWrite: true}, held}, 20 * ms, time.Hour + 20*ms},
		"a line, a long way": {[]Fault{held, Latency{Delay: constant(time.Hour), On: both, PerReadWrite: true}}, 20 * ms, time.Hour + 20*ms},
	} {
		c := (&Plan{Faults: always(tc.faults...)}).Chain(1, ToClient, Stream)
		var at time.Duration
		for i := range 1000 {
			d := shapes(t, c, at, 20)
			if want := tc.fill + time.Duration(i)*tc.every; d.Leave != want {
				t.Fatalf("%s: piece %d leaves at %v, want %v: the line ran dry", what, i, d.Leave, want)
			}
			depth := time.Duration(len(tc.faults)) * bandwidthDepth
			if waits := d.Leave - at - tc.fill; waits > depth {
				t.Fatalf("%s: piece %d waits %v", what, i, waits)
			}
			at = d.Hold
		}
	}
}

// What delays does not hold back: a long way is not a slow one.
func TestNothingElseHoldsTheSender(t *testing.T) {
	for _, f := range []Fault{
		Latency{Delay: constant(time.Hour), On: both, PerReadWrite: true},
		Jitter{Amplitude: time.Hour, Frequency: 1000, On: both},
		PacketLoss{Rate: .5, On: both},
		Blackhole{On: both},
	} {
		for _, schedule := range []Schedule{nil, {{0, time.Hour}}, {{10, Never}}} {
			c := (&Plan{Faults: []Planned{{Fault: f, Schedule: schedule}}}).Chain(1, ToClient, Stream)
			for at := range time.Duration(100) {
				if d := shapes(t, c, at, 1448); d.Hold != at {
					t.Fatalf("%v, %v: the sender goes on at %v, not %v", f, schedule, d.Hold, at)
				}
			}
		}
	}
}
