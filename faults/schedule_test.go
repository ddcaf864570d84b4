package faults

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseSchedule(t *testing.T) {
	const s, m = time.Second, time.Minute
	for _, tc := range []struct {
		text string
		run  time.Duration
		want Schedule
	}{
		// Both, one, in any order.
		{"start:30s,duration:1m", 0, Schedule{{30 * s, 90 * s}}},
		{"duration:1m,start:30s", 0, Schedule{{30 * s, 90 * s}}},
		{"start:30s", 0, Schedule{{30 * s, Never}}},
		{"duration:1m", 0, Schedule{{0, m}}},
		{"start:0", 0, Schedule{{0, Never}}},
		{"start:30", 0, Schedule{{30 * s, Never}}}, // a bare number is seconds
		{"start:1h30m,duration:1.5h", 0, Schedule{{90 * m, 180 * m}}},
		{"start:1 minute and 5 seconds", 0, Schedule{{65 * s, Never}}},
		{"start:100y,duration:100y", 0, Schedule{{longest, 2 * longest}}},

		// Spaces anywhere, and parts that are empty.
		{" start : 30s , duration : 1m ", 0, Schedule{{30 * s, 90 * s}}},
		{"\tstart:\n30s\n,\nduration :1m;\n", 0, Schedule{{30 * s, 90 * s}}},
		{";;start:30s,,duration:1m,; ;", 0, Schedule{{30 * s, 90 * s}}},

		// Shares of the run.
		{"start:90%,duration:5%", 5 * m, Schedule{{270 * s, 285 * s}}},
		{"start:90 %,duration: 5 % ", 5 * m, Schedule{{270 * s, 285 * s}}},
		{"start:12.5%", 80 * s, Schedule{{10 * s, Never}}},
		{"start:1e1%,duration:+.5e+1%", 100 * s, Schedule{{10 * s, 15 * s}}},
		{"start:0%,duration:100%", 7 * s, Schedule{{0, 7 * s}}},
		{"start:-0%", 7 * s, Schedule{{0, Never}}},
		{"duration:33.3333333333%", 3, Schedule{{0, 1}}},
		{"start:99.9999999%,duration:50%", s, Schedule{{s - 1, s + s/2 - 1}}},
		{"start:30s,duration:50%", m, Schedule{{30 * s, m}}},
		// A period may end after the run, but not begin then.
		{"start:59s,duration:1h", m, Schedule{{59 * s, 59*s + 60*m}}},

		// Periods.
		{"start:30s,duration:1m;start:3m,duration:1m", 0, Schedule{{30 * s, 90 * s}, {3 * m, 4 * m}}},
		{"start:3m,duration:1m;start:30s,duration:1m", 0, Schedule{{30 * s, 90 * s}, {3 * m, 4 * m}}},
		{"duration:10s;start:25s,duration:17s", 0, Schedule{{0, 10 * s}, {25 * s, 42 * s}}},
		{"duration:10s;duration:20s", 0, Schedule{{0, 20 * s}}},
		{"duration:10s;start:25s", 0, Schedule{{0, 10 * s}, {25 * s, Never}}},

		// A start alone before a duration alone: one period.
		{"start:30s;duration:3m", 0, Schedule{{30 * s, 210 * s}}},
		{"start:30s;;duration:3m;", 0, Schedule{{30 * s, 210 * s}}},
		{"start:10%;duration:20%", 100 * s, Schedule{{10 * s, 30 * s}}},
		{"start:30s;duration:1m;start:3m;duration:1m", 0, Schedule{{30 * s, 90 * s}, {3 * m, 4 * m}}},
		{"start:30s;duration:10s;duration:5s", 0, Schedule{{0, 5 * s}, {30 * s, 40 * s}}},
		{"start:30s;start:20s;duration:5s", 0, Schedule{{20 * s, 25 * s}, {30 * s, Never}}},
		{"start:30s,duration:5s;duration:20s", 0, Schedule{{0, 20 * s}, {30 * s, 35 * s}}},
		{"start:30s;start:60s,duration:20s", 0, Schedule{{30 * s, Never}}},

		// Periods that overlap or touch are one.
		{"start:10s,duration:20s;start:20s,duration:20s", 0, Schedule{{10 * s, 40 * s}}},
		{"start:10s,duration:10s;start:20s,duration:10s", 0, Schedule{{10 * s, 30 * s}}},
		{"start:10s,duration:30s;start:20s,duration:5s", 0, Schedule{{10 * s, 40 * s}}},
		{"start:10s,duration:5s;start:10s,duration:5s", 0, Schedule{{10 * s, 15 * s}}},
		{"start:10s,duration:5s;start:10s,duration:7s;start:17s,duration:1s", 0, Schedule{{10 * s, 18 * s}}},
		{"start:20s;start:10s,duration:20s", 0, Schedule{{10 * s, Never}}},
		{"start:10s,duration:5s;start:15000000001ns,duration:1s", 0, Schedule{{10 * s, 15 * s}, {15*s + 1, 16*s + 1}}},
	} {
		got, err := ParseSchedule(tc.text, tc.run)
		if !slices.Equal(got, tc.want) || err != nil {
			t.Errorf("ParseSchedule(%q, %v) = %v, %v, want %v", tc.text, tc.run, got, err, tc.want)
		}
	}
}

func TestParseScheduleRefuses(t *testing.T) {
	const run = 100 * time.Second
	for text, want := range map[string]string{
		"":       "empty",
		" ;, ; ": "empty",

		// Keys.
		"30s":                           "`30s` is not start:TIME or duration:TIME",
		"start":                         "`start` is not start:TIME",
		"start=30s":                     "`start=30s` is not start:TIME",
		"start 30s":                     "is not start:TIME",
		"end:30s":                       "`end` is unknown",
		"Start:30s":                     "`Start` is unknown",
		":30s":                          "`` is unknown",
		"sta rt:30s":                    "`sta rt` is unknown",
		"end:soon":                      "`end` is unknown", // the key is what is wrong
		"start:1s,start:2s":             "`start:1s,start:2s` says start twice",
		"duration:1s, duration:1s":      "says duration twice",
		"start:1s;duration:1s,start:2s": "", // two periods

		// Times.
		"start:":                    "empty",
		"start:soon":                "`soon` is not a duration",
		"start:1:30":                "no unit",
		"start:-1s":                 "at least 0",
		"start:1s,duration:-1s":     "at least 0",
		"duration:101y":             "longer than 100 years",
		"start:30s:duration:1m":     "not a duration",
		"start:1s duration:2s":      "not a duration",
		"duration:0":                "`duration:0` is a period without length",
		"start:1s,duration:0s":      "`start:1s,duration:0s` is a period without length",
		"start:1s;duration:0%":      "without length",
		"duration:0.000000000001%":  "without length",
		"start:100s":                "starts after the run has ended",
		"start:100%":                "starts after the run has ended",
		"start:101s;duration:1s":    "starts after the run has ended",
		"duration:1s;start:1h":      "starts after the run has ended",
		"start:1s;start:1h;start:0": "starts after the run has ended",

		// Shares.
		"start:%":      "`%` is not a percentage from 0 to 100",
		"start:x%":     "`x%` is not a percentage",
		"start:101%":   "`101%` is not a percentage",
		"start:100.1%": "not a percentage",
		"duration:-1%": "not a percentage",
		"start:5%%":    "not a percentage",
		"start:5s%":    "not a percentage",
		"start:5% 1s":  "no unit",
		"start:nan%":   "not a percentage",
		"start:inf%":   "not a percentage",
		"start:0x10%":  "not a percentage",
		"start:1e999%": "not a percentage",
		"start:1_0%":   "not a percentage",
	} {
		got, err := ParseSchedule(text, run)
		if want == "" {
			if err != nil {
				t.Errorf("ParseSchedule(%q): %v", text, err)
			}
		} else if got != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseSchedule(%q) = %v, %v, want an error with %q", text, got, err, want)
		}
	}
}

// A run without an end has no shares; the caller knows what to advise.
func TestSharesNeedARun(t *testing.T) {
	for _, text := range []string{"start:10%", "duration:10%", "start:0%", "start:1s;duration:5%", "start:1s,duration:100 %"} {
		if s, err := ParseSchedule(text, 0); s != nil || !errors.Is(err, ErrNoDuration) {
			t.Errorf("ParseSchedule(%q) = %v, %v", text, s, err)
		}
	}
	if _, err := ParseSchedule("start:101%", 0); err == nil || errors.Is(err, ErrNoDuration) {
		t.Errorf("what is no share is refused as one: %v", err)
	}
}

func TestScheduleOnAndNext(t *testing.T) {
	two := Schedule{{10, 20}, {30, 40}}
	open := Schedule{{0, 10}, {20, Never}}
	for _, tc := range []struct {
		s    Schedule
		at   time.Duration
		on   bool
		next time.Duration
	}{
		{nil, 0, true, Never}, {nil, time.Hour, true, Never},
		{Schedule{}, 0, false, Never},
		{two, 0, false, 10}, {two, 9, false, 10}, {two, 10, true, 20}, {two, 19, true, 20}, {two, 20, false, 30},
		{two, 29, false, 30}, {two, 30, true, 40}, {two, 39, true, 40}, {two, 40, false, Never}, {two, time.Hour, false, Never},
		{open, 0, true, 10}, {open, 10, false, 20}, {open, 20, true, Never}, {open, Never - 1, true, Never},
	} {
		if on, next := tc.s.On(tc.at), tc.s.Next(tc.at); on != tc.on || next != tc.next {
			t.Errorf("%v at %d: on %v, next %d, want %v, %d", tc.s, tc.at, on, next, tc.on, tc.next)
		}
	}
}

func TestScheduleString(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	for _, tc := range []struct {
		s    Schedule
		want string
	}{
		{nil, ""},
		{Schedule{{30 * s, 90 * s}}, "from 0:30 to 1:30"},
		{Schedule{{30 * s, 90 * s}, {180 * s, Never}}, "from 0:30 to 1:30, from 3:00"},
		{Schedule{{0, 10 * s}, {25 * s, 42 * s}, {60 * s, 61 * s}}, "from 0:00 to 0:10, from 0:25 to 0:42, from 1:00 to 1:01"},
		{Schedule{{0, Never}}, "from 0:00"},
		{Schedule{{500 * ms, 12_340 * ms}}, "from 0:00.5 to 0:12.34"},
		{Schedule{{1, 10*s + 7*ms}}, "from 0:00 to 0:10.007"},
		{Schedule{{59_999_600_000, 3600 * s}}, "from 1:00 to 1:00:00"},
		{Schedule{{3723 * s, 100*3600*s + 59*s}}, "from 1:02:03 to 100:00:59"},
	} {
		if got := tc.s.String(); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

// asWritten reads periods as they are written: on in any of them.
type asWritten []Period

func (w asWritten) on(at time.Duration) bool {
	return slices.ContainsFunc(w, func(p Period) bool { return p.Start <= at && at < p.End })
}

// next is the first time after another that is unlike the one before it.
func (w asWritten) next(at time.Duration) time.Duration {
	next := Never
	for _, p := range w {
		for _, edge := range []time.Duration{p.Start, p.End} {
			if edge > at && edge < next && w.on(edge) != w.on(edge-1) {
				next = edge
			}
		}
	}
	return next
}

func randomPeriods(rng *rand.Rand) (asWritten, string) {
	periods, terms := make(asWritten, 1+rng.IntN(6)), []string{}
	for i := range periods {
		// Of few times, so that periods often touch.
		start, end := time.Duration(rng.IntN(12)), Never
		term := fmt.Sprintf("start:%dns", start)
		if rng.IntN(8) > 0 {
			end = start + time.Duration(1+rng.IntN(8))
			term += fmt.Sprintf(",duration:%dns", end-start)
		}
		periods[i], terms = Period{start, end}, append(terms, term)
	}
	return periods, strings.Join(terms, ";")
}

func TestScheduleIsAsWritten(t *testing.T) {
	rng := generator(1)
	for range 5000 {
		periods, text := randomPeriods(rng)
		s, err := ParseSchedule(text, 0)
		if err != nil {
			t.Fatal(text, err)
		}
		for at := range time.Duration(25) {
			if s.On(at) != periods.on(at) {
				t.Fatalf("%s is %v: on at %d is %v", text, s, at, s.On(at))
			}
			if got, want := s.Next(at), periods.next(at); got != want {
				t.Fatalf("%s is %v: after %d comes %d, want %d", text, s, at, got, want)
			}
		}
	}
}
