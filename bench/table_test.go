package main

import (
	"math"
	"strings"
	"testing"
)

var testLines = []line{
	{"3", "bulk", 1.6, "", atLeast(1.6, 2)},
	{"3", "more bulk", 1.594, "", atLeast(1.6, 2)},
	{"7", "memory", 0.27, "KiB", atMost(1, 0.4)},
	{"14", "start", 150.5, "ms", atMost(150, 50)},
	{"http", "nothing", math.NaN(), "", atMost(1, 1)},
}

func TestGates(t *testing.T) {
	for _, c := range []struct {
		judged bool
		want   string
	}{
		{true, `
| row | what | measured | gate | aim |  |
|---|---|---|---|---|---|
| 3 | bulk | 1.60 | ≥ 1.60 | 2.00 | pass |
| 3 | more bulk | 1.59 | ≥ 1.60 | 2.00 | miss |
| 7 | memory | 0.27 KiB | ≤ 1.00 KiB | 0.40 KiB | pass |
| 14 | start | 150 ms | ≤ 150 ms | 50.0 ms | miss |
| http | nothing | - | ≤ 1.00 | 1.00 | miss |
`},
		{false, `
| row | what | measured |
|---|---|---|
| 3 | bulk | 1.60 |
| 3 | more bulk | 1.59 |
| 7 | memory | 0.27 KiB |
| 14 | start | 150 ms |
| http | nothing | - |
`},
	} {
		var text strings.Builder
		if err := markdown(&text, gates(testLines, c.judged)); err != nil {
			t.Fatal(err)
		}
		if got := text.String(); got != c.want[1:] {
			t.Errorf("judged %v:\n%swant:%s", c.judged, got, c.want)
		}
	}
	if got := missed(testLines); got != 3 {
		t.Errorf("%d are missed, want 3", got)
	}
}

func TestMedians(t *testing.T) {
	var text strings.Builder
	err := align(&text, medians([]detail{
		{"bulk", "GB/s", []string{direct, ours}, series{direct: {8, 4, 6}, ours: {4, 3, 3}}},
		{"memory", "KiB", []string{ours}, series{ours: {0.0271}}},
	}))
	if err != nil {
		t.Fatal(err)
	}
	const want = `
what    unit  target  median  × direct
bulk    GB/s  direct  6.00    
              fault   3.00    0.50
memory  KiB   fault   0.027   
`
	if got := text.String(); got != want[1:] {
		t.Errorf("got:\n%swant:%s", got, want)
	}
}

func TestQuantity(t *testing.T) {
	for want, v := range map[string]float64{
		"0.00": 0, "0.027": 0.0271, "-0.50": -0.5, "1.00": 1, "9.99": 9.99, "12.3": 12.34, "123": 123.4, "16397": 16397.2, "-": math.NaN(),
	} {
		if got := quantity(v, ""); got != want {
			t.Errorf("%v is written %q, want %q", v, got, want)
		}
	}
}
