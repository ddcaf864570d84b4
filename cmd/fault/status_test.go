package main

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/faultproxy/fault/agent/control"
	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/agent/style"
)

// someAgents are one as in the design, one that is paused and has no end, one
// that ends, one of another user, and one that is stopped.
func someAgents() []found {
	plan := func(on ...bool) (all []control.Fault) {
		for _, o := range on {
			all = append(all, control.Fault{ID: "latency", On: o})
		}
		return all
	}
	return []found{
		{peer: control.Peer{PID: 48121, Own: 48121}, status: &control.Status{
			PID: 48121, Version: "0.1.0", UpS: 72.412, EndsInS: event.Some(227.588), Mode: "transparent", Listen: "127.0.0.1:3180",
			Upstreams: []string{"*"}, Open: 42, Matched: 1204, Errors: 2, LeftAlone: event.Some[uint64](34), Faults: plan(true, true, false),
		}},
		{peer: control.Peer{PID: 51702, Own: 7}, status: &control.Status{
			PID: 7, Version: "0.1.0", UpS: 7384, Mode: "explicit", Upstreams: []string{"api.example.com:443", "db.internal:5432", "!10.0.0.7"},
			Faults: plan(true), Paused: true,
		}},
		{peer: control.Peer{PID: 51800, Own: 51800, UID: 1000}, status: &control.Status{
			PID: 51800, UpS: 9, Mode: "explicit", Open: 1, Matched: 1234567, Ending: true,
		}},
		{peer: control.Peer{PID: 60001, Own: 60001, UID: 1001}, err: &control.Error{Code: control.NotAllowed, Text: "answers only root and uid 1001"}},
		{peer: control.Peer{Own: 99, UID: -1}, err: &control.Error{Code: control.NoAnswer, Text: "did not answer within 2s"}},
	}
}

func TestStatusTable(t *testing.T) {
	for name, tc := range map[string]struct {
		all   []found
		style style.Style
		want  string
	}{
		"as designed": {someAgents()[:1], style.Style{Columns: 80}, `
  PID  UP    ENDS IN  MODE         UPSTREAMS  OPEN  MATCHED  ERRORS  FAULTS ON
48121  1:12  3:48     transparent  *            42    1,204       2  2 of 3
`},
		"100 columns": {someAgents(), style.Style{Columns: 100}, `
  PID  UP       ENDS IN  MODE         UPSTREAMS              OPEN    MATCHED  ERRORS  FAULTS ON
48121  1:12     3:48     transparent  *                        42      1,204       2  2 of 3
51702  2:03:04  no end   explicit     api.exampl…,!10.0.0.7     0          0       0  1 of 1, paused
51800  0:09     -        explicit     none                      1  1,234,567       0  none, ending
60001  -        -        -            -                         -          -       -  -
   99  -        -        -            -                         -          -       -  -
fault[51702] (7 in its own pid namespace)
fault[99] (in a pid namespace that is not seen from here)
`},
		"40 columns, in roles": {someAgents()[:2], style.Style{Columns: 40, Palette: style.Marked, ASCII: true}, `
‹title›  PID‹/›  ‹title›UPSTREAMS‹/›  ‹title›ERRORS‹/›  ‹title›FAULTS ON‹/›
48121  *          ‹bad›     2‹/›  2 of 3
51702  api.~.0.7       0  ‹warn›1 of 1, paused‹/›
‹dim›fault[51702] (7 in i~ own pid namespace)‹/›
`},
	} {
		if got := statusTable(tc.all, tc.style); got != tc.want[1:] {
			t.Errorf("%s:\n%swant\n%s", name, got, tc.want[1:])
		}
	}
}

// TestStatusLines are for a pipe: no header, times in seconds.
func TestStatusLines(t *testing.T) {
	const want = `48121	72.412	227.588	transparent	*	42	1204	2	2 of 3
51702	7384	-	explicit	api.example.com:443,db.internal:5432,!10.0.0.7	0	0	0	1 of 1, paused
51800	9	-	explicit	none	1	1234567	0	none, ending
60001	-	-	-	-	-	-	-	-
99	-	-	-	-	-	-	-	-
`
	if got := listed(someAgents(), false, style.Style{}); got != want {
		t.Errorf("%swant\n%s", got, want)
	}
}

func TestStatusJSON(t *testing.T) {
	const want = `{"schema":1,"pid":48121,"uid":0,"version":"0.1.0","up_s":72.412,"ends_in_s":227.588,"mode":"transparent","listen":"127.0.0.1:3180","upstreams":["*"],"open_flows":42,"matched":1204,"errors":2,"left_alone":34,"faults":[{"id":"latency","on":true},{"id":"latency","on":true},{"id":"latency","on":false}],"paused":false,"ending":false}
{"schema":1,"pid":51702,"own_pid":7,"uid":0,"version":"0.1.0","up_s":7384,"mode":"explicit","upstreams":["api.example.com:443","db.internal:5432","!10.0.0.7"],"open_flows":0,"matched":0,"errors":0,"faults":[{"id":"latency","on":true}],"paused":true,"ending":false}
{"schema":1,"pid":60001,"uid":1001,"error":"not-allowed"}
{"schema":1,"pid":99,"own_pid":99,"error":"no-answer"}
`
	all := someAgents()
	got := listed(append(all[:2], all[3:]...), true, style.Style{Columns: 20})
	if got != want {
		t.Errorf("%swant\n%s", got, want)
	}
	for line := range strings.Lines(got) {
		if err := json.Unmarshal([]byte(line), new(map[string]any)); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// FuzzStatusTable: whatever agents say, no line is wider than the window or
// steers a terminal, unless not even pids fit.
func FuzzStatusTable(f *testing.F) {
	f.Add(80, 48121, 72.4, int64(42), uint64(1204), "*", "transparent", false)
	f.Add(1, 1, -1e300, int64(-1), uint64(1<<64-1), "\x1b[2J\u202e東京", "\t\n", true)
	f.Fuzz(func(t *testing.T, columns, pid int, number float64, open int64, matched uint64, upstream, mode string, paused bool) {
		columns = 10 + int(uint(columns)%300)
		all := append(someAgents()[3:], found{peer: control.Peer{PID: int(uint16(pid)), Own: 1}, status: &control.Status{
			UpS: number, EndsInS: &number, Open: open, Matched: matched, Errors: matched, Upstreams: []string{upstream, upstream}, Mode: mode,
			Paused: paused,
		}})
		text := statusTable(all, style.Style{Columns: columns})
		for line := range strings.Lines(text) {
			line = strings.TrimSuffix(line, "\n")
			if style.Width(line) > columns || strings.ContainsFunc(line, unicode.IsControl) {
				t.Errorf("%d columns: %q", columns, line)
			}
		}
		if n := strings.Count(text, "\n"); n < 1+len(all) || n > 1+2*len(all) {
			t.Errorf("%d lines for %d agents", n, len(all))
		}
		for line := range strings.Lines(listed(all, false, style.Style{})) {
			if n := strings.Count(line, "\t"); n != len(statusColumns)-1 {
				t.Errorf("%d tabs: %q", n, line)
			}
		}
	})
}
