package view

import (
	"testing"
	"time"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/faults"
)

func TestCells(t *testing.T) {
	forever := faults.Never
	for _, tc := range []struct {
		name     string
		schedule faults.Schedule
		want     string // of 10 cells, 10 s each
	}{
		{"always", nil, "##########"},
		{"whole cells", faults.Schedule{{Start: 20 * second, End: 40 * second}}, "..##......"},
		{"more than half", faults.Schedule{{Start: 14 * second, End: 36 * second}}, ".###......"},
		{"half", faults.Schedule{{Start: 15 * second, End: 35 * second}}, "..#......."},
		{"a moment", faults.Schedule{{Start: 52 * second, End: 52100 * milli}}, ".....#...."},
		{"less than half of two", faults.Schedule{{Start: 46 * second, End: 53 * second}}, "....#....."},
		{"two in one", faults.Schedule{{Start: 10 * second, End: 13 * second}, {Start: 15 * second, End: 18 * second}}, ".#........"},
		{"to the end", faults.Schedule{{Start: 70 * second, End: forever}}, ".......###"},
		{"beyond the end", faults.Schedule{{Start: 200 * second, End: 300 * second}}, ".........."},
		{"the last moment", faults.Schedule{{Start: 99999 * milli, End: forever}}, ".........#"},
		{"empty", faults.Schedule{}, ".........."},
	} {
		got := ""
		for _, on := range cells(tc.schedule, 100*second, 10) {
			if on {
				got += "#"
			} else {
				got += "."
			}
		}
		if got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

// TestScale holds what a time line covers.
func TestScale(t *testing.T) {
	for _, tc := range []struct {
		name     string
		duration time.Duration
		schedule faults.Schedule
		want     time.Duration
	}{
		{"the run", 300 * second, faults.Schedule{{Start: 0, End: 10 * second}}, 300 * second},
		{"the last stop and a tenth", 0, faults.Schedule{{Start: 0, End: 100 * second}}, 110 * second},
		{"the last start", 0, faults.Schedule{{Start: 200 * second, End: faults.Never}}, 220 * second},
		{"nothing", 0, nil, 0},
		{"no overflow", 0, faults.Schedule{{Start: faults.Never - 1, End: faults.Never}}, faults.Never},
	} {
		in := injected(faults.Blackhole{On: toClient}, tc.schedule)
		p := newPage(&agent.Snapshot{
			Duration: tc.duration, Faults: []agent.FaultState{{Label: "blackhole"}},
			Report: &agent.Report{Injected: []agent.Injected{in}},
		}, Frame{Columns: 100, Rows: 30})
		if got := p.scale(); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.want)
		}
	}
}

// TestState holds the words about a fault.
func TestState(t *testing.T) {
	for _, tc := range []struct {
		fault    agent.FaultState
		duration time.Duration
		paused   bool
		want     string
	}{
		{agent.FaultState{On: true, Next: faults.Never}, 300 * second, false, "on to the end"},
		{agent.FaultState{On: true, Next: faults.Never}, 0, false, "on, no end"},
		{agent.FaultState{On: true, Next: 90 * second}, 0, false, "on, off in 0:18"},
		{agent.FaultState{On: true, Next: 90 * second}, 0, true, "paused, off in 0:18"},
		{agent.FaultState{Next: 3672 * second}, 0, true, "off, on in 1:00:00"},
		{agent.FaultState{Next: faults.Never}, 300 * second, false, "off to the end"},
		{agent.FaultState{Next: faults.Never}, 0, false, "off"},
	} {
		p := newPage(&agent.Snapshot{
			At: 72 * second, Duration: tc.duration, Paused: tc.paused, Faults: []agent.FaultState{tc.fault},
		}, Frame{Columns: 100, Rows: 30})
		r := p.state(0)
		if got := r.text(p.f.Style, 80); got != tc.want {
			t.Errorf("%+v: %q, want %q", tc.fault, got, tc.want)
		}
	}
}
