package faults

import (
	"errors"
	"slices"
	"testing"
	"time"
)

// gated is a chain of one fault with a schedule.
func gated(f Fault, s Schedule, carrier Carrier) *Chain {
	return (&Plan{Faults: []Planned{{Fault: f, Schedule: s}}, Seed: 5}).Chain(1, ToClient, carrier)
}

// A period is from its start up to and without its end. Outside, a piece is
// untouched, and the fault not even asked.
func TestScheduleGatesAFault(t *testing.T) {
	asked := 0
	f := scripted{on: both, shape: func(at time.Duration, _ int) (time.Duration, error) {
		asked++
		return at + 1, nil
	}}
	for _, carrier := range []Carrier{Stream, Datagrams} {
		c := gated(f, Schedule{{10, 20}, {30, Never}}, carrier)
		for _, tc := range []struct {
			at time.Duration
			on bool
		}{
			{0, false}, {9, false}, {10, true}, {19, true}, {20, false}, {29, false}, {30, true}, {Never - 2, true},
		} {
			asked = 0
			d := shapes(t, c, tc.at, 3)
			if !tc.on && (d.Leave != tc.at || d.Hold != tc.at || d.Effects != nil || asked != 0) {
				t.Errorf("off at %d: %+v, asked %d times", tc.at, d, asked)
			}
			if tc.on && (d.Leave != tc.at+1 || !slices.Equal(d.Effects, []Effect{{Delay: 1, Bytes: 3}}) || asked != 1) {
				t.Errorf("on at %d: %+v, asked %d times", tc.at, d, asked)
			}
		}
	}
}

// The gate is where a piece meets the fault: after what delays it before.
func TestScheduleIsAskedAtTheFault(t *testing.T) {
	plan := Plan{Faults: []Planned{
		{Fault: holds(both, 100)}, {Fault: holds(both, 1000), Schedule: Schedule{{100, 200}}}, {Fault: holds(both, 5), Schedule: Schedule{{1000, 1200}}},
	}}
	c := plan.Chain(1, ToClient, Datagrams)
	// The piece at 100 finds the second fault off, and is held up by order only;
	// that at 1100 comes to the last fault when that is over.
	for _, tc := range []struct{ at, leave time.Duration }{{0, 1105}, {99, 1204}, {100, 1204}, {1100, 1204}, {1105, 1205}} {
		passes(t, c, tc.at, tc.leave)
	}
}

// With each period latency once draws again, and the next of its draws.
func TestEachPeriodBeginsAnew(t *testing.T) {
	d := Uniform{1, 1000}
	const period = 10_000
	var s Schedule
	for i := range time.Duration(20) {
		s = append(s, Period{2*i*period + period, 2*i*period + 2*period})
	}
	plan := Plan{Faults: []Planned{{Fault: Latency{Delay: d, On: both}, Schedule: s}}, Seed: 5}
	c := plan.Chain(1, ToClient, Stream)
	for i, drawn := range draw(d, plan.rng(1, 0, ToClient), len(s)) {
		start := s[i].Start
		passes(t, c, start-1, start-1)
		passes(t, c, start+7, start+7+drawn)
		// The second of a period waits for the first only.
		passes(t, c, start+8, start+7+max(1, drawn))
		passes(t, c, start+period-1, start+period-1)
		if want := i == len(s)-1; c.Spent() != want {
			t.Errorf("spent in period %d is %v", i, !want)
		}
	}
}

// A period that a flow does not see takes no draw.
func TestPeriodsWithoutPiecesDrawNothing(t *testing.T) {
	s := Schedule{{0, 10}, {20, 30}, {40, 50}}
	f := Latency{Delay: Uniform{1, time.Hour}, On: both}
	first := shapes(t, gated(f, nil, Stream), 0, 1).Leave
	passes(t, gated(f, s, Stream), 45, 45+first)
}

// What waits for the line leaves when the fault goes off: at the end of the
// period, in order, and not later.
func TestQueuesAreReleased(t *testing.T) {
	const ms = time.Millisecond
	c := gated(Bandwidth{Rate: 1000, On: both}, Schedule{{0, 250 * ms}, {time.Second, 2 * time.Second}}, Stream)
	for i, want := range []time.Duration{100 * ms, 200 * ms, 250 * ms, 250 * ms} {
		d := shapes(t, c, 0, 100)
		if !slices.Equal(d.Effects, []Effect{{Delay: want, Bytes: 100}}) || d.Leave != want {
			t.Errorf("piece %d: %+v, want to leave at %v", i, d, want)
		}
		// Nor does a sender wait for a line that is no more.
		if hold := max(0, want-200*ms); d.Hold != hold {
			t.Errorf("the sender of piece %d goes on at %v, want %v", i, d.Hold, hold)
		}
	}
	passes(t, c, 249*ms, 250*ms)
	passes(t, c, 250*ms, 250*ms)
	passes(t, c, 300*ms, 300*ms)
	// What the line still owed is forgotten by the next period.
	if d := shapes(t, c, time.Second, 100); d.Leave != 1100*ms || d.Hold != time.Second {
		t.Errorf("the next period begins with %+v", d)
	}
}

func TestBlackholeIsReleased(t *testing.T) {
	s := Schedule{{10, 20}, {30, 40}, {50, Never}}
	c := gated(Blackhole{On: both}, s, Stream)
	for _, tc := range []struct{ at, leave time.Duration }{
		{9, 9}, {10, 20}, {11, 20}, {19, 20}, {20, 20}, {21, 21}, {35, 40}, {45, 45}, {50, Never}, {1000, Never},
	} {
		passes(t, c, tc.at, tc.leave)
	}
	// The end of the stream comes out as everything does.
	c = gated(Blackhole{On: both}, s, Stream)
	if d := shapes(t, c, 12, 0); d.Leave != 20 || !slices.Equal(d.Effects, []Effect{{Delay: 8}}) {
		t.Errorf("an end: %+v", d)
	}
	// A datagram was gone before the period ended.
	c = gated(Blackhole{On: both}, s, Datagrams)
	for _, tc := range []struct{ at, leave time.Duration }{{9, 9}, {10, Never}, {19, Never}, {20, 20}, {35, Never}, {45, 45}, {50, Never}} {
		passes(t, c, tc.at, tc.leave)
	}
}

// What travels is not called back: a delay that has begun lasts, and holds
// back what is behind it.
func TestDelaysOutliveTheirPeriod(t *testing.T) {
	s := Schedule{{10, 20}}
	for what, f := range map[string]Fault{
		"latency":     Latency{Delay: constant(300), On: both},
		"every piece": Latency{Delay: constant(300), On: both, PerReadWrite: true},
	} {
		t.Run(what, func(t *testing.T) {
			c := gated(f, s, Stream)
			for _, tc := range []struct{ at, leave time.Duration }{{9, 9}, {19, 319}, {20, 319}, {318, 319}, {319, 319}, {400, 400}} {
				passes(t, c, tc.at, tc.leave)
			}
		})
	}
	short := Schedule{{0, 1}}
	c := gated(Jitter{Amplitude: time.Hour, Frequency: 1, On: both}, short, Stream)
	late := shapes(t, c, 0, 1).Leave
	if late < 1 {
		t.Fatalf("jitter of %v", late)
	}
	passes(t, c, 2, late)

	// A lost segment is sent again whether the line is better by then or not.
	plan := Plan{Faults: []Planned{{Fault: PacketLoss{Rate: .5, On: both}, Schedule: short}}}
	stalls := 0
	for flow := range uint64(100) {
		c := plan.Chain(flow, ToClient, Stream)
		if late := shapes(t, c, 0, 1).Leave; late > 0 {
			passes(t, c, 2, late)
			stalls++
		}
	}
	share(t, "flows that stall", stalls, 100, .5)
}

// A stream that lost a segment for good has no way past it, in no period.
func TestLossForGoodOutlivesItsPeriod(t *testing.T) {
	c := gated(PacketLoss{Rate: 1, On: both}, Schedule{{0, 10}}, Stream)
	passes(t, c, 5, Never)
	passes(t, c, 15, Never)
	// So the rest of it must not be let through as if nothing had been.
	if c.Spent() {
		t.Error("spent")
	}
	c = gated(PacketLoss{Rate: 1, On: both}, Schedule{{0, 10}}, Datagrams)
	passes(t, c, 5, Never)
	if passes(t, c, 15, 15); !c.Spent() {
		t.Error("not spent: the next datagrams have nothing to fear")
	}
}

func TestChainIsSpentWithItsSchedules(t *testing.T) {
	once := Latency{Delay: constant(1), On: both}
	every := Latency{Delay: constant(1), On: both, PerReadWrite: true}
	for _, tc := range []struct {
		faults []Planned
		spent  map[time.Duration]bool // after a piece at that time
	}{
		{[]Planned{{Fault: once}}, map[time.Duration]bool{0: true}},
		{[]Planned{{Fault: every}}, map[time.Duration]bool{0: false, 1000: false}},
		// On again later, so not spent with the first.
		{[]Planned{{Fault: once, Schedule: Schedule{{10, 20}, {30, 40}}}}, map[time.Duration]bool{0: false, 10: false, 20: false, 29: false, 30: true, 40: true}},
		// The last period is over, whether it saw a piece or not.
		{[]Planned{{Fault: every, Schedule: Schedule{{10, 20}, {30, 40}}}}, map[time.Duration]bool{0: false, 15: false, 25: false, 39: false, 40: true}},
		{[]Planned{{Fault: every, Schedule: Schedule{{10, 20}}}}, map[time.Duration]bool{25: true}},
		{[]Planned{{Fault: every, Schedule: Schedule{{10, Never}}}}, map[time.Duration]bool{9: false, 10: false, 1000: false}},
		{[]Planned{{Fault: once}, {Fault: every, Schedule: Schedule{{10, 20}}}}, map[time.Duration]bool{0: false, 19: false, 20: true}},
		{[]Planned{{Fault: held, Schedule: Schedule{{10, 20}}}, {Fault: Blackhole{On: both}, Schedule: Schedule{{12, 14}}}}, map[time.Duration]bool{0: false, 13: false, 19: false, 20: true}},
		// Never on.
		{[]Planned{{Fault: every, Schedule: Schedule{}}}, map[time.Duration]bool{0: true}},
	} {
		c := (&Plan{Faults: tc.faults}).Chain(1, ToClient, Stream)
		for at := range time.Duration(1001) {
			want, ask := tc.spent[at]
			if !ask {
				continue
			}
			if shapes(t, c, at, 1); c.Spent() != want {
				t.Errorf("%v: spent after %d is %v", tc.faults, at, !want)
			}
		}
	}
}

// What was spent in one period is not in the next, though no piece has got
// there yet: those that set out are lost on the way.
func TestSpentIsOfThePeriod(t *testing.T) {
	gone := scripted{on: both, shape: func(at time.Duration, _ int) (time.Duration, error) {
		if at >= 20 {
			return Never, nil
		}
		return at, nil
	}}
	spent := true
	gone.spent = &spent
	plan := Plan{Faults: []Planned{{Fault: gone}, {Fault: Latency{Delay: constant(1), On: both}, Schedule: Schedule{{0, 10}, {20, 30}}}}}
	c := plan.Chain(1, ToClient, Datagrams)
	passes(t, c, 0, 1)
	passes(t, c, 25, Never)
	if c.Spent() {
		t.Error("spent before the first piece of the last period")
	}
}

func TestErrorsKeepToTheirPeriod(t *testing.T) {
	broken := errors.New("broken")
	c := gated(scripted{on: both, shape: func(time.Duration, int) (time.Duration, error) { return 0, broken }}, Schedule{{10, 20}}, Stream)
	passes(t, c, 9, 9)
	if d := c.Shape(10, 1); d.Err != broken || d.Leave != 10 {
		t.Errorf("%+v", d)
	}
}

// Of faults that come and go, each keeps its own time.
func TestSchedulesAreIndependent(t *testing.T) {
	plan := Plan{Faults: []Planned{
		{Fault: holds(both, 1), Schedule: Schedule{{0, 40}}},
		{Fault: holds(both, 100), Schedule: Schedule{{20, 60}, {80, 100}}},
		{Fault: holds(both, 10_000)},
	}}
	for at, want := range map[time.Duration]time.Duration{
		0: 10_001, 18: 10_019, 19: 10_120, 20: 10_121, 39: 10_140, 40: 10_140, 59: 10_159, 60: 10_060, 80: 10_180, 100: 10_100,
	} {
		passes(t, plan.Chain(1, ToClient, Stream), at, want)
	}
}
