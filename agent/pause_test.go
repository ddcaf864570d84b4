package agent

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faultproxy/fault/faults"
)

// TestPauses holds that a pause is told, that schedules go on meanwhile, and
// that a fault was on only while it did something.
func TestPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 60*second)
		defer cancel()
		cfg := everything(t)
		cfg.Duration = 0
		cfg.Faults = []faults.Planned{
			cfg.Faults[0],
			{Fault: cfg.Faults[2].Fault, Schedule: faults.Schedule{{Start: 5 * second, End: 15 * second}, {Start: 40 * second, End: faults.Never}}},
		}
		text, json := run(t, cfg, ctx, func(r *reporter) {
			c := newControl(r)
			if c.Resume() {
				t.Error("resumed what was not paused")
			}
			time.Sleep(10*second + time.Millisecond)
			if !c.Pause() || c.Pause() || !r.paused.Load() || !c.Snapshot().Paused || c.Snapshot().PausedAt != 10*second+time.Millisecond {
				t.Errorf("not paused once: %+v", c.Snapshot())
			}
			time.Sleep(35 * second)
			if !c.Resume() || c.Resume() || r.paused.Load() || c.Snapshot().Paused {
				t.Errorf("not resumed once: %+v", c.Snapshot())
			}
			time.Sleep(10 * second)
			c.Pause()
		})
		var changes []string
		for _, line := range each(before(text, "\nfault ended")) {
			if strings.Contains(line, " (") {
				changes = append(changes, line)
			}
		}
		want := []string{
			"2000-01-01T00:00:00.000Z latency on (start), 0 open; on to the end",
			"2000-01-01T00:00:05.000Z bandwidth on (schedule), 0 open; off at 0:15",
			"2000-01-01T00:00:10.001Z latency off (pause), 0 open",
			"2000-01-01T00:00:10.001Z bandwidth off (pause), 0 open",
			"2000-01-01T00:00:45.001Z latency on (resume), 0 open; on to the end",
			"2000-01-01T00:00:45.001Z bandwidth on (resume), 0 open; on to the end",
			"2000-01-01T00:00:55.001Z latency off (pause), 0 open",
			"2000-01-01T00:00:55.001Z bandwidth off (pause), 0 open",
		}
		if got := strings.Join(changes, "\n"); got != strings.Join(want, "\n") {
			t.Errorf("it says\n%s\nwant\n%s", got, strings.Join(want, "\n"))
		}
		sum := decoded(t, json).summary
		if sum.PausedS != 39.999 || sum.Faults[0].OnS != 20.001 || sum.Faults[1].OnS != 15.001 {
			t.Errorf("paused for %v s; latency on for %v s, bandwidth for %v s", sum.PausedS, sum.Faults[0].OnS, sum.Faults[1].OnS)
		}
	})
}

func TestOnFor(t *testing.T) {
	schedule := faults.Schedule{{Start: 10, End: 20}, {Start: 30, End: faults.Never}}
	paused := pauses{{Start: 10, End: 20}, {Start: 30, End: faults.Never}}
	for _, tc := range []struct {
		paused   pauses
		schedule faults.Schedule
		end      time.Duration
		want     time.Duration
	}{
		{nil, nil, 5, 5},
		{nil, schedule, 5, 0}, {nil, schedule, 15, 5}, {nil, schedule, 25, 10}, {nil, schedule, 60, 40},
		{paused, nil, 5, 5}, {paused, nil, 15, 10}, {paused, nil, 100, 20},
		{paused, faults.Schedule{{Start: 0, End: 12}, {Start: 18, End: 25}}, 100, 15},
		{paused, faults.Schedule{{Start: 12, End: 18}}, 100, 0},
		{paused, faults.Schedule{{Start: 50, End: faults.Never}}, 40, 0},
	} {
		if got := tc.paused.onFor(tc.schedule, tc.end); got != tc.want {
			t.Errorf("paused %v, %v until %d: on for %d, want %d", tc.paused, tc.schedule, tc.end, got, tc.want)
		}
	}
}

// screen is one that does what a test does.
type screen struct {
	show func(*Control)
	hide func()
}

func (s screen) Show(c *Control) { s.show(c) }
func (s screen) Hide()           { s.hide() }

// TestScreen holds what a screen is shown of a real run, and that it ends it.
func TestScreen(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "a page") }))
	defer web.Close()
	shown, hidden := make(chan *Control, 1), make(chan bool, 1)
	r := launch(t, Config{
		Faults: []faults.Planned{
			{Fault: faults.Latency{Delay: faults.Normal{Mean: 20 * milli}, On: toClient}},
			{Fault: faults.Jitter{Amplitude: milli, Frequency: 100, On: toClient}},
		},
		Screen: screen{func(c *Control) { shown <- c }, func() { hidden <- true }},
	})
	c := <-shown
	get(t, client(t, r.start.Listen), web.URL)
	host := strings.TrimPrefix(web.URL, "http://")
	s := c.Snapshot()
	for deadline := time.Now().Add(time.Minute); s.Report.Matched == 0; s = c.Snapshot() {
		if time.Now().After(deadline) {
			t.Fatalf("no flow has ended: %+v", s)
		}
		time.Sleep(milli)
	}
	if s.Open != 0 || s.Waiting != 0 || s.Report.Bytes[faults.ToClient] == 0 || s.Report.Injected[0].PerLink[faults.ToClient].Delay.TotalCount() != 1 {
		t.Errorf("%+v", s)
	}
	if len(s.Faults) != 2 || s.Faults[0].Label != "latency" || !s.Faults[0].On || s.Faults[0].Next != faults.Never {
		t.Errorf("faults %+v", s.Faults)
	}
	if len(s.Pairs) != 1 || s.Pairs[0].Upstream != host || s.Pairs[0].Flows != 1 || s.Pairs[0].Open != 0 ||
		s.Pairs[0].Delayed != 1 || s.Pairs[0].MeanDelay < 20*milli || s.Pairs[0].Bytes == 0 || s.MorePairs != 0 {
		t.Errorf("pairs %+v and %d more, want one to %s", s.Pairs, s.MorePairs, host)
	}
	if !strings.HasPrefix(s.StartPage, "fault test ") {
		t.Errorf("the start page is %q", s.StartPage)
	}
	select {
	case <-hidden:
		t.Error("hidden while it runs")
	default:
	}
	c.End(ByKey)
	c.End(ByKey)
	c.End(ByKey)
	if sum := r.rest().summary; sum.Reason != "key" || sum.ExitCode != 0 {
		t.Errorf("ended by %s with %d", sum.Reason, sum.ExitCode)
	}
	if !<-hidden || !c.Snapshot().Ending || c.Pause() {
		t.Error("the end is not seen")
	}
}
