package faults

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"
)

func TestChainFolds(t *testing.T) {
	var seen []time.Duration
	witness := scripted{on: both, shape: func(at time.Duration, n int) (time.Duration, error) {
		seen = append(seen, at, time.Duration(n))
		return at, nil
	}}
	plan := Plan{Faults: always(
		holds(both, 10), holds(LinksOf(Server, Egress), 1000), witness, holds(both, 0), holds(both, 7),
	)}
	d := plan.Chain(1, ToClient, Stream).Shape(100, 3)
	if d.Leave != 117 || d.Hold != 100 || d.Err != nil {
		t.Errorf("leaves at %d, the sender at %d, %v", d.Leave, d.Hold, d.Err)
	}
	// The departure from one is the arrival at the next; a fault of the other
	// link has no part, and one that holds nothing is not told of.
	if want := []time.Duration{110, 3}; !slices.Equal(seen, want) {
		t.Errorf("the third fault saw %v, want %v", seen, want)
	}
	if want := []Effect{{Fault: 0, Delay: 10, Bytes: 3}, {Fault: 4, Delay: 7, Bytes: 3}}; !slices.Equal(d.Effects, want) {
		t.Errorf("effects %v, want %v", d.Effects, want)
	}
}

// Pieces are in order not only where they leave: a fault never sees one that
// arrives before the one ahead of it.
func TestChainKeepsOrderAfterEachFault(t *testing.T) {
	var seen []time.Duration
	witness := scripted{on: both, shape: func(at time.Duration, _ int) (time.Duration, error) {
		seen = append(seen, at)
		return at, nil
	}}
	for _, carrier := range []Carrier{Stream, Datagrams} {
		seen = nil
		plan := Plan{Faults: always(holdsEach(100, 0, 150, 10), witness, holdsEach(0, 70, 0, 0), witness)}
		c := plan.Chain(1, ToClient, carrier)
		var left []time.Duration
		for i := range 4 {
			d := shapes(t, c, time.Duration(10*i), 1)
			left = append(left, d.Leave)
			// To wait for the one ahead is no effect of a fault.
			if i == 3 && !slices.Equal(d.Effects, []Effect{{Fault: 0, Delay: 10, Bytes: 1}}) {
				t.Errorf("effects on the last %v", d.Effects)
			}
		}
		if want := []time.Duration{100, 170, 170, 170}; !slices.Equal(left, want) {
			t.Errorf("leave at %v, want %v", left, want)
		}
		if want := []time.Duration{100, 100, 100, 170, 170, 170, 170, 170}; !slices.Equal(seen, want) {
			t.Errorf("seen at %v, want %v", seen, want)
		}
	}
}

func TestChainOfNothing(t *testing.T) {
	for _, c := range []*Chain{
		{},
		(&Plan{}).Chain(1, ToClient, Stream),
		(&Plan{Faults: always(holds(LinksOf(Server, Egress), 1))}).Chain(1, ToClient, Stream),
	} {
		if d := c.Shape(5, 1); d.Leave != 5 || d.Hold != 5 || d.Effects != nil || d.Err != nil {
			t.Errorf("%+v", d)
		}
		if !c.Spent() {
			t.Error("not spent")
		}
		if n := c.Piece(5, math.MaxInt); n != math.MaxInt {
			t.Errorf("a piece is %d", n)
		}
	}
}

func TestChainIsSpentWithItsLast(t *testing.T) {
	spent := []bool{false, false}
	a, b := holds(both, 1), holds(both, 1)
	a.spent, b.spent = &spent[0], &spent[1]
	c := (&Plan{Faults: always(a, b)}).Chain(1, ToClient, Stream)
	shapes(t, c, 0, 1)
	for _, state := range [][]bool{{false, false}, {true, false}, {false, true}, {true, true}} {
		copy(spent, state)
		if got := c.Spent(); got != (state[0] && state[1]) {
			t.Errorf("shapers spent %v, chain %v", state, got)
		}
	}
}

// A chain that nothing has passed has everything before it.
func TestChainIsNotSpentBeforeTheFirstPiece(t *testing.T) {
	c := (&Plan{Faults: always(Latency{Delay: constant(1), On: both})}).Chain(1, ToClient, Stream)
	if c.Spent() {
		t.Error("spent")
	}
	if shapes(t, c, 0, 1); !c.Spent() {
		t.Error("not spent after the only piece that waits")
	}
}

func never(time.Duration, int) (time.Duration, error) { return Never, nil }

func TestChainNever(t *testing.T) {
	behind := scripted{on: both, shape: func(at time.Duration, _ int) (time.Duration, error) {
		t.Error("asked about a piece that does not arrive")
		return at, nil
	}}
	for _, carrier := range []Carrier{Stream, Datagrams} {
		plan := Plan{Faults: always(holds(both, 1), scripted{on: both, shape: never}, behind)}
		d := shapes(t, plan.Chain(1, ToClient, carrier), 5, 7)
		if want := []Effect{{Fault: 0, Delay: 1, Bytes: 7}, {Fault: 1, Delay: Never, Bytes: 7}}; d.Leave != Never || !slices.Equal(d.Effects, want) {
			t.Errorf("leaves at %d with %v, want %v", d.Leave, d.Effects, want)
		}
	}
}

// What is behind a hole in a stream is not delivered. A datagram is gone
// alone, and holds up nobody.
func TestNeverIsForEverOnlyInAStream(t *testing.T) {
	for carrier, want := range map[Carrier][]time.Duration{
		Stream:    {1, Never, Never, Never},
		Datagrams: {1, Never, 21, 31},
	} {
		n := 0
		second := scripted{on: both, shape: func(at time.Duration, _ int) (time.Duration, error) {
			if n++; n == 2 {
				return Never, nil
			}
			return at + 1, nil
		}}
		c := (&Plan{Faults: always(second)}).Chain(1, ToClient, carrier)
		for i, want := range want {
			passes(t, c, time.Duration(10*i), want)
		}
	}
}

func TestChainError(t *testing.T) {
	broken := errors.New("broken")
	fails := scripted{on: both, shape: func(time.Duration, int) (time.Duration, error) { return 0, broken }}
	behind := scripted{on: both, shape: func(at time.Duration, _ int) (time.Duration, error) {
		t.Error("asked about a piece that is a reset")
		return at, nil
	}}
	// What is before the error still holds: the reset takes as long.
	d := (&Plan{Faults: always(holds(both, 10), fails, behind)}).Chain(1, ToClient, Stream).Shape(100, 1)
	if d.Leave != 110 || d.Err != broken || !slices.Equal(d.Effects, []Effect{{Fault: 0, Delay: 10, Bytes: 1}}) {
		t.Errorf("%+v", d)
	}
}

// Delays of a century each must not make a piece leave before it came.
func TestChainOfLongDelays(t *testing.T) {
	every := Latency{Delay: constant(longest), On: both, PerReadWrite: true}
	once := Latency{Delay: constant(longest), On: both}
	// The line is busy with one byte for longer than a clock can tell.
	slow := Bandwidth{Rate: math.SmallestNonzeroFloat64, On: both}
	for _, faults := range [][]Fault{
		{every, once, every, once},
		{slow, slow, slow, slow},
		{once, slow, Jitter{Amplitude: math.MaxInt64 - 1, Frequency: 1, On: both}, slow, every},
	} {
		c := (&Plan{Faults: always(faults...)}).Chain(1, ToClient, Stream)
		for at := time.Hour; at <= 2*time.Hour; at += time.Hour {
			d := shapes(t, c, at, math.MaxInt32)
			if d.Leave != Never || d.Hold < at {
				t.Errorf("leaves at %v, the sender at %v", d.Leave, d.Hold)
			}
			for _, e := range d.Effects {
				if e.Delay < 0 {
					t.Errorf("held for %v", e.Delay)
				}
			}
		}
	}
}

// An effect is what one piece met: packets of pieces before do not count.
func TestEffectsCountOnePiece(t *testing.T) {
	plan := Plan{Faults: always(
		PacketLoss{Rate: 1e-300, On: both}, Latency{Delay: constant(5), On: both}, PacketLoss{Rate: 1, On: both},
	)}
	c := plan.Chain(1, ToClient, Datagrams)
	for i, want := range [][]Effect{
		{{Fault: 0, Bytes: 10, Tried: 1}, {Fault: 1, Bytes: 10, Delay: 5}, {Fault: 2, Bytes: 10, Delay: Never, Tried: 1, Hit: 1}},
		{{Fault: 0, Bytes: 11, Tried: 1}, {Fault: 2, Bytes: 11, Delay: Never, Tried: 1, Hit: 1}},
	} {
		if d := shapes(t, c, time.Duration(i), 10+i); !slices.Equal(d.Effects, want) {
			t.Errorf("effects %v, want %v", d.Effects, want)
		}
	}
}

func TestPieceIsTheSmallest(t *testing.T) {
	slow := Bandwidth{Rate: 1000, On: both} // 20 bytes in 20 ms
	fast := Bandwidth{Rate: 1e12, On: both} // a mebibyte
	loss := PacketLoss{Rate: .1, On: both}
	later := Schedule{{10, 20}}
	for _, tc := range []struct {
		faults  []Planned
		carrier Carrier
		at      time.Duration
		n, want int
	}{
		{always(slow), Stream, 0, 65536, 20},
		{always(slow), Stream, 0, 20, 20},
		{always(slow), Stream, 0, 19, 19},
		{always(slow), Stream, 0, 0, 0},
		{always(fast), Stream, 0, 65536, 65536},
		{always(fast), Stream, 0, 1 << 21, 1 << 20},
		{always(loss), Stream, 0, 65536, 1448},
		{always(fast, loss), Stream, 0, 65536, 1448},
		{always(loss, slow), Stream, 0, 65536, 20},
		{always(Latency{Delay: constant(1), On: both}, Jitter{Amplitude: 1, Frequency: 1, On: both}, Blackhole{On: both}), Stream, 0, 65536, 65536},
		// A datagram is a piece whatever its size.
		{always(loss, slow), Datagrams, 0, 65536, 65536},
		// A fault of the other link, or one that is off, divides nothing.
		{always(Bandwidth{Rate: 1000, On: LinksOf(Server, Egress)}), Stream, 0, 65536, 65536},
		{[]Planned{{Fault: slow, Schedule: later}}, Stream, 9, 65536, 65536},
		{[]Planned{{Fault: slow, Schedule: later}}, Stream, 10, 65536, 20},
		{[]Planned{{Fault: slow, Schedule: later}, {Fault: loss}}, Stream, 20, 65536, 1448},
	} {
		c := (&Plan{Faults: tc.faults}).Chain(1, ToClient, tc.carrier)
		if got := c.Piece(tc.at, tc.n); got != tc.want {
			t.Errorf("%v: of %d bytes at %d a piece is %d, want %d", tc.faults, tc.n, tc.at, got, tc.want)
		}
	}
}
