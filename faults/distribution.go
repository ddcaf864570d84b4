package faults

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"
)

// Distribution is where delays are drawn from.
type Distribution interface {
	// Sample draws a delay; it is never negative.
	Sample(rng *rand.Rand) time.Duration
	// String gives the name and the parameters, in milliseconds.
	String() string
	// Validate says what is wrong with the parameters.
	Validate() error
	// CDF is the probability of a delay of at most x.
	CDF(x time.Duration) float64

	mean() float64 // in nanoseconds; may be infinite
}

// Normal is the normal distribution, drawn again while negative; its mean is
// therefore above Mean where StdDev is not small against it.
type Normal struct{ Mean, StdDev time.Duration }

// Sample draws a delay.
func (d Normal) Sample(rng *rand.Rand) time.Duration {
	for {
		if x := float64(d.Mean) + float64(d.StdDev)*rng.NormFloat64(); x >= 0 {
			return nanoseconds(x)
		}
	}
}

// String gives "normal, mean 300, stddev 50 ms".
func (d Normal) String() string {
	return fmt.Sprintf("normal, mean %s, stddev %s ms", ms(d.Mean), ms(d.StdDev))
}

// Validate wants a mean and a deviation that are not negative.
func (d Normal) Validate() error {
	if d.Mean < 0 || d.StdDev < 0 {
		return fmt.Errorf("%v: neither may be negative", d)
	}
	return nil
}

// Uniform is the uniform distribution on [Min, Max].
type Uniform struct{ Min, Max time.Duration }

// Sample draws a delay.
func (d Uniform) Sample(rng *rand.Rand) time.Duration {
	return min(longest, d.Min+time.Duration(rng.Int64N(int64(d.Max-d.Min)+1)))
}

// String gives "uniform, 10 to 50 ms".
func (d Uniform) String() string {
	return fmt.Sprintf("uniform, %s to %s ms", ms(d.Min), ms(d.Max))
}

// Validate wants 0 ≤ Min ≤ Max.
func (d Uniform) Validate() error {
	if d.Min < 0 || d.Max < d.Min || d.Max == math.MaxInt64 {
		return fmt.Errorf("%v: the first may not be negative or above the second", d)
	}
	return nil
}

// Pareto is the Pareto distribution: Scale · U^(−1/Shape), U uniform on (0, 1].
// Every delay is at least Scale. With a Shape of at most 1 it has no mean.
type Pareto struct {
	Scale time.Duration
	Shape float64
}

// Sample draws a delay.
func (d Pareto) Sample(rng *rand.Rand) time.Duration {
	u := 1 - rng.Float64() // Float64 is from [0, 1)
	return nanoseconds(float64(d.Scale) * math.Pow(u, -1/d.Shape))
}

// String gives "pareto, scale 20 ms, shape 1.5".
func (d Pareto) String() string {
	return fmt.Sprintf("pareto, scale %s ms, shape %s", ms(d.Scale), number(d.Shape))
}

// Validate wants both above 0.
func (d Pareto) Validate() error {
	if d.Scale <= 0 || !(d.Shape > 0) || math.IsInf(d.Shape, 0) {
		return fmt.Errorf("%v: both must be above 0", d)
	}
	return nil
}

// ParetoNormal is the sum of a draw from each of the two.
type ParetoNormal struct {
	Pareto Pareto
	Normal Normal
}

// Sample draws a delay.
func (d ParetoNormal) Sample(rng *rand.Rand) time.Duration {
	return nanoseconds(float64(d.Pareto.Sample(rng)) + float64(d.Normal.Sample(rng)))
}

// String gives both sets of parameters.
func (d ParetoNormal) String() string {
	return fmt.Sprintf("pareto-normal, scale %s ms, shape %s, mean %s, stddev %s ms",
		ms(d.Pareto.Scale), number(d.Pareto.Shape), ms(d.Normal.Mean), ms(d.Normal.StdDev))
}

// Validate asks both.
func (d ParetoNormal) Validate() error {
	if err := d.Pareto.Validate(); err != nil {
		return err
	}
	return d.Normal.Validate()
}

// longest bounds a draw. The tail of a Pareto distribution has no end, but what
// counts nanoseconds has.
const longest = 100 * year

func nanoseconds(x float64) time.Duration {
	if x >= float64(longest) {
		return longest
	}
	return time.Duration(math.Round(x))
}

// ms prints a duration in milliseconds, without digits that say nothing.
func ms(d time.Duration) string { return number(float64(d) / float64(time.Millisecond)) }

// percent prints a probability in percent, without the digits of 100 × 0.07 in
// binary.
func percent(p float64) string {
	x, _ := strconv.ParseFloat(strconv.FormatFloat(100*p, 'g', 12, 64), 64)
	return number(x)
}

func number(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
