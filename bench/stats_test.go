package main

import (
	"math"
	"slices"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		of   []float64
		want float64
	}{
		{[]float64{3}, 3},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 100, 2}, 3},
	} {
		given := slices.Clone(c.of)
		if got := median(c.of); got != c.want {
			t.Errorf("median(%v) = %v, want %v", c.of, got, c.want)
		}
		if !slices.Equal(c.of, given) {
			t.Errorf("median has left %v of %v: rounds must keep their order", c.of, given)
		}
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("the median of nothing is %v", got)
	}
}

// TestRatios has rounds that differ so much that what is divided must be of the
// same one.
func TestRatios(t *testing.T) {
	s := series{
		"ours":   {10, 200, 3000, 40, 500},
		"direct": {20, 400, 1000, 80, 1000},
		"a":      {5, 400, 1000, 10, 250},
		"b":      {10, 100, 1500, 20, 100},
	}
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"ratio", s.ratio("ours", "direct"), 0.5},                                       // .5 .5 3 .5 .5
		{"to the highest", s.ratioToBest("ours", []string{"a", "b"}, higher), 2},        // 1 .5 2 2 2
		{"to the lowest", s.ratioToBest("ours", []string{"a", "b"}, lower), 3},          // 2 2 3 4 5
		{"to one", s.ratioToBest("ours", []string{"b"}, higher), 2},                     // 1 2 2 2 5
		{"to one that is missing", s.ratioToBest("ours", []string{"a", "c"}, lower), 2}, // 2 .5 3 4 2
		{"added", s.added("ours", "a"), 30},                                             // 5 -200 2000 30 250
		{"median", s.median("ours"), 200},
	} {
		if c.got != c.want {
			t.Errorf("%s: %v, want %v", c.what, c.got, c.want)
		}
	}
	for what, got := range map[string]float64{
		"ratio": s.ratio("ours", "c"), "to the best": s.ratioToBest("ours", nil, lower), "added": s.added("c", "ours"),
	} {
		if !math.IsNaN(got) {
			t.Errorf("%s of what is not there: %v", what, got)
		}
	}
}
