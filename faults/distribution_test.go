package faults

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const millisecond = float64(time.Millisecond)

// formulas are distributions beside their distribution functions, written from
// the textbook and not from the package: x is in nanoseconds.
var formulas = []struct {
	delay Distribution
	cdf   func(x float64) float64
}{
	{Normal{300 * time.Millisecond, 50 * time.Millisecond}, normalCDF(300, 50)},
	// Half of the normal distribution is below 0 here, and drawn again.
	{Normal{0, 50 * time.Millisecond}, normalCDF(0, 50)},
	{Normal{20 * time.Millisecond, 40 * time.Millisecond}, normalCDF(20, 40)},
	{Uniform{10 * time.Millisecond, 50 * time.Millisecond}, func(x float64) float64 {
		return min(1, max(0, (x/millisecond-10)/40))
	}},
	{Uniform{0, 7 * time.Millisecond}, func(x float64) float64 {
		return min(1, max(0, x/millisecond/7))
	}},
	{Pareto{20 * time.Millisecond, 1.5}, paretoCDF(20, 1.5)},
	{Pareto{time.Millisecond, .5}, paretoCDF(1, .5)}, // without a mean
	{ParetoNormal{Pareto{20 * time.Millisecond, 3}, Normal{40 * time.Millisecond, 10 * time.Millisecond}}, paretoNormalCDF(20, 3, 40, 10)},
	{ParetoNormal{Pareto{5 * time.Millisecond, 1.5}, Normal{10 * time.Millisecond, 20 * time.Millisecond}}, paretoNormalCDF(5, 1.5, 10, 20)},
}

// standardNormal is Φ by the error function.
func standardNormal(z float64) float64 { return .5 * (1 + math.Erf(z/math.Sqrt2)) }

// normalCDF is that of a normal distribution cut off below 0; all in ms.
func normalCDF(mean, stddev float64) func(float64) float64 {
	negative := standardNormal(-mean / stddev)
	return func(x float64) float64 {
		if x < 0 {
			return 0
		}
		return (standardNormal((x/millisecond-mean)/stddev) - negative) / (1 - negative)
	}
}

func paretoCDF(scale, shape float64) func(float64) float64 {
	return func(x float64) float64 {
		if x < scale*millisecond {
			return 0
		}
		return 1 - math.Exp(-shape*math.Log(x/millisecond/scale))
	}
}

// paretoNormalCDF is the convolution of the two, by Simpson's rule over the
// normal part, as far as it leaves room for the least Pareto delay.
func paretoNormalCDF(scale, shape, mean, stddev float64) func(float64) float64 {
	pareto := paretoCDF(scale, shape)
	density := func(y float64) float64 {
		z := (y - mean) / stddev
		return math.Exp(-z*z/2) / (stddev * math.Sqrt(2*math.Pi) * (1 - standardNormal(-mean/stddev)))
	}
	return func(x float64) float64 {
		x /= millisecond
		high := min(x-scale, mean+8*stddev)
		if high <= 0 {
			return 0
		}
		const steps = 200 // even
		h := high / steps
		var sum float64
		for i := range steps + 1 {
			weight := 2.0
			switch {
			case i == 0 || i == steps:
				weight = 1
			case i%2 == 1:
				weight = 4
			}
			y := h * float64(i)
			// Rounding must not take the last point out of the support.
			sum += weight * density(y) * pareto(max(scale, x-y)*millisecond)
		}
		return sum * h / 3
	}
}

// samples is how many draws a test of fit takes.
const samples = 10_000

// fits is the test of Kolmogorov and Smirnov at the level of 1 %.
func fits(t *testing.T, draws []time.Duration, cdf func(float64) float64) {
	t.Helper()
	n := float64(len(draws))
	var d float64
	for i, x := range slices.Sorted(slices.Values(draws)) {
		f := cdf(float64(x))
		d = max(d, f-float64(i)/n, float64(i+1)/n-f)
	}
	if limit := 1.63 / math.Sqrt(n); d >= limit {
		t.Errorf("D = %.4f, want below %.4f", d, limit)
	}
}

func generator(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

func draw(d Distribution, rng *rand.Rand, n int) []time.Duration {
	draws := make([]time.Duration, n)
	for i := range draws {
		draws[i] = d.Sample(rng)
	}
	return draws
}

func TestSamplesFitTheFormula(t *testing.T) {
	for _, f := range formulas {
		t.Run(f.delay.String(), func(t *testing.T) {
			fits(t, draw(f.delay, generator(1), samples), f.cdf)
		})
	}
}

// Every flow has a generator of its own, so that what a user sees is first
// draws, one of each.
func TestFirstDrawsOfFlowsFitTheFormula(t *testing.T) {
	for _, f := range formulas {
		for _, link := range []Link{ToServer, ToClient} {
			t.Run(fmt.Sprintf("%v %v", f.delay, link), func(t *testing.T) {
				fits(t, firstDraws(t, f.delay, 1, link), f.cdf)
			})
		}
	}
}

// firstDraws is the delay of the first piece of each of many flows.
func firstDraws(t *testing.T, d Distribution, seed uint64, link Link) []time.Duration {
	t.Helper()
	return firstDelays(t, Latency{Delay: d, On: both}, seed, link)
}

func firstDelays(t *testing.T, f Fault, seed uint64, link Link) []time.Duration {
	t.Helper()
	plan := Plan{Faults: always(f), Seed: seed}
	delays := make([]time.Duration, samples)
	for flow := range delays {
		delays[flow] = shapes(t, plan.Chain(uint64(flow), link, Stream), 0, 1).Leave
	}
	return delays
}

func TestDrawsAreIndependent(t *testing.T) {
	for _, f := range []Fault{
		Latency{Delay: Uniform{0, time.Second}, On: both},
		Jitter{Amplitude: time.Second, Frequency: 5, On: both},
	} {
		independent(t, f)
	}
}

func independent(t *testing.T, f Fault) {
	toServer, toClient := firstDelays(t, f, 1, ToServer), firstDelays(t, f, 1, ToClient)
	for what, pair := range map[string][2][]time.Duration{
		"the two links of a flow":  {toServer, toClient},
		"neighbouring flows":       {toServer[1:], toServer[:samples-1]},
		"a link and the next flow": {toServer[1:], toClient[:samples-1]},
		"two seeds":                {toServer, firstDelays(t, f, 2, ToServer)},
	} {
		// Four standard deviations of the correlation of independent draws.
		if r := correlation(pair[0], pair[1]); math.Abs(r) > 4/math.Sqrt(samples) {
			t.Errorf("%v: %s correlate by %.3f", f, what, r)
		}
	}
}

func correlation(a, b []time.Duration) float64 {
	var sa, sb, saa, sbb, sab float64
	for i := range a {
		x, y := a[i].Seconds(), b[i].Seconds()
		sa, sb, saa, sbb, sab = sa+x, sb+y, saa+x*x, sbb+y*y, sab+x*y
	}
	n := float64(len(a))
	return (n*sab - sa*sb) / math.Sqrt((n*saa-sa*sa)*(n*sbb-sb*sb))
}

func TestSeedDecidesDraws(t *testing.T) {
	for _, f := range formulas {
		first := firstDraws(t, f.delay, 42, ToClient)
		if !slices.Equal(first, firstDraws(t, f.delay, 42, ToClient)) {
			t.Errorf("%v: one seed, two runs", f.delay)
		}
		other, same := firstDraws(t, f.delay, 43, ToClient), 0
		for i := range first {
			if first[i] == other[i] {
				same++
			}
		}
		if same > samples/100 {
			t.Errorf("%v: two seeds share %d draws of %d", f.delay, same, samples)
		}
	}
}

func TestConstantDelays(t *testing.T) {
	for _, d := range []Distribution{
		Normal{Mean: 300 * time.Millisecond},
		Uniform{300 * time.Millisecond, 300 * time.Millisecond},
	} {
		for _, x := range draw(d, generator(1), 100) {
			if x != 300*time.Millisecond {
				t.Fatalf("%v gives %v", d, x)
			}
		}
	}
	for _, x := range draw(Normal{}, generator(1), 100) {
		if x != 0 {
			t.Fatalf("no delay is %v", x)
		}
	}
}

func TestUniformIncludesBothEnds(t *testing.T) {
	seen := make(map[time.Duration]bool)
	for _, x := range draw(Uniform{3, 5}, generator(1), 1000) {
		seen[x] = true
	}
	if len(seen) != 3 || !seen[3] || !seen[4] || !seen[5] {
		t.Errorf("uniform on [3 ns, 5 ns] gave %v", seen)
	}
}

// A Pareto delay of a small shape has no bound that a clock could hold, nor
// may the parameters be so large that a sum is not one.
func TestDelaysStayWithinBounds(t *testing.T) {
	const age = math.MaxInt64 - 1
	for _, d := range []Distribution{
		Pareto{time.Hour, .001},
		Pareto{age, 5e-324},
		Pareto{1, math.MaxFloat64},
		Normal{age, age},
		Uniform{age - 1, age},
		Uniform{0, age},
		ParetoNormal{Pareto{age, .01}, Normal{age, 0}},
	} {
		if err := d.Validate(); err != nil {
			t.Fatal(err)
		}
		for _, x := range draw(d, generator(1), 1000) {
			if x < 0 || x > longest {
				t.Fatalf("%v gives %v", d, x)
			}
		}
	}
}

func TestValidate(t *testing.T) {
	const ms = time.Millisecond
	for _, tc := range []struct {
		d    Distribution
		good bool
	}{
		{Normal{}, true},
		{Normal{300 * ms, 50 * ms}, true},
		{Normal{0, 50 * ms}, true},
		{Normal{-1, 50 * ms}, false},
		{Normal{300 * ms, -1}, false},
		{Uniform{}, true},
		{Uniform{5 * ms, 5 * ms}, true},
		{Uniform{5 * ms, 4 * ms}, false},
		{Uniform{-1, 4 * ms}, false},
		{Uniform{0, math.MaxInt64}, false},
		{Pareto{20 * ms, 1.5}, true},
		{Pareto{0, 1.5}, false},
		{Pareto{-1, 1.5}, false},
		{Pareto{20 * ms, 0}, false},
		{Pareto{20 * ms, -1}, false},
		{Pareto{20 * ms, math.NaN()}, false},
		{Pareto{20 * ms, math.Inf(1)}, false},
		{ParetoNormal{Pareto{20 * ms, 1.5}, Normal{}}, true},
		{ParetoNormal{Pareto{0, 1.5}, Normal{}}, false},
		{ParetoNormal{Pareto{20 * ms, 1.5}, Normal{-1, 0}}, false},
	} {
		if err := tc.d.Validate(); (err == nil) != tc.good {
			t.Errorf("%v: %v", tc.d, err)
		}
	}
}

func TestDistributionString(t *testing.T) {
	const ms = time.Millisecond
	for want, d := range map[string]Distribution{
		"normal, mean 300, stddev 50 ms":                               Normal{300 * ms, 50 * ms},
		"uniform, 0.5 to 50 ms":                                        Uniform{ms / 2, 50 * ms},
		"pareto, scale 20 ms, shape 1.5":                               Pareto{20 * ms, 1.5},
		"pareto-normal, scale 20 ms, shape 3, mean 40, stddev 0.01 ms": ParetoNormal{Pareto{20 * ms, 3}, Normal{40 * ms, ms / 100}},
	} {
		if got := d.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
