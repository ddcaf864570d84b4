package faults

import (
	"math"
	"testing"
	"time"
)

// tolerance is what the package's own CDF may be off. Pareto-normal averages
// over a thousand quantiles; the others are closed forms.
func tolerance(d Distribution) float64 {
	if _, ok := d.(ParetoNormal); ok {
		return 1e-3
	}
	return 1e-9
}

func TestCDF(t *testing.T) {
	for _, f := range formulas {
		t.Run(f.delay.String(), func(t *testing.T) {
			for x := -time.Millisecond; x < 3*time.Second; x += 5311 * time.Microsecond {
				got, want := f.delay.CDF(x), f.cdf(float64(x))
				if math.Abs(got-want) > tolerance(f.delay) {
					t.Fatalf("CDF(%v) = %v, want %v", x, got, want)
				}
			}
		})
	}
}

func TestCDFOfConstants(t *testing.T) {
	const d = 300 * time.Millisecond
	for _, dist := range []Distribution{Normal{Mean: d}, Uniform{d, d}} {
		if before, at := dist.CDF(d-1), dist.CDF(d); before != 0 || at != 1 {
			t.Errorf("%v: %v before it, %v at it", dist, before, at)
		}
	}
	// What is added to a Pareto delay shifts it.
	p := Pareto{20 * time.Millisecond, 1.5}
	sum := ParetoNormal{p, Normal{Mean: d}}
	if got, want := sum.CDF(d+50*time.Millisecond), p.CDF(50*time.Millisecond); got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestQuantile(t *testing.T) {
	for _, f := range formulas {
		t.Run(f.delay.String(), func(t *testing.T) {
			for _, p := range []float64{.01, .25, .5, .75, .95, .99} {
				// Half the delays are at most the median. Around it, the CDF
				// passes p within the microsecond that is promised.
				x := Quantile(f.delay, p)
				low, high := f.cdf(float64(x-time.Microsecond)), f.cdf(float64(x+time.Microsecond))
				if p < low-tolerance(f.delay) || p > high+tolerance(f.delay) {
					t.Errorf("Quantile(%v) = %v, where the CDF is %v to %v", p, x, low, high)
				}
			}
		})
	}
}

// Values from tables.
func TestKnownQuantiles(t *testing.T) {
	const ms = time.Millisecond
	for _, tc := range []struct {
		d    Distribution
		p    float64
		want time.Duration
	}{
		{Normal{300 * ms, 50 * ms}, .5, 300 * ms},
		{Normal{300 * ms, 50 * ms}, .95, 382243 * time.Microsecond},
		{Uniform{10 * ms, 50 * ms}, .5, 30 * ms},
		{Pareto{20 * ms, 1.5}, .5, 31748 * time.Microsecond},
		{Normal{Mean: 300 * ms}, .5, 300 * ms},
		{Normal{Mean: 300 * ms}, .99, 300 * ms},
		{Uniform{7 * ms, 7 * ms}, .5, 7 * ms},
		{Normal{}, .99, 0},
		{Pareto{time.Hour, .001}, .99, longest},
	} {
		if got := Quantile(tc.d, tc.p); got != tc.want {
			t.Errorf("%v: Quantile(%v) = %v, want %v", tc.d, tc.p, got, tc.want)
		}
	}
}

func TestExpected(t *testing.T) {
	const ms = time.Millisecond
	for _, tc := range []struct {
		d    Distribution
		want time.Duration
		has  bool
	}{
		{Normal{Mean: 300 * ms}, 300 * ms, true},
		{Normal{300 * ms, 50 * ms}, 300 * ms, true},
		{Normal{0, 50 * ms}, 39894228 * time.Nanosecond, true}, // 50·√(2/π)
		{Uniform{10 * ms, 50 * ms}, 30 * ms, true},
		{Pareto{20 * ms, 1.5}, 60 * ms, true},
		{ParetoNormal{Pareto{20 * ms, 3}, Normal{100 * ms, 10 * ms}}, 130 * ms, true},
		{Pareto{20 * ms, 1}, 0, false},
		{ParetoNormal{Pareto{20 * ms, .9}, Normal{Mean: 300 * ms}}, 0, false},
	} {
		got, has := Expected(tc.d)
		if has != tc.has || has && (got-tc.want).Abs() > time.Microsecond {
			t.Errorf("%v: expected %v %v, want %v %v", tc.d, got, has, tc.want, tc.has)
		}
	}
}
