package faults

import (
	"testing"
	"time"
)

func constant(d time.Duration) Distribution { return Normal{Mean: d} }

func TestLatencyOncePerLink(t *testing.T) {
	f := Latency{Delay: constant(300), On: LinksOf(Server, Both)}
	s := f.Shaper(generator(1), Stream)
	if s.Spent() {
		t.Error("spent before the first piece")
	}
	// The delay is from the piece's arrival, whatever the flow did before.
	for i, want := range []time.Duration{1300, 1001, 1002} {
		at := time.Duration(1000 + i)
		if leave, err := s.Shape(at, 1); leave != want || err != nil {
			t.Errorf("piece %d at %d leaves at %d, %v, want %d", i, at, leave, err, want)
		}
		if !s.Spent() {
			t.Error("not spent after the first piece")
		}
	}
}

func TestLatencyPerReadWrite(t *testing.T) {
	d := Uniform{100, 10_000}
	f := Latency{Delay: d, On: LinksOf(Server, Both), PerReadWrite: true}
	s, draws := f.Shaper(generator(7), Stream), draw(d, generator(7), 100)
	for i, drawn := range draws {
		at := time.Duration(i)
		// The end of the stream, of 0 bytes, is a piece as any other.
		if leave, err := s.Shape(at, 100-i-1); leave != at+drawn || err != nil {
			t.Fatalf("piece %d leaves at %d, %v, want %d", i, leave, err, at+drawn)
		}
		if s.Spent() {
			t.Fatal("spent")
		}
	}
}

func TestLatencyOfTheEndOfAStream(t *testing.T) {
	s := Latency{Delay: constant(300)}.Shaper(generator(1), Stream)
	if leave, err := s.Shape(5, 0); leave != 305 || err != nil {
		t.Errorf("an end that is all there is leaves at %d, %v", leave, err)
	}
}

func TestLatencySettings(t *testing.T) {
	once := Latency{Delay: constant(300 * time.Millisecond), On: LinksOf(Server, Ingress)}
	every := once
	every.PerReadWrite = true
	for want, f := range map[string]Fault{
		"normal, mean 300, stddev 0 ms; to client, once a flow":          once,
		"normal, mean 300, stddev 0 ms; to client, every read and write": every,
	} {
		if f.Name() != "latency" || f.String() != want || f.Links() != once.On {
			t.Errorf("%s, %q, %v", f.Name(), f, f.Links())
		}
	}
	if err := once.Validate(); err != nil {
		t.Error(err)
	}
	if err := (Latency{}).Validate(); err == nil {
		t.Error("no distribution was accepted")
	}
	if err := (Latency{Delay: Pareto{}}).Validate(); err == nil {
		t.Error("a bad distribution was accepted")
	}
}
