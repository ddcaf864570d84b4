package agent

import (
	"fmt"
	"time"

	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/agent/words"
	"github.com/faultproxy/fault/faults"
)

// Causes of a change.
const (
	causeStart    = "start"
	causeSchedule = "schedule"
	causePause    = "pause"
	causeResume   = "resume"
	causeEnd      = "end"
)

// state is whether the schedule of a fault is on, as far as that was looked at.
type state struct {
	id       string
	label    string // for people
	schedule faults.Schedule
	on       bool
	next     time.Duration // when that changes, [faults.Never] if it does not
	changed  time.Duration // when it did last
}

// change is one that is told.
type change struct {
	id    string
	label string
	on    bool
	cause string
	open  int64
	// next is when it changes again during the run, [faults.Never] if it does
	// not.
	next time.Duration
}

// beginStates tells which faults are on from the start.
func (r *reporter) beginStates() {
	r.stateMu.Lock()
	defer r.stateMu.Unlock()
	now, labels := r.clock.Now(), Labels(r.cfg.Faults)
	for i, f := range r.cfg.Faults {
		s := state{id: r.ids[i], label: labels[i], schedule: f.Schedule, on: f.Schedule.On(now), next: f.Schedule.Next(now)}
		r.states = append(r.states, s)
		if s.on && !r.paused.Load() {
			r.changed(&s, true, causeStart)
		}
	}
}

// followStates tells what the schedules have changed, and returns when they do
// so next. What they do in a pause makes no difference yet.
func (r *reporter) followStates(now time.Duration) time.Duration {
	r.stateMu.Lock()
	defer r.stateMu.Unlock()
	soonest := faults.Never
	for i := range r.states {
		s := &r.states[i]
		for s.next <= now {
			at := s.next
			s.on, s.next, s.changed = s.schedule.On(at), s.schedule.Next(at), at
			if !r.paused.Load() {
				r.changed(s, s.on, causeSchedule)
			}
		}
		soonest = min(soonest, s.next)
	}
	return soonest
}

// endStates tells that no fault is on any more. Until then, while the last
// flows ended, the schedules went on.
func (r *reporter) endStates() {
	r.followStates(r.clock.Now())
	r.stateMu.Lock()
	defer r.stateMu.Unlock()
	if r.paused.Load() {
		return // which is told already
	}
	for i := range r.states {
		if s := &r.states[i]; s.on {
			s.on, s.next = false, faults.Never
			r.changed(s, false, causeEnd)
		}
	}
}

// changed tells that a fault does something now, or does not any more.
func (r *reporter) changed(s *state, on bool, cause string) {
	now := time.Now()
	c := change{id: s.id, label: s.label, on: on, cause: cause, open: r.room.open.Load(), next: r.within(s.next)}
	if cause == causePause {
		c.next = faults.Never // nobody knows when
	}
	r.print(changeLine(r.cfg.Style, now, c))
	told := event.Change{Head: r.head(event.OfFault, now), ID: c.id, State: onOff(c.on), Cause: cause, OpenFlows: c.open}
	if c.next != faults.Never {
		told.NextChangeS = event.Some(event.Seconds(c.next))
	}
	r.emit(told)
}

// changeLine is in a form that fits into the window, or in the one for pipes.
func changeLine(look style.Style, now time.Time, c change) string {
	next := ""
	switch {
	case c.cause == causeEnd, c.cause == causePause:
	case c.next == faults.Never:
		next = "; " + onOff(c.on) + " to the end"
	default:
		next = "; " + onOff(!c.on) + " at " + words.Clock(c.next)
	}
	if look.Columns == 0 {
		return fmt.Sprintf("%s %s %s (%s), %d open%s\n", stamp(now), c.id, onOff(c.on), c.cause, c.open, next)
	}
	why := fmt.Sprintf(" (%s), %s open", c.cause, words.Count(c.open))
	var role style.Role
	if c.on {
		role = style.Good
	}
	begin := shortStamp(look, now)
	room := lineColumns(look) - style.Width(c.label+" "+onOff(c.on))
	return begin + c.label + " " + look.As(role, onOff(c.on)) + fitted(room, why+next, next, "") + "\n"
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
