package faults

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func FuzzParseSchedule(f *testing.F) {
	for _, text := range []string{
		"start:30s,duration:1m;start:90%,duration:5%", "start:30s;duration:3m", "duration:10s;start:25s,duration:17s",
		" start : 1 hour and 5 minutes , duration : 5 % ;; ", "start:100y,duration:100y", "start:0", "duration:1ns",
		"start:99.99999999%", "start:1s,start:1s", "start:nan%", "start:1e308%", "end:1s", ":", "%", ";", "",
	} {
		f.Add(text, int64(0))
		f.Add(text, int64(5*time.Minute))
	}
	f.Fuzz(func(t *testing.T, text string, nanoseconds int64) {
		run := max(0, time.Duration(nanoseconds))
		s, err := ParseSchedule(text, run)
		if (s == nil) != (err != nil) {
			t.Fatalf("%v, %v", s, err) // nil would be always on
		}
		if err != nil {
			if errors.Is(err, ErrNoDuration) && (run != 0 || !strings.Contains(text, "%")) {
				t.Errorf("a run of %v: %v", run, err)
			}
			return
		}
		if run == 0 && strings.Contains(text, "%") {
			t.Errorf("a share of no run is %v", s)
		}
		wellFormed(t, s, run)
		writtenOut(t, s, run)
	})
}

// wellFormed is what holds of every schedule: periods in order with pauses
// between, of which the first times are what On, Next and String say.
func wellFormed(t *testing.T, s Schedule, run time.Duration) {
	t.Helper()
	if len(s) == 0 {
		t.Fatal("no period")
	}
	last := time.Duration(-1)
	for _, p := range s {
		if p.Start <= last || p.End <= p.Start || p.End != Never && p.End > 2*longest || run > 0 && p.Start >= run {
			t.Fatalf("a period from %d to %d behind one to %d, in a run of %v", p.Start, p.End, last, run)
		}
		if !s.On(p.Start) || !s.On(p.End-1) || s.On(p.Start-1) || p.End != Never && s.On(p.End) {
			t.Errorf("%v is not on just from %d to %d", s, p.Start, p.End)
		}
		if s.Next(last) != p.Start || s.Next(p.Start) != p.End || s.Next(p.End-1) != p.End {
			t.Errorf("%v after %d: %d, then %d", s, last, s.Next(last), s.Next(p.Start))
		}
		last = p.End
	}
	if got := s.Next(last); got != Never {
		t.Errorf("%v: after the end comes %d", s, got)
	}
	text := s.String()
	if strings.Count(text, "from ") != len(s) {
		t.Errorf("%d periods are %q", len(s), text)
	}
}

// writtenOut is the same schedule again, from its text in nanoseconds.
func writtenOut(t *testing.T, s Schedule, run time.Duration) {
	t.Helper()
	var terms []string
	for _, p := range s {
		term := fmt.Sprintf("start:%dns", p.Start)
		if p.End != Never {
			term += fmt.Sprintf(",duration:%dns", p.End-p.Start)
		}
		if p.Start >= exact || p.End != Never && p.End >= exact {
			return
		}
		terms = append(terms, term)
	}
	text := strings.Join(terms, ";")
	if again, err := ParseSchedule(text, run); err != nil || !slices.Equal(again, s) {
		t.Errorf("%s is %v, %v, not %v", text, again, err, s)
	}
}
