package view

import (
	"strconv"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// measured is what a histogram of microseconds says.
type measured struct {
	h                         *hdrhistogram.Histogram
	n                         int64
	mean, p50, p95, p99, most float64 // in ms
	from, step                int64   // of the axis, in tenths of a µs
	low, high                 int64   // the 0.5th and the 99.5th percentile, in µs
}

func measure(h *hdrhistogram.Histogram) measured {
	if h == nil || h.TotalCount() == 0 {
		return measured{}
	}
	q := h.ValueAtPercentilesSlice([]float64{0.5, 50, 95, 99, 99.5})
	ms := func(us int64) float64 { return float64(us) / 1000 }
	return measured{
		h: h, n: h.TotalCount(), mean: h.Mean() / 1000,
		p50: ms(q[1]), p95: ms(q[2]), p99: ms(q[3]), most: ms(h.Max()), low: q[0], high: q[4],
	}
}

// number prints one of the values; "-" if there is none.
func (m *measured) number(value float64, digits int) string {
	if m.n == 0 {
		return "-"
	}
	return strconv.FormatFloat(value, 'f', digits, 64)
}

// intervals is how many steps an axis has.
const intervals = 4

// rounded gives an axis of four steps that covers low to high: each step is 1,
// 1.5, 2, 2.5, 3, 4, 5 or 7.5 times a power of ten and at least as large as
// smallest, and the axis begins at a multiple of it. All are in one unit, of
// which low and high are at least 0.
func rounded(low, high, smallest int64) (from, step int64) {
	for power := int64(1); ; power *= 10 {
		for _, tenths := range []int64{10, 15, 20, 25, 30, 40, 50, 75} {
			step = tenths * power / 10
			if step*10 != tenths*power || step < smallest {
				continue
			}
			if from = low / step * step; high-from <= intervals*step {
				return from, step
			}
		}
	}
}

// axis gives a histogram one, as fine as bins that one value of the histogram
// still fills: it holds three digits.
func (m *measured) axis(bins int) {
	const unit = 10 // of a µs
	finest := max(1, m.high/1000) * unit * int64(bins) / intervals
	m.from, m.step = rounded(m.low*unit, m.high*unit, max(1, finest))
}

// counts is how many values each of some bins of the axis holds. What the axis
// does not cover is in none.
func (m *measured) counts(bins int) []int64 {
	counts := make([]int64, bins)
	span := intervals * m.step
	for _, bar := range m.h.Distribution() {
		if bar.Count == 0 {
			continue
		}
		// Percentiles are the upper ends of what it cannot tell apart, too.
		if at := 10*bar.To - m.from; at >= 0 && at <= span {
			counts[min(at*int64(bins)/span, int64(bins)-1)] += bar.Count
		}
	}
	return counts
}

// bars is a histogram in rows of text, the upper one first. The tallest bar
// fills them, and what is not empty is to be seen.
func bars(counts []int64, rows int) []string {
	var tallest int64
	for _, n := range counts {
		tallest = max(tallest, n)
	}
	const eighths = 8
	texts := make([]string, rows)
	var b strings.Builder
	for i := range texts {
		b.Reset()
		below := (rows - 1 - i) * eighths
		for _, n := range counts {
			height := 0
			if n > 0 {
				height = max(1, int(float64(n)/float64(tallest)*float64(rows*eighths)+.5))
			}
			b.WriteString([]string{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}[min(max(height-below, 0), eighths)])
		}
		texts[i] = strings.TrimRight(b.String(), " ")
	}
	return texts
}

// tick is what is written at a step of the axis, in ms.
func (m *measured) tick(i int) string {
	return strconv.FormatFloat(float64(m.from+int64(i)*m.step)/1e4, 'f', -1, 64)
}

// ticks is the axis in words.
func (m *measured) ticks(cells, every int) string {
	return ticks(cells, every, func(i int) string {
		text := m.tick(i * intervals / every)
		if i == every {
			text += " ms"
		}
		return text
	})
}
