package faults

import (
	"math"
	"time"
)

// CDF is the probability of a delay of at most x.
func (d Normal) CDF(x time.Duration) float64 {
	switch {
	case x < 0:
		return 0
	case d.StdDev == 0:
		return step(x >= d.Mean)
	}
	// The part below 0 is drawn again, so what is left is scaled up.
	below := phi(-float64(d.Mean) / float64(d.StdDev))
	return (phi(float64(x-d.Mean)/float64(d.StdDev)) - below) / (1 - below)
}

// mean is the expected delay, in nanoseconds.
func (d Normal) mean() float64 {
	if d.StdDev == 0 {
		return float64(d.Mean)
	}
	alpha := -float64(d.Mean) / float64(d.StdDev)
	density := math.Exp(-alpha*alpha/2) / math.Sqrt(2*math.Pi)
	return float64(d.Mean) + float64(d.StdDev)*density/(1-phi(alpha))
}

// CDF is the probability of a delay of at most x.
func (d Uniform) CDF(x time.Duration) float64 {
	if d.Max == d.Min {
		return step(x >= d.Min)
	}
	return min(1, max(0, float64(x-d.Min)/float64(d.Max-d.Min)))
}

func (d Uniform) mean() float64 { return (float64(d.Min) + float64(d.Max)) / 2 }

// CDF is the probability of a delay of at most x.
func (d Pareto) CDF(x time.Duration) float64 {
	if x < d.Scale {
		return 0
	}
	return 1 - math.Pow(float64(d.Scale)/float64(x), d.Shape)
}

func (d Pareto) mean() float64 {
	if d.Shape <= 1 {
		return math.Inf(1)
	}
	return float64(d.Scale) * d.Shape / (d.Shape - 1)
}

// CDF is the probability of a delay of at most x: the Pareto part's, averaged
// over the quantiles of the normal part.
func (d ParetoNormal) CDF(x time.Duration) float64 {
	if d.Normal.StdDev == 0 {
		return d.Pareto.CDF(x - d.Normal.Mean)
	}
	const steps = 1000
	var sum float64
	below := phi(-float64(d.Normal.Mean) / float64(d.Normal.StdDev))
	for i := range steps {
		p := below + (1-below)*(float64(i)+0.5)/steps
		z := -math.Sqrt2 * math.Erfcinv(2*p)
		sum += d.Pareto.CDF(x - d.Normal.Mean - time.Duration(z*float64(d.Normal.StdDev)))
	}
	return sum / steps
}

func (d ParetoNormal) mean() float64 { return d.Pareto.mean() + d.Normal.mean() }

// Expected is the mean of a distribution; false if it has none.
func Expected(d Distribution) (time.Duration, bool) {
	mean := d.mean()
	return nanoseconds(mean), !math.IsInf(mean, 0)
}

// Quantile is the delay that a share p of all draws does not exceed, to a
// microsecond.
func Quantile(d Distribution, p float64) time.Duration {
	low, high := time.Duration(0), longest
	for high-low > 1 {
		middle := low + (high-low)/2
		if d.CDF(middle) < p {
			low = middle
		} else {
			high = middle
		}
	}
	return high.Round(time.Microsecond)
}

// phi is the standard normal distribution function.
func phi(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }

func step(on bool) float64 {
	if on {
		return 1
	}
	return 0
}
