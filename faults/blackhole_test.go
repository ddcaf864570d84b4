package faults

import (
	"slices"
	"testing"
	"time"
)

func TestBlackhole(t *testing.T) {
	for _, carrier := range []Carrier{Stream, Datagrams} {
		s := Blackhole{On: both}.Shaper(generator(1), carrier)
		for i, n := range []int{1, 65536, 0} { // the end of the stream, too
			if leave, err := s.Shape(time.Duration(i), n); leave != Never || err != nil {
				t.Errorf("%d bytes leave at %d, %v", n, leave, err)
			}
			if s.Spent() {
				t.Error("spent")
			}
		}
	}
}

// What is swallowed is told of, and does not hold back who sends it.
func TestBlackholeTellsWhatItSwallows(t *testing.T) {
	for _, carrier := range []Carrier{Stream, Datagrams} {
		c := (&Plan{Faults: always(Latency{Delay: constant(3), On: both}, Blackhole{On: both})}).Chain(1, ToServer, carrier)
		for i, want := range [][]Effect{
			{{Fault: 0, Delay: 3, Bytes: 10}, {Fault: 1, Delay: Never, Bytes: 10}},
			{{Fault: 1, Delay: Never, Bytes: 11}},
		} {
			at := time.Duration(i)
			if d := shapes(t, c, at, 10+i); d.Leave != Never || d.Hold != at || !slices.Equal(d.Effects, want) {
				t.Errorf("%+v, want effects %v", d, want)
			}
		}
		if c.Spent() {
			t.Error("spent")
		}
	}
}

func TestBlackholeLeavesTheOtherLink(t *testing.T) {
	c := (&Plan{Faults: always(Blackhole{On: LinksOf(Server, Ingress)})}).Chain(1, ToServer, Stream)
	if passes(t, c, 5, 5); !c.Spent() {
		t.Error("not spent")
	}
}

func TestBlackholeSettings(t *testing.T) {
	var f Fault = Blackhole{On: LinksOf(Server, Ingress)}
	if f.Name() != "blackhole" || f.String() != "nothing arrives; to client" || f.Links() != LinksOf(Server, Ingress) || f.Validate() != nil {
		t.Errorf("%s, %q, %v, %v", f.Name(), f, f.Links(), f.Validate())
	}
}
