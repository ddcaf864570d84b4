package faults

import (
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"testing"
	"time"
)

// A line that is never empty carries byte after byte, and is as exact after ten
// minutes as at the beginning: no piece is off by a nanosecond.
func TestBandwidthDoesNotDrift(t *testing.T) {
	for _, tc := range []struct {
		rate uint64 // bytes a second
		n    int
	}{
		{10, 1}, {7, 1}, {1000, 20}, {1000, 13}, {999, 1448}, {125_000, 2500}, {333_333, 100},
		{1_000_000, 20_000}, {999_999_937, 65_521}, {10_000_000_000, 1 << 20}, {9_999_999_967, 1<<20 - 1},
	} {
		t.Run(fmt.Sprintf("%d bytes at %d B/s", tc.n, tc.rate), func(t *testing.T) {
			s := Bandwidth{Rate: float64(tc.rate)}.Shaper(nil, Stream)
			var carried uint64
			for leave := time.Duration(0); leave < 10*time.Minute; {
				carried += uint64(tc.n)
				last := leave
				leave, _ = s.Shape(0, tc.n)
				high, low := bits.Mul64(carried, uint64(time.Second))
				floor, rest := bits.Div64(high, low, tc.rate)
				want := time.Duration(floor)
				if off := leave - want; off < 0 || off > 1 || off == 1 && rest == 0 {
					t.Fatalf("byte %d has left at %d, want %d + %d/%d ns", carried, leave, want, rest, tc.rate)
				}
				if leave < last {
					t.Fatalf("byte %d has left at %d, before the one ahead at %d", carried, leave, last)
				}
			}
		})
	}
}

// An empty line carries a piece from its arrival: what was not used before is
// not made up for.
func TestBandwidthSavesNothingUp(t *testing.T) {
	const ms = time.Millisecond
	s := Bandwidth{Rate: 1000}.Shaper(nil, Stream)
	for _, tc := range []struct {
		at    time.Duration
		n     int
		leave time.Duration
	}{
		{0, 20, 20 * ms}, {0, 1, 21 * ms}, {21 * ms, 1, 22 * ms}, {time.Hour, 20, time.Hour + 20*ms},
		{time.Hour + 10*ms, 20, time.Hour + 40*ms}, {time.Hour + 10*ms, 5000, time.Hour + 5040*ms},
		// The end of the stream is behind what is before it, and takes no time.
		{time.Hour + 20*ms, 0, time.Hour + 5040*ms}, {2 * time.Hour, 0, 2 * time.Hour},
	} {
		if leave, err := s.Shape(tc.at, tc.n); leave != tc.leave || err != nil {
			t.Errorf("%d bytes at %v leave at %v, %v, want %v", tc.n, tc.at, leave, err, tc.leave)
		}
		if s.Spent() {
			t.Error("spent")
		}
	}
}

// traffic is pieces of random sizes that arrive at random, some together, some
// faster than the rate, some after a pause.
func traffic(rng *rand.Rand, rate float64, pieces int) (at []time.Duration, n []int) {
	most := int(min(1<<20, max(2, rate/20)))
	at, n = make([]time.Duration, pieces), make([]int, pieces)
	var now time.Duration
	for i := range at {
		n[i] = rng.IntN(most)
		if i > 0 {
			takes := float64(n[i]) / rate * 1e9
			now += time.Duration(takes * []float64{0, .5, .9, 1, 2, 10 * rng.Float64()}[rng.IntN(6)])
		}
		at[i] = now
	}
	return at, n
}

// Over no second, and over no other stretch of time, does more leave than the
// rate and a piece; and nothing leaves later than the line makes it.
func TestBandwidthKeepsTheRate(t *testing.T) {
	rng := generator(11)
	for i := range 60 {
		rate := math.Pow(10, 1+9*float64(i)/59) // 10 B/s to 10 GB/s
		s := Bandwidth{Rate: rate}.Shaper(nil, Stream)
		arrivals, sizes := traffic(rng, rate, 5000)
		var leaves []time.Duration
		var free time.Duration
		for k, at := range arrivals {
			leave, err := s.Shape(at, sizes[k])
			exact := float64(max(at, free)) + float64(sizes[k])/rate*1e9
			// The rest of a nanosecond is carried on, hence up to one.
			if off := float64(leave) - exact; math.Abs(off) > 1.001+exact*1e-15 || leave < at || err != nil {
				t.Fatalf("%.0f B/s: %d bytes at %d leave at %d, %v, want %.1f", rate, sizes[k], at, leave, err, exact)
			}
			free = leave
			leaves = append(leaves, leave)
		}
		for _, window := range []time.Duration{10 * time.Millisecond, time.Second, time.Minute} {
			within(t, rate, window, leaves, sizes)
		}
	}
}

// within slides a window over departures: after the first, no more may leave
// in it than the line carries meanwhile.
func within(t *testing.T, rate float64, window time.Duration, leaves []time.Duration, sizes []int) {
	t.Helper()
	// The ends of the window are rounded to a nanosecond.
	most := int(math.Ceil(rate * (window + 1).Seconds()))
	sum, first := 0, 0
	for i, n := range sizes {
		sum += n
		for leaves[i]-leaves[first] > window {
			sum -= sizes[first]
			first++
		}
		if sum-sizes[first] > most {
			t.Fatalf("%.0f B/s: after a piece of %d bytes at %v %d more leave within %v", rate, sizes[first], leaves[first], sum-sizes[first], window)
		}
	}
}

// Half a nanosecond is rounded up, and then owed by the line; a piece of no
// bytes must not be paid with it.
func TestBandwidthNeverGoesBack(t *testing.T) {
	s := Bandwidth{Rate: 2e9}.Shaper(nil, Stream)
	for i, piece := range []struct {
		at    time.Duration
		n     int
		leave time.Duration
	}{
		{100, 1, 101}, {101, 0, 101}, {101, 0, 101}, {101, 1, 101}, {101, 1, 102}, {102, 0, 102},
		{200, 1, 201}, {300, 1, 301}, // a line that was idle owes nothing
	} {
		if leave, _ := s.Shape(piece.at, piece.n); leave != piece.leave {
			t.Errorf("piece %d leaves at %d, want %d", i, leave, piece.leave)
		}
	}
}

// A piece is what passes in 20 ms, but not so small that it is none, nor so
// large that it fills memory.
func TestBandwidthPieces(t *testing.T) {
	for rate, want := range map[float64]int{
		1e-9: 1, 1: 1, 10: 1, 50: 1, 99: 1, 100: 2, 1000: 20, 125_000: 2500, 1e6: 20_000, 1e7: 200_000,
		1 << 20 * 50: 1 << 20, 1e9: 1 << 20, 1e15: 1 << 20,
	} {
		if got := (Bandwidth{Rate: rate}).most(nil); got != want {
			t.Errorf("at %v B/s a piece is %d bytes, want %d", rate, got, want)
		}
	}
}

func TestRate(t *testing.T) {
	for rate, want := range map[float64]string{
		0: "0 B/s", .125: "0.12 B/s", .5: "0.5 B/s", 1: "1 B/s", 10: "10 B/s", 100: "100 B/s", 500: "500 B/s", 999: "999 B/s", 999.99: "999.99 B/s",
		1000: "1 kB/s", 1500: "1.5 kB/s", 1050: "1.05 kB/s", 10_000: "10 kB/s", 125_000: "125 kB/s", 200_000: "200 kB/s",
		1e6: "1 MB/s", 1.5e6: "1.5 MB/s", 12_345_678: "12.35 MB/s", 5e9: "5 GB/s", 1e10: "10 GB/s", 1e15: "1000000 GB/s",
		// Rounding does not make a thousand of a unit.
		999.999: "1 kB/s", 999_999: "1 MB/s", 999_994: "999.99 kB/s", 999_999_999: "1 GB/s",
	} {
		if got := Rate(rate); got != want {
			t.Errorf("Rate(%v) = %q, want %q", rate, got, want)
		}
	}
}

func TestBandwidthSettings(t *testing.T) {
	var f Fault = Bandwidth{Rate: 1e6, On: LinksOf(Server, Ingress)}
	if f.Name() != "bandwidth" || f.String() != "1 MB/s a flow; to client" || f.Links() != LinksOf(Server, Ingress) {
		t.Errorf("%s, %q, %v", f.Name(), f, f.Links())
	}
	for rate, good := range map[float64]bool{
		math.SmallestNonzeroFloat64: true, .125: true, 1000: true, 5e9: true, 1e15: true,
		0: false, -1: false, 2e15: false, math.Inf(1): false, math.Inf(-1): false, math.NaN(): false,
	} {
		if err := (Bandwidth{Rate: rate}).Validate(); (err == nil) != good {
			t.Errorf("%v B/s: %v", rate, err)
		}
	}
}
