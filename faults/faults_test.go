package faults

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestLinksOf(t *testing.T) {
	for _, tc := range []struct {
		side               Side
		direction          Direction
		toServer, toClient bool
		text               string
	}{
		{Server, Ingress, false, true, "to client"},
		{Server, Egress, true, false, "to server"},
		{Server, Both, true, true, "both links"},
		{Client, Ingress, true, false, "to server"},
		{Client, Egress, false, true, "to client"},
		{Client, Both, true, true, "both links"},
	} {
		l := LinksOf(tc.side, tc.direction)
		if l.Has(ToServer) != tc.toServer || l.Has(ToClient) != tc.toClient || l.String() != tc.text {
			t.Errorf("%s %s is %v", tc.side, tc.direction, l)
		}
	}
	if none := Links(0); none.Has(ToServer) || none.Has(ToClient) || none.String() != "no link" {
		t.Errorf("the empty set is %v", none)
	}
	if ToServer.String() != "to-server" || ToClient.String() != "to-client" {
		t.Errorf("%v, %v", ToServer, ToClient)
	}
}

// scripted is a fault whose shapers do as a test says.
type scripted struct {
	on    Links
	shape func(at time.Duration, n int) (time.Duration, error)
	spent *bool
}

func (f scripted) Name() string                                         { return "scripted" }
func (f scripted) String() string                                       { return "scripted" }
func (f scripted) Links() Links                                         { return f.on }
func (f scripted) Shaper(*rand.Rand) Shaper                             { return f }
func (f scripted) Spent() bool                                          { return f.spent != nil && *f.spent }
func (f scripted) Shape(at time.Duration, n int) (time.Duration, error) { return f.shape(at, n) }

func holds(on Links, d time.Duration) scripted {
	return scripted{on: on, shape: func(at time.Duration, _ int) (time.Duration, error) { return at + d, nil }}
}

var both = LinksOf(Server, Both)

func TestChainFolds(t *testing.T) {
	var seen []time.Duration
	witness := scripted{on: both, shape: func(at time.Duration, n int) (time.Duration, error) {
		seen = append(seen, at, time.Duration(n))
		return at, nil
	}}
	plan := Plan{Faults: []Fault{
		holds(both, 10), holds(LinksOf(Server, Egress), 1000), witness, holds(both, 0), holds(both, 7),
	}}
	leave, delays, err := plan.Chain(1, ToClient).Shape(100, 3)
	if leave != 117 || err != nil {
		t.Errorf("leaves at %d, %v", leave, err)
	}
	// The departure from one is the arrival at the next; a fault of the other
	// link has no part, and one that holds nothing is not told of.
	if want := []time.Duration{110, 3}; !slices.Equal(seen, want) {
		t.Errorf("the third fault saw %v, want %v", seen, want)
	}
	if want := []Delay{{0, 10}, {4, 7}}; !slices.Equal(delays, want) {
		t.Errorf("delays %v, want %v", delays, want)
	}
}

func TestChainOfNothing(t *testing.T) {
	for _, c := range []*Chain{{}, (&Plan{}).Chain(1, ToClient), (&Plan{Faults: []Fault{holds(LinksOf(Server, Egress), 1)}}).Chain(1, ToClient)} {
		if leave, delays, err := c.Shape(5, 1); leave != 5 || delays != nil || err != nil {
			t.Errorf("leaves at %d, %v, %v", leave, delays, err)
		}
		if !c.Spent() {
			t.Error("not spent")
		}
	}
}

func TestChainIsSpentWithItsLast(t *testing.T) {
	spent := []bool{false, false}
	a, b := holds(both, 1), holds(both, 1)
	a.spent, b.spent = &spent[0], &spent[1]
	c := (&Plan{Faults: []Fault{a, b}}).Chain(1, ToClient)
	for _, state := range [][]bool{{false, false}, {true, false}, {false, true}, {true, true}} {
		copy(spent, state)
		if got := c.Spent(); got != (state[0] && state[1]) {
			t.Errorf("shapers spent %v, chain %v", state, got)
		}
	}
}

func TestChainNever(t *testing.T) {
	never := scripted{on: both, shape: func(time.Duration, int) (time.Duration, error) { return Never, nil }}
	behind := scripted{on: both, shape: func(at time.Duration, _ int) (time.Duration, error) {
		t.Error("asked about a piece that does not arrive")
		return at, nil
	}}
	leave, _, err := (&Plan{Faults: []Fault{holds(both, 1), never, behind}}).Chain(1, ToClient).Shape(5, 1)
	if leave != Never || err != nil {
		t.Errorf("leaves at %d, %v", leave, err)
	}
}

func TestChainError(t *testing.T) {
	broken := errors.New("broken")
	fails := scripted{on: both, shape: func(time.Duration, int) (time.Duration, error) { return 0, broken }}
	// What is before the error still holds: the reset takes as long.
	leave, delays, err := (&Plan{Faults: []Fault{holds(both, 10), fails, holds(both, 1)}}).Chain(1, ToClient).Shape(100, 1)
	if leave != 110 || err != broken || !slices.Equal(delays, []Delay{{0, 10}}) {
		t.Errorf("leaves at %d, %v, %v", leave, delays, err)
	}
}

// Delays of a century each must not make a piece leave before it came.
func TestChainOfLongDelays(t *testing.T) {
	f := Latency{Delay: constant(longest), On: both, PerReadWrite: true}
	once := Latency{Delay: constant(longest), On: both}
	leave, delays, err := (&Plan{Faults: []Fault{f, once, f, once}}).Chain(1, ToClient).Shape(time.Hour, 1)
	if leave != Never || err != nil {
		t.Errorf("leaves at %v, %v", leave, err)
	}
	for _, d := range delays {
		if d.Length < 0 {
			t.Errorf("held for %v", d.Length)
		}
	}
}

// Faults draw from streams of their own: one more fault in a plan, or the
// other link's pieces, do not change what the first one draws.
func TestStreamsAreSeparate(t *testing.T) {
	d := Uniform{0, time.Hour}
	f := Latency{Delay: d, On: both, PerReadWrite: true}
	alone, pair := Plan{Faults: []Fault{f}, Seed: 3}, Plan{Faults: []Fault{f, f}, Seed: 3}
	a, b, other := alone.Chain(9, ToClient), pair.Chain(9, ToClient), pair.Chain(9, ToServer)
	for range 100 {
		_, first, _ := a.Shape(0, 1)
		_, _, _ = other.Shape(0, 1)
		_, second, _ := b.Shape(0, 1)
		if first[0] != second[0] {
			t.Fatalf("drew %v alone and %v in company", first[0], second[0])
		}
		if second[0].Length == second[1].Length {
			t.Fatalf("two faults drew the same %v", second[0].Length)
		}
	}
}
