package faults

import (
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
func (f scripted) Validate() error                                      { return nil }
func (f scripted) Links() Links                                         { return f.on }
func (f scripted) Shaper(*rand.Rand, Carrier) Shaper                    { return f }
func (f scripted) Spent() bool                                          { return f.spent != nil && *f.spent }
func (f scripted) Shape(at time.Duration, n int) (time.Duration, error) { return f.shape(at, n) }

func holds(on Links, d time.Duration) scripted {
	return scripted{on: on, shape: func(at time.Duration, _ int) (time.Duration, error) { return at + d, nil }}
}

// holdsEach holds one piece after another by one delay after another.
func holdsEach(delays ...time.Duration) scripted {
	return scripted{on: both, shape: func(at time.Duration, _ int) (time.Duration, error) {
		d := delays[0]
		delays = delays[1:]
		return at + d, nil
	}}
}

var both = LinksOf(Server, Both)

// always plans faults that are on from beginning to end.
func always(faults ...Fault) []Planned {
	planned := make([]Planned, len(faults))
	for i, f := range faults {
		planned[i].Fault = f
	}
	return planned
}

// shapes passes a piece of n bytes through a chain that has no errors.
func shapes(t *testing.T, c *Chain, at time.Duration, n int) Departure {
	t.Helper()
	d := c.Shape(at, n)
	if d.Err != nil {
		t.Fatal(d.Err)
	}
	return d
}

// passes fails if a piece that arrives at a time is not to leave at another.
func passes(t *testing.T, c *Chain, at, want time.Duration) {
	t.Helper()
	if d := shapes(t, c, at, 1); d.Leave != want {
		t.Errorf("a piece at %v leaves at %v, want %v", at, d.Leave, want)
	}
}

// An HTTP response has no part in a link, but keeps its place in the plan.
func TestChainLeavesOutWhatDoesNotShape(t *testing.T) {
	c := (&Plan{Faults: always(HTTPResponse{Status: 503, Probability: 1}, holds(both, 3))}).Chain(1, ToServer, Stream)
	d := shapes(t, c, 5, 2)
	if want := []Effect{{Fault: 1, Delay: 3, Bytes: 2}}; d.Leave != 8 || !slices.Equal(d.Effects, want) {
		t.Errorf("leaves at %d with %v, want 8 with %v", d.Leave, d.Effects, want)
	}
}
