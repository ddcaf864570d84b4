package view

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/faultproxy/fault/faults"
)

// TestRounded holds the axes of histograms: as short as four round steps allow.
func TestRounded(t *testing.T) {
	for _, tc := range []struct{ low, high, smallest, from, step int64 }{
		{171, 429, 1, 150, 75},
		{0, 4, 1, 0, 1},
		{0, 5, 1, 0, 2}, // 1.5 is no whole number of units
		{0, 50, 1, 0, 15},
		{0, 70, 1, 0, 20},
		{0, 91, 1, 0, 25},
		{0, 101, 1, 0, 30},
		{0, 121, 1, 0, 40},
		{0, 161, 1, 0, 50},
		{0, 201, 1, 0, 75},
		{0, 301, 1, 0, 100},
		{90, 410, 1, 0, 150}, // 100 would begin at 0 and end at 400
		{300, 300, 1, 300, 1},
		{300, 300, 3, 300, 3},
		{300, 301, 6, 300, 10}, // 7.5 is no whole number of units
		{0, 0, 1, 0, 1},
		{3_599_000, 3_600_000, 1, 3_599_000, 250},
	} {
		from, step := rounded(tc.low, tc.high, tc.smallest)
		if from != tc.from || step != tc.step {
			t.Errorf("%d to %d in steps of at least %d: from %d in steps of %d, want %d and %d",
				tc.low, tc.high, tc.smallest, from, step, tc.from, tc.step)
		}
	}
}

func TestBars(t *testing.T) {
	for _, tc := range []struct {
		counts []int64
		rows   int
		want   []string
	}{
		{[]int64{1, 2, 3, 4, 5, 6, 7, 8}, 1, []string{"▁▂▃▄▅▆▇█"}},
		{[]int64{0, 1, 1000, 0, 1, 0}, 1, []string{" ▁█ ▁"}},
		{[]int64{1, 8, 9, 16}, 2, []string{"  ▁█", "▁███"}},
		{[]int64{0, 0}, 2, []string{"", ""}},
	} {
		if got := bars(tc.counts, tc.rows); !slices.Equal(got, tc.want) {
			t.Errorf("%v in %d rows is %q, want %q", tc.counts, tc.rows, got, tc.want)
		}
	}
}

// TestHistogramHolds holds that the bins have all that the axis covers: of all
// values at least 99 %, and for a single value all.
func TestHistogramHolds(t *testing.T) {
	for name, values := range map[string][]time.Duration{
		"normal":  drawn(faults.Normal{Mean: 300 * milli, StdDev: 50 * milli}, 5000),
		"uniform": drawn(faults.Uniform{Min: 10 * milli, Max: 20 * milli}, 5000),
		"pareto":  drawn(faults.Pareto{Scale: 20 * milli, Shape: 1.5}, 5000),
		"one":     {300 * milli},
		"same":    slices.Repeat([]time.Duration{1234567 * time.Microsecond}, 100),
		"zero":    {0, 0, 0},
		"longest": {time.Hour, time.Microsecond},
	} {
		for _, bins := range []int{1, 26, 60, 260} {
			m := measure(newHistogram(values...))
			m.axis(bins)
			var sum int64
			for _, n := range m.counts(bins) {
				sum += n
			}
			if sum > m.n || float64(sum) < .985*float64(m.n) {
				t.Errorf("%s: %d bins have %d of %d values", name, bins, sum, m.n)
			}
		}
	}
}

func TestTicks(t *testing.T) {
	label := func(texts ...string) func(int) string { return func(i int) string { return texts[i] } }
	for _, tc := range []struct {
		cells int
		texts []string
		want  string
	}{
		{20, []string{"0:00", "2:30", "5:00"}, "0:00      2:30  5:00"},
		{12, []string{"0:00", "2:30", "5:00"}, "0:00  2:30"},
		{4, []string{"0:00", "2:30", "5:00"}, "0:00"},
		{10, []string{"a", "b", "c", "d", "e"}, "a b  c d e"},
	} {
		got := ticks(tc.cells, len(tc.texts)-1, label(tc.texts...))
		if got != tc.want {
			t.Errorf("%d cells: %q, want %q", tc.cells, got, tc.want)
		}
		if len(got) > tc.cells && strings.Contains(got, " ") {
			t.Errorf("%q is wider than %d cells", got, tc.cells)
		}
	}
}
