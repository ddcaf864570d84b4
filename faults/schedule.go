package faults

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Schedule is when a fault is on: periods in order, without overlap. A nil
// Schedule is always on.
type Schedule []Period

// Period is a stretch of time: from Start up to and without End, which is
// [Never] if it does not end.
type Period struct{ Start, End time.Duration }

// ErrNoDuration is a schedule in percent of a run that has no end.
var ErrNoDuration = errors.New("percentages need the duration of the run")

// ParseSchedule parses periods separated by `;`, such as
// "start:30s,duration:1m;start:90%,duration:5%". Without start a period begins
// at once, without duration it does not end. Percentages are of the run's
// duration, which is 0 if the run has none. A start alone followed by a
// duration alone is one period ("start:30s;duration:1m").
func ParseSchedule(text string, run time.Duration) (Schedule, error) {
	var terms []term
	for part := range strings.SplitSeq(text, ";") {
		t, err := parseTerm(part, run)
		if err != nil {
			return nil, err
		}
		if last := len(terms) - 1; last >= 0 && terms[last].lone("start") && t.lone("duration") {
			terms[last].duration, terms[last].hasDuration = t.duration, true
		} else if t.hasStart || t.hasDuration {
			terms = append(terms, t)
		}
	}
	if len(terms) == 0 {
		return nil, errors.New("a schedule is empty; write for instance start:30s,duration:1m")
	}
	s := make(Schedule, len(terms))
	for i, t := range terms {
		end := Never
		if t.hasDuration {
			end = later(t.start, t.duration)
		}
		if run > 0 && t.start >= run {
			return nil, fmt.Errorf("`%s` starts after the run has ended, which lasts %v", strings.TrimSpace(text), run)
		}
		s[i] = Period{t.start, end}
	}
	return s.merged(), nil
}

// term is one period as it was written.
type term struct {
	start, duration       time.Duration
	hasStart, hasDuration bool
}

func (t term) lone(key string) bool {
	return t.hasStart == (key == "start") && t.hasDuration == (key == "duration")
}

func parseTerm(part string, run time.Duration) (term, error) {
	var t term
	for pair := range strings.SplitSeq(part, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, ok := strings.Cut(pair, ":")
		if !ok {
			return t, fmt.Errorf("`%s` is not start:TIME or duration:TIME", strings.TrimSpace(pair))
		}
		moment, has := &t.start, &t.hasStart
		switch key = strings.TrimSpace(key); key {
		case "start":
		case "duration":
			moment, has = &t.duration, &t.hasDuration
		default:
			return t, fmt.Errorf("`%s` is unknown; a period has start and duration", key)
		}
		if *has {
			return t, fmt.Errorf("`%s` says %s twice; periods are separated by `;`", strings.TrimSpace(part), key)
		}
		var err error
		if *moment, err = parseMoment(strings.TrimSpace(value), run); err != nil {
			return t, err
		}
		*has = true
	}
	if t.hasDuration && t.duration == 0 {
		return t, fmt.Errorf("`%s` is a period without length", strings.TrimSpace(part))
	}
	return t, nil
}

// parseMoment parses a duration, or a percentage of the run's.
func parseMoment(text string, run time.Duration) (time.Duration, error) {
	share, ok := strings.CutSuffix(text, "%")
	if !ok {
		return ParseDuration(text)
	}
	number, unit, rest := nextTerm(strings.TrimSpace(share))
	p, err := strconv.ParseFloat(number, 64)
	if err != nil || unit+rest != "" || !(p >= 0 && p <= 100) {
		return 0, fmt.Errorf("`%s` is not a percentage from 0 to 100", text)
	}
	if run == 0 {
		return 0, ErrNoDuration
	}
	return time.Duration(math.Round(float64(run) * p / 100)), nil
}

// merged sorts the periods and joins those that touch.
func (s Schedule) merged() Schedule {
	slices.SortFunc(s, func(a, b Period) int { return cmp.Compare(a.Start, b.Start) })
	out := s[:1]
	for _, p := range s[1:] {
		if last := &out[len(out)-1]; p.Start <= last.End {
			last.End = max(last.End, p.End)
		} else {
			out = append(out, p)
		}
	}
	return out
}

// On says whether the schedule is on at a time of the run.
func (s Schedule) On(at time.Duration) bool {
	_, on := s.period(at)
	return on
}

// Next is when the schedule next goes on or off after a time, [Never] if it
// does not.
func (s Schedule) Next(at time.Duration) time.Duration {
	for _, p := range s {
		if p.Start > at {
			return p.Start
		}
		if p.End > at {
			return p.End
		}
	}
	return Never
}

// period is which period a time is in; false if it is in none.
func (s Schedule) period(at time.Duration) (int, bool) {
	if s == nil {
		return 0, true
	}
	for i, p := range s {
		if at >= p.Start && at < p.End {
			return i, true
		}
	}
	return 0, false
}

// from is the first time from another on at which the schedule is on, [Never]
// if it is not any more.
func (s Schedule) from(at time.Duration) time.Duration {
	if s.On(at) {
		return at
	}
	return s.Next(at)
}

// end is when a period ends.
func (s Schedule) end(period int) time.Duration {
	if s == nil {
		return Never
	}
	return s[period].End
}

// last says that no period begins after a time.
func (s Schedule) last(at time.Duration) bool {
	return len(s) == 0 || s[len(s)-1].Start <= at
}

// String gives "from 0:30 to 1:30, from 3:00"; nothing if it is always on.
func (s Schedule) String() string {
	parts := make([]string, len(s))
	for i, p := range s {
		parts[i] = "from " + clock(p.Start)
		if p.End != Never {
			parts[i] += " to " + clock(p.End)
		}
	}
	return strings.Join(parts, ", ")
}

// clock prints a time of the run as a clock does: 1:02:03, 4:05, 0:00.5.
func clock(d time.Duration) string {
	d = d.Round(time.Millisecond)
	h, m := d/time.Hour, d/time.Minute%60
	text := fmt.Sprintf("%02d", d/time.Second%60)
	if ms := d / time.Millisecond % 1000; ms != 0 {
		text += strings.TrimRight(fmt.Sprintf(".%03d", ms), "0")
	}
	if h > 0 {
		return fmt.Sprintf("%d:%02d:%s", h, m, text)
	}
	return fmt.Sprintf("%d:%s", m, text)
}
