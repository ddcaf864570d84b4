package faults

import (
	"math"
	"slices"
	"testing"
	"time"
)

// A limit lets exactly so many bytes pass, however they come, and ends the
// link behind the last of them, or instead of the first.
func TestLimits(t *testing.T) {
	type step struct {
		n, kept int
		ends    bool
	}
	for _, tc := range []struct {
		after int64
		steps []step
	}{
		{0, []step{{0, 0, false}, {1, 0, true}}},
		{1, []step{{1, 1, true}}},
		{10, []step{{10, 10, true}}},
		{10, []step{{9, 0, false}, {0, 0, false}}},
		{10, []step{{9, 0, false}, {1, 1, true}}},
		{10, []step{{9, 0, false}, {100, 1, true}}},
		{10, []step{{math.MaxInt32, 10, true}}},
		{1 << 40, []step{{math.MaxInt32, 0, false}, {0, 0, false}}},
	} {
		for want, f := range map[error]Fault{ErrReset: Reset{AfterBytes: tc.after, On: both}, ErrTruncated: Truncate{AfterBytes: tc.after, On: both}} {
			c := (&Plan{Faults: always(holds(both, 5), f)}).Chain(1, ToClient, Stream)
			for i, s := range tc.steps {
				at := time.Duration(i)
				d := c.Shape(at, s.n)
				if !s.ends {
					if d.Err != nil || d.Leave != at+5 || len(d.Effects) != 1 {
						t.Errorf("%v, step %d: %+v", f, i, d)
					}
					continue
				}
				told := Effect{Fault: 1, Bytes: s.kept, Tried: 1, Hit: 1}
				if d.Err != want || d.Kept != s.kept || d.By != 1 || d.Leave != at+5 || !slices.Contains(d.Effects, told) {
					t.Errorf("%v, step %d: %+v", f, i, d)
				}
			}
			if c.Spent() {
				t.Errorf("%v: spent", f)
			}
		}
	}
}

// Of two limits the lower one ends the link, and only that is told of.
func TestTheLowerLimitEndsTheLink(t *testing.T) {
	for _, tc := range []struct {
		reset, truncate int64
		want            error
		kept            int
	}{
		{10, 5, ErrTruncated, 5}, {5, 10, ErrReset, 5}, {5, 5, ErrReset, 5}, {0, 0, ErrReset, 0}, {1, 0, ErrTruncated, 0},
	} {
		c := (&Plan{Faults: always(Reset{AfterBytes: tc.reset, On: both}, Truncate{AfterBytes: tc.truncate, On: both})}).Chain(1, ToClient, Stream)
		d := c.Shape(0, 100)
		if d.Err != tc.want || d.Kept != tc.kept || len(d.Effects) != 1 || d.Effects[0].Fault != d.By {
			t.Errorf("reset %d, truncate %d: %+v", tc.reset, tc.truncate, d)
		}
	}
}

// What is kept goes through the faults behind.
func TestWhatIsKeptGoesOn(t *testing.T) {
	c := (&Plan{Faults: always(Truncate{AfterBytes: 3, On: both}, holds(both, 7))}).Chain(1, ToClient, Stream)
	if d := c.Shape(1, 10); d.Leave != 8 || d.Kept != 3 || d.Effects[0].Bytes != 3 {
		t.Errorf("%+v", d)
	}
}

// Each period counts anew, and outside of them nothing does.
func TestLimitsHavePeriods(t *testing.T) {
	c := gated(Reset{AfterBytes: 10, On: both}, Schedule{{10, 20}, {30, 40}}, Stream)
	for _, at := range []time.Duration{0, 10, 25, 30} {
		n := 9
		if at == 0 || at == 25 {
			n = 1000
		}
		passes(t, c, at, at)
		if d := shapes(t, c, at, n-1); d.Err != nil {
			t.Errorf("at %d: %+v", at, d)
		}
	}
	if d := c.Shape(31, 100); d.Err != ErrReset || d.Kept != 1 {
		t.Errorf("%+v", d)
	}
}

// A head counts in no limit, but where nothing is to go on.
func TestHeads(t *testing.T) {
	for after, want := range map[int64]error{0: ErrTruncated, 1: nil, 50: nil, 1 << 50: nil} {
		c := (&Plan{Faults: always(Truncate{AfterBytes: after, On: both})}).Chain(1, ToClient, Stream)
		d := c.Head(0, 200)
		if d.Err != want || d.Kept != 0 {
			t.Errorf("after %d: %+v", after, d)
		}
		if want != nil || after > 50 {
			continue
		}
		if d := c.Shape(0, 200); d.Err != ErrTruncated || d.Kept != int(after) {
			t.Errorf("after %d: then %+v", after, d)
		}
	}
}

// The faults of streams do nothing to datagrams, and are not in their way.
func TestDatagramsPassFaultsOfStreams(t *testing.T) {
	all := []Fault{Reset{On: both}, Truncate{On: both}, Slice{Size: 1, Delay: time.Hour, On: both}, SlowClose{Delay: time.Hour, On: both}}
	c := (&Plan{Faults: always(all...)}).Chain(1, ToClient, Datagrams)
	if !c.Spent() || c.EndsApart() || c.Piece(0, 9000) != 9000 {
		t.Error("something is shaped")
	}
	passes(t, c, 5, 5)
	for _, f := range all {
		if !OfStreams(f) {
			t.Errorf("%v is not one", f)
		}
	}
	if OfStreams(Blackhole{}) {
		t.Error("a blackhole is one")
	}
}

func TestExpiry(t *testing.T) {
	const s = time.Second
	timed := Reset{AfterBytes: Unlimited, After: 5 * s}
	slow := Reset{AfterBytes: 3, After: 7 * s}
	for what, tc := range map[string]struct {
		faults     []Planned
		began, now time.Duration
		want       Expiry
	}{
		"none":                   {always(Reset{On: both}, Blackhole{On: both}), 0, s, Expiry{At: Never}},
		"later":                  {always(timed), 2 * s, 2 * s, Expiry{At: 7 * s}},
		"with bytes":             {always(slow), 2 * s, 3 * s, Expiry{At: 9 * s}},
		"overdue":                {always(timed), 2 * s, 30 * s, Expiry{At: 30 * s}},
		"the first of two":       {always(slow, timed), 0, 0, Expiry{At: 5 * s, Fault: 1}},
		"when its period begins": {[]Planned{{Fault: timed, Schedule: Schedule{{20 * s, 30 * s}}}}, 0, 0, Expiry{At: 20 * s}},
		"in its period":          {[]Planned{{Fault: timed, Schedule: Schedule{{0, 30 * s}}}}, s, s, Expiry{At: 6 * s}},
		"after its period":       {[]Planned{{Fault: timed, Schedule: Schedule{{0, 3 * s}}}}, s, s, Expiry{At: Never}},
		"spared":                 {[]Planned{{Fault: timed, Probability: new(float64)}}, 0, s, Expiry{At: Never}},
	} {
		if got := (&Plan{Faults: tc.faults}).Expiry(1, tc.began, tc.now); got != tc.want {
			t.Errorf("%s: %+v, want %+v", what, got, tc.want)
		}
	}
	paused := true
	plan := &Plan{Faults: always(timed), Paused: func() bool { return paused }}
	if got := plan.Expiry(1, 0, s); got.At != 5*s {
		t.Errorf("paused before: %+v", got)
	}
	if got := plan.Expiry(1, 0, 6*s); got.At != 6*s+pausedAgain {
		t.Errorf("paused: %+v", got)
	}
	paused = false
	if got := plan.Expiry(1, 0, 6*s); got.At != 6*s {
		t.Errorf("after the pause: %+v", got)
	}
}

// Bytes of a reset that only waits for a time need no shaping.
func TestTimedResetShapesNothing(t *testing.T) {
	c := (&Plan{Faults: always(Reset{AfterBytes: Unlimited, After: 1, On: both})}).Chain(1, ToClient, Stream)
	if !c.Spent() {
		t.Error("not spent")
	}
}

// Pieces leave at least so far apart, and at once where they come so.
func TestSliceDistances(t *testing.T) {
	const ms = time.Millisecond
	c := (&Plan{Faults: always(Slice{Size: 10, Delay: 50 * ms, On: both})}).Chain(1, ToClient, Stream)
	for i, tc := range []struct {
		at, leave time.Duration
		n         int
	}{
		{0, 0, 10}, {0, 50 * ms, 10}, {20 * ms, 100 * ms, 10}, {400 * ms, 400 * ms, 3}, {460 * ms, 460 * ms, 10}, {461 * ms, 510 * ms, 10},
		{461 * ms, 510 * ms, 0}, // the end follows the last at once
	} {
		if d := shapes(t, c, tc.at, tc.n); d.Leave != tc.leave {
			t.Errorf("piece %d leaves at %v, want %v", i, d.Leave, tc.leave)
		}
	}
	// Who sends faster waits.
	if d := shapes(t, c, 461*ms, 10); d.Hold != 461*ms {
		t.Errorf("held until %v", d.Hold)
	}
	for range 10 {
		shapes(t, c, 461*ms, 10)
	}
	if d := shapes(t, c, 461*ms, 10); d.Hold != d.Leave-sliceDepth {
		t.Errorf("held until %v, leaves at %v", d.Hold, d.Leave)
	}
}

func TestSliceSizes(t *testing.T) {
	const pieces = 20_000
	c := (&Plan{Faults: always(Slice{Size: 100, Variation: 20, On: both}), Seed: 1}).Chain(1, ToClient, Stream)
	seen, sum := make(map[int]int), 0
	for range pieces {
		n := c.Piece(0, 65536)
		seen[n]++
		sum += n
	}
	if len(seen) != 41 || seen[80] == 0 || seen[120] == 0 || math.Abs(float64(sum)/pieces-100) > .5 {
		t.Errorf("%d sizes, %.2f on average", len(seen), float64(sum)/pieces)
	}
	c = (&Plan{Faults: always(Slice{Size: 7, On: both})}).Chain(1, ToClient, Stream)
	for n, want := range map[int]int{0: 0, 3: 3, 7: 7, 8: 7, 65536: 7} {
		if got := c.Piece(0, n); got != want {
			t.Errorf("of %d bytes a piece is %d, want %d", n, got, want)
		}
	}
}

func TestSlowCloseDelaysTheEndOnly(t *testing.T) {
	c := (&Plan{Faults: always(SlowClose{Delay: 100, On: both})}).Chain(1, ToClient, Stream)
	passes(t, c, 1, 1)
	passes(t, c, 50, 50)
	if c.Spent() || !c.EndsApart() {
		t.Error("the end is not awaited")
	}
	if d := shapes(t, c, 60, 0); d.Leave != 160 {
		t.Errorf("the end leaves at %v", d.Leave)
	}
}

// The share of flows is what was asked for; both links of a flow share the
// draw, each fault has its own, and the seed decides.
func TestProbability(t *testing.T) {
	const flows = 20_000
	for _, p := range []float64{0, .1, .5, 1} {
		f := Planned{Fault: Blackhole{On: both}, Probability: &p}
		plan, other := &Plan{Faults: []Planned{f, f}, Seed: 3}, &Plan{Faults: []Planned{f}, Seed: 4}
		hit, same, sameSeed := 0, 0, 0
		for flow := range uint64(flows) {
			hits := plan.Applies(flow, 0)
			if hits {
				hit++
			}
			if hits == plan.Applies(flow, 1) {
				same++
			}
			if hits == other.Applies(flow, 0) {
				sameSeed++
			}
			if hits != plan.Applies(flow, 0) {
				t.Fatal("another fate for the same flow")
			}
			alone := &Plan{Faults: []Planned{f}, Seed: 3}
			for _, link := range []Link{ToServer, ToClient} {
				if spared := alone.Chain(flow, link, Stream).Spent(); spared == hits {
					t.Fatalf("flow %d, %v: hit %v, spared %v", flow, link, hits, spared)
				}
			}
		}
		share(t, "flows", hit, flows, p)
		if p == .5 {
			share(t, "two faults agree", same, flows, .5)
			share(t, "two seeds agree", sameSeed, flows, .5)
		}
	}
}

// A probability changes nothing of what its fault draws, nor others.
func TestProbabilityDrawsApart(t *testing.T) {
	p := .5
	f := Latency{Delay: Uniform{0, time.Hour}, On: both, PerReadWrite: true}
	without := &Plan{Faults: always(f), Seed: 3}
	with := &Plan{Faults: []Planned{{Fault: f, Probability: &p}}, Seed: 3}
	hit := 0
	for flow := range uint64(100) {
		c := with.Chain(flow, ToClient, Stream)
		if c.Spent() {
			continue
		}
		hit++
		a, b := shapes(t, c, 0, 1), shapes(t, without.Chain(flow, ToClient, Stream), 0, 1)
		if a.Leave != b.Leave {
			t.Errorf("flow %d: delayed by %v, without by %v", flow, a.Leave, b.Leave)
		}
	}
	share(t, "flows", hit, 100, p)
}

func TestSparedFlowsAreNotAnswered(t *testing.T) {
	never := 0.0
	plan := &Plan{Faults: []Planned{{Fault: HTTPResponse{Status: 500, Probability: 1}, Probability: &never}}}
	if plan.Answers(1) != nil {
		t.Error("answered")
	}
}

func TestValidLife(t *testing.T) {
	for f, want := range map[Fault]bool{
		Reset{}: true, Reset{AfterBytes: 5, After: 1}: true, Reset{AfterBytes: Unlimited, After: 1}: true,
		Reset{AfterBytes: Unlimited}: false, Reset{AfterBytes: -1}: false, Reset{After: -1}: false,
		Truncate{}: true, Truncate{AfterBytes: -1}: false,
		Slice{Size: 1}: true, Slice{Size: 5, Variation: 4}: true, Slice{}: false, Slice{Size: 5, Variation: 5}: false, Slice{Size: 5, Variation: -1}: false, Slice{Size: 1, Delay: -1}: false,
		SlowClose{}: true, SlowClose{Delay: -1}: false,
	} {
		if err := f.Validate(); (err == nil) != want {
			t.Errorf("%#v: %v", f, err)
		}
	}
}

func TestLifeInWords(t *testing.T) {
	for f, want := range map[Fault]string{
		Reset{On: 1 << ToClient}:                              "both ends at the first byte; to client",
		Reset{AfterBytes: 1, On: both}:                        "both ends after 1 byte; both links",
		Reset{AfterBytes: Unlimited, After: 90 * time.Second}: "both ends after 1m30s",
		Reset{AfterBytes: 5, After: time.Second, On: both}:    "both ends after 1s or 5 bytes; both links",
		Truncate{On: both}:                                    "the end instead of the first byte; both links",
		Truncate{AfterBytes: 5, On: both}:                     "the end after 5 bytes; both links",
		Slice{Size: 5, On: both}:                              "pieces of 5 bytes; both links",
		SlowClose{Delay: time.Second, On: 1 << ToServer}:      "the end 1s later; to server",
	} {
		if got := f.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
