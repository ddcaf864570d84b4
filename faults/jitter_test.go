package faults

import (
	"math"
	"slices"
	"testing"
	"time"
)

// upTo is the uniform distribution function on [0, most], from the textbook.
func upTo(most time.Duration) func(float64) float64 {
	return func(x float64) float64 { return min(1, max(0, x/float64(most))) }
}

func TestJitterFitsTheFormula(t *testing.T) {
	const most = 20 * time.Millisecond
	f := Jitter{Amplitude: most, Frequency: 1000, On: both}
	s := f.Shaper(generator(1), Stream)
	draws := make([]time.Duration, samples)
	for i := range draws {
		at := time.Duration(i) * time.Millisecond
		leave, err := s.Shape(at, 1)
		if err != nil {
			t.Fatal(err)
		}
		draws[i] = leave - at
	}
	fits(t, draws, upTo(most))
	if slices.Min(draws) < 0 || slices.Max(draws) > most {
		t.Errorf("from %v to %v", slices.Min(draws), slices.Max(draws))
	}
	for _, link := range []Link{ToServer, ToClient} {
		fits(t, firstDelays(t, f, 1, link), upTo(most))
	}
}

func TestJitterIncludesBothEnds(t *testing.T) {
	s := Jitter{Amplitude: 2, Frequency: 1e9}.Shaper(generator(1), Stream)
	seen := make(map[time.Duration]bool)
	for at := range time.Duration(1000) {
		leave, _ := s.Shape(at, 1)
		seen[leave-at] = true
	}
	if len(seen) != 3 || !seen[0] || !seen[1] || !seen[2] {
		t.Errorf("jitter up to 2 ns gave %v", seen)
	}
}

// jittered is when pieces arrived that a shaper chose to delay. The amplitude
// must be so large that a draw of 0 does not happen.
func jittered(t *testing.T, s Shaper, arrivals []time.Duration, amplitude time.Duration) []time.Duration {
	t.Helper()
	var chosen []time.Duration
	for _, at := range arrivals {
		leave, err := s.Shape(at, 1)
		if leave < at || leave > at+amplitude || err != nil {
			t.Fatalf("a piece at %v leaves at %v, %v", at, leave, err)
		}
		if leave > at {
			chosen = append(chosen, at)
		}
	}
	return chosen
}

// In no second, wherever it begins, are more pieces delayed than the frequency
// allows; whatever the traffic.
func TestJitterKeepsItsFrequency(t *testing.T) {
	rng := generator(3)
	for _, frequency := range []float64{.1, .5, 1, 1.5, 3, 5, 7, 11, 7.3, 49, 50, 333, 1000} {
		for _, pace := range []float64{.1, 1, 3, 50} { // pieces in the time from one delay to the next
			arrivals := make([]time.Duration, 20_000)
			var at time.Duration
			for i := range arrivals {
				if rng.IntN(3) > 0 { // some arrive together
					at += time.Duration(rng.ExpFloat64() / frequency / pace * 1e9)
				}
				arrivals[i] = at
			}
			keepsFrequency(t, frequency, arrivals)
		}
		// A part of a nanosecond early each time would be one too many in the end.
		arrivals := make([]time.Duration, 100)
		for i := range arrivals {
			arrivals[i] = time.Duration(i) * time.Duration(1e9/frequency)
		}
		keepsFrequency(t, frequency, arrivals)
	}
}

func keepsFrequency(t *testing.T, frequency float64, arrivals []time.Duration) {
	t.Helper()
	f := Jitter{Amplitude: time.Hour, Frequency: frequency}
	chosen := jittered(t, f.Shaper(generator(1), Stream), arrivals, f.Amplitude)
	if len(chosen) == 0 {
		t.Fatalf("%v Hz: nothing was delayed", frequency)
	}
	// A frequency that is not whole is kept over a time in which it is.
	second, most := time.Second, int(frequency)
	if float64(most) != frequency {
		second, most = 10*time.Second, int(math.Round(10*frequency))
	}
	for i := most; i < len(chosen); i++ {
		if chosen[i]-chosen[i-most] < second {
			t.Fatalf("%v Hz: %d pieces were delayed in the %v from %v", frequency, most+1, second, chosen[i-most])
		}
	}
}

// Where there are pieces enough, the frequency is reached.
func TestJitterUsesItsFrequency(t *testing.T) {
	arrivals := make([]time.Duration, 10_000)
	for i := range arrivals {
		arrivals[i] = time.Duration(i) * time.Millisecond
	}
	for frequency, want := range map[float64]int{.1: 1, 1: 10, 5: 50, 1000: 10_000, 1e6: 10_000, 1e300: 10_000, math.SmallestNonzeroFloat64: 1} {
		f := Jitter{Amplitude: time.Hour, Frequency: frequency}
		if err := f.Validate(); err != nil {
			t.Fatal(err)
		}
		if got := len(jittered(t, f.Shaper(generator(1), Stream), arrivals, time.Hour)); got != want {
			t.Errorf("%v Hz: %d pieces in 10 s, want %d", frequency, got, want)
		}
	}
}

func TestJitterOfNothing(t *testing.T) {
	for _, f := range []Jitter{{}, {Amplitude: time.Hour}, {Frequency: 5}} {
		f.On = both
		s := f.Shaper(generator(1), Stream)
		if !s.Spent() {
			t.Errorf("%v is not spent", f)
		}
		c := (&Plan{Faults: always(f)}).Chain(1, ToClient, Stream)
		for at := range time.Duration(100) {
			if d := shapes(t, c, at, 1); d.Leave != at || d.Effects != nil {
				t.Fatalf("%v: a piece at %d: %+v", f, at, d)
			}
		}
		if !c.Spent() {
			t.Errorf("%v: the chain is not spent", f)
		}
	}
	if (Jitter{Amplitude: 1, Frequency: .001}).Shaper(generator(1), Stream).Spent() {
		t.Error("a rare jitter is spent")
	}
}

// Pieces behind one that is delayed wait for it, which is no jitter of theirs.
func TestJitterKeepsOrder(t *testing.T) {
	for _, carrier := range []Carrier{Stream, Datagrams} {
		f := Jitter{Amplitude: 300 * time.Millisecond, Frequency: 5, On: both}
		c := (&Plan{Faults: always(f)}).Chain(1, ToClient, carrier)
		var last, drawn time.Duration
		for at := time.Duration(0); at < 10*time.Second; at += 10 * time.Millisecond {
			d := shapes(t, c, at, 1)
			if len(d.Effects) > 0 {
				drawn = at + d.Effects[0].Delay
			}
			if want := max(at, last, drawn); d.Leave != want {
				t.Fatalf("a piece at %v leaves at %v, want %v", at, d.Leave, want)
			}
			last = d.Leave
		}
	}
}

func TestJitterSettings(t *testing.T) {
	var f Fault = Jitter{Amplitude: 20 * time.Millisecond, Frequency: 5, On: LinksOf(Client, Ingress)}
	if f.Name() != "jitter" || f.String() != "up to 20 ms, at most 5 times a second; to server" || f.Links() != LinksOf(Client, Ingress) {
		t.Errorf("%s, %q, %v", f.Name(), f, f.Links())
	}
	for _, tc := range []struct {
		f    Jitter
		good bool
	}{
		{Jitter{}, true},
		{Jitter{Amplitude: time.Millisecond, Frequency: .5}, true},
		{Jitter{Amplitude: math.MaxInt64 - 1, Frequency: math.MaxFloat64}, true},
		{Jitter{Amplitude: -1, Frequency: 5}, false},
		{Jitter{Amplitude: math.MaxInt64, Frequency: 5}, false},
		{Jitter{Amplitude: 1, Frequency: -1}, false},
		{Jitter{Amplitude: 1, Frequency: math.NaN()}, false},
		{Jitter{Amplitude: 1, Frequency: math.Inf(1)}, false},
	} {
		if err := tc.f.Validate(); (err == nil) != tc.good {
			t.Errorf("%v: %v", tc.f, err)
		}
	}
}
