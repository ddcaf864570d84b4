package agent

import (
	"slices"
	"time"

	"github.com/faultproxy/fault/faults"
)

// pauses is when a run was paused.
type pauses []faults.Period

// total is how long it was paused until a time of the run.
func (p pauses) total(end time.Duration) time.Duration {
	return p.overlap(faults.Period{Start: 0, End: faults.Never}, end)
}

// overlap is how much of a period was paused, until a time of the run.
func (p pauses) overlap(with faults.Period, end time.Duration) time.Duration {
	var sum time.Duration
	for _, one := range p {
		sum += max(0, min(one.End, with.End, end)-max(one.Start, with.Start))
	}
	return sum
}

// onFor is how long a schedule was on until the end of a run, and not paused.
func (p pauses) onFor(s faults.Schedule, end time.Duration) time.Duration {
	if s == nil {
		s = faults.Schedule{{Start: 0, End: faults.Never}}
	}
	var on time.Duration
	for _, period := range s {
		on += max(0, min(period.End, end)-period.Start) - p.overlap(period, end)
	}
	return on
}

// pause pauses all faults.
func (r *reporter) pause() bool {
	r.stateMu.Lock()
	defer r.stateMu.Unlock()
	if r.ending || !r.paused.CompareAndSwap(false, true) {
		return false
	}
	now := r.clock.Now()
	r.pauses = append(r.pauses, faults.Period{Start: now, End: faults.Never})
	for i := range r.states {
		if s := &r.states[i]; s.on {
			r.changed(s, false, causePause)
		}
	}
	return true
}

// resume ends the pause. Schedules have gone on meanwhile.
func (r *reporter) resume() bool {
	r.stateMu.Lock()
	defer r.stateMu.Unlock()
	if r.ending || !r.paused.CompareAndSwap(true, false) {
		return false
	}
	r.pauses[len(r.pauses)-1].End = r.clock.Now()
	for i := range r.states {
		if s := &r.states[i]; s.on {
			r.changed(s, true, causeResume)
		}
	}
	return true
}

// pausesSoFar is a copy.
func (r *reporter) pausesSoFar() pauses {
	r.stateMu.Lock()
	defer r.stateMu.Unlock()
	return slices.Clone(r.pauses)
}
