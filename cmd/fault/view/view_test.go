package view

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/faults"
)

// TestWindows holds what a run looks like in windows of each kind, with and
// without UTF-8, and which words stand out.
func TestWindows(t *testing.T) {
	for _, size := range [][2]int{{100, 30}, {80, 24}, {40, 13}} {
		for _, ascii := range []bool{false, true} {
			for _, palette := range []style.Palette{style.Plain, style.Marked} {
				name := fmt.Sprintf("run-%d", size[0])
				if ascii {
					name += "-ascii"
				}
				if palette == style.Marked {
					name += "-marked"
				}
				st := style.Style{Columns: size[0], ASCII: ascii, Palette: palette}
				golden(t, name+".txt", Render(aRun(), Frame{Columns: size[0], Rows: size[1], Style: st}))
			}
		}
	}
}

// TestHeights holds what goes away, and in which order, as height lacks.
func TestHeights(t *testing.T) {
	for _, columns := range []int{100, 80, 40} {
		var all []string
		for rows := 40; rows >= 9; rows-- {
			frame := Render(aRun(), Frame{Columns: columns, Rows: rows})
			all = append(all, fmt.Sprintf("%d rows", rows), frame, "")
		}
		golden(t, fmt.Sprintf("heights-%d.txt", columns), strings.Join(all, "\n"))
	}
}

// scene is a run and how it is looked at.
type scene struct {
	run   func() *agent.Snapshot
	frame Frame
}

var scenes = map[string]scene{
	"paused": {run: func() *agent.Snapshot {
		s := aRun()
		s.Paused, s.PausedAt = true, 63*second
		return s
	}},
	"ending": {run: func() *agent.Snapshot {
		s := aRun()
		s.Ending = true
		return s
	}},
	"no-faults":  {run: noFaultsRun},
	"explicit":   {run: explicitRun},
	"six-faults": {run: sixFaults, frame: Frame{Fault: 1, Link: faults.ToServer}},
	"packets":    {run: sixFaults, frame: Frame{Fault: 3}},
	"hole":       {run: sixFaults, frame: Frame{Fault: 4, Link: faults.ToClient}},
	"bandwidth":  {run: aRun, frame: Frame{Fault: 1, Link: faults.ToClient}},
	"answers":    {run: sixFaults, frame: Frame{Fault: 5}},
	"no-end": {run: func() *agent.Snapshot {
		s := aRun()
		s.Duration = 0
		return s
	}},
	"nothing-yet": {run: nothingYet},
	"unknown":     {run: func() *agent.Snapshot { return &agent.Snapshot{} }},
	"notice":      {run: aRun, frame: Frame{Notice: refusedStop}},
	"help": {run: aRun, frame: Frame{Help: true, Notices: []Notice{
		{At: time.Date(2026, 11, 23, 11, 0, 4, 0, time.UTC), Text: "certificate is for db.example.com", Hint: "name the upstream as its certificate does"},
		{At: time.Date(2026, 11, 23, 11, 1, 2, 0, time.UTC), Text: refusedStop},
	}}},
}

func TestScenes(t *testing.T) {
	for name, s := range scenes {
		var all []string
		for _, size := range [][2]int{{100, 30}, {80, 24}, {40, 13}, {60, 9}} {
			f := s.frame
			f.Columns, f.Rows, f.Style = size[0], size[1], style.Style{Palette: style.Marked}
			all = append(all, fmt.Sprintf("%dx%d", f.Columns, f.Rows), Render(s.run(), f), "")
		}
		golden(t, "scene-"+name+".txt", strings.Join(all, "\n"))
	}
}

func noFaultsRun() *agent.Snapshot {
	s := aRun()
	s.Faults, s.Report.Injected = nil, nil
	for i := range s.Pairs {
		s.Pairs[i].Delayed, s.Pairs[i].MeanDelay = 0, 0
	}
	return s
}

// explicitRun intercepts nothing.
func explicitRun() *agent.Snapshot {
	s := aRun()
	s.Duration, s.IPv6 = 0, false
	s.Upstreams = "none: only what clients send to the proxy"
	s.Faults, s.Report.Injected = s.Faults[:1], s.Report.Injected[:1]
	s.Report.Intercepted, s.Report.Connects = false, nil
	s.Report.Passed, s.Report.Errors = nil, nil
	s.Pairs, s.MorePairs = []agent.Pair{pair("", 0, "example.com:80", [4]uint64{158, 7, 158, 9e5}, 300100*time.Microsecond)}, 0
	return s
}

// nothingYet is a run that has just begun, without an end.
func nothingYet() *agent.Snapshot {
	latency := injected(faults.Latency{Delay: faults.Normal{Mean: 300 * milli}, On: toClient | toServer}, nil)
	return &agent.Snapshot{
		At: 300 * milli, Upstreams: "*.example.com:443", Proxy: netip.MustParseAddrPort("127.0.0.1:3180"),
		Faults: []agent.FaultState{{Label: "latency", On: true, Next: faults.Never}},
		Report: &agent.Report{Intercepted: true, Injected: []agent.Injected{latency}},
	}
}

// sixFaults has one of each kind, and more than are shown.
func sixFaults() *agent.Snapshot {
	const at, end = 72 * second, 300 * second
	s := aRun()
	jitter := injected(faults.Jitter{Amplitude: 30 * milli, Frequency: 5, On: toClient | toServer}, nil)
	for link := range jitter.PerLink {
		jitter.PerLink[link].Delay = newHistogram(drawn(faults.Uniform{Max: 30 * milli}, 400*(link+1))...)
		jitter.PerLink[link].Late = newHistogram(drawn(faults.Uniform{Max: 80 * time.Microsecond}, 400)...)
	}
	loss := injected(faults.PacketLoss{Rate: .03, On: toServer}, faults.Schedule{{Start: 60 * second, End: faults.Never}})
	loss.Tried, loss.Hit = 41201, 1243
	loss.PerLink[faults.ToServer].Delay = newHistogram(drawn(faults.Pareto{Scale: 200 * milli, Shape: 4}, 1243)...)
	hole := injected(faults.Blackhole{On: toClient}, faults.Schedule{{Start: 240 * second, End: faults.Never}})
	hole.Flows, hole.PerLink[faults.ToClient].Swallowed = 12, 4.1e6
	answer := s.Report.Injected[2]
	answer.Tried, answer.Hit = 408, 40
	s.Report.Injected = append(s.Report.Injected[:1:1], jitter, s.Report.Injected[1], loss, hole, answer)
	s.Faults = []agent.FaultState{
		s.Faults[0], state("jitter", nil, at, end), s.Faults[1],
		state("packet-loss", loss.Schedule, at, end), state("blackhole", hole.Schedule, at, end),
		s.Faults[2],
	}
	return s
}

// TestTinyWindows holds that there is one line below 40 columns or 10 rows.
func TestTinyWindows(t *testing.T) {
	for _, tc := range []struct {
		columns, rows int
		want          string
	}{
		{80, 9, "fault 1:12 of 5:00  42 open  latency 300 ms  2 errors"},
		{54, 1, "fault 1:12 of 5:00  42 open  latency 300 ms  2 errors"},
		{53, 1, "fault 1:12 of 5:00  42 open  latency 300 ms"},
		{39, 24, "fault 1:12 of 5:00  42 open"},
		{20, 24, "fault 1:12 of 5:00"},
		{12, 24, "fault 1:12…"},
		{2, 2, "…"},
		{1, 1, ""},
		{0, 0, ""},
	} {
		if got := Render(aRun(), Frame{Columns: tc.columns, Rows: tc.rows}); got != tc.want {
			t.Errorf("%d x %d: %q, want %q", tc.columns, tc.rows, got, tc.want)
		}
	}
}

// BenchmarkRender draws the largest layout.
func BenchmarkRender(b *testing.B) {
	s := sixFaults()
	f := Frame{Columns: 200, Rows: 60, Style: style.Style{Palette: style.Colour}}
	for b.Loop() {
		Render(s, f)
	}
}
