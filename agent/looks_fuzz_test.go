package agent

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/faultproxy/fault/agent/callers"
	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
)

// FuzzLooks holds that nothing a name or a number may be makes a line wider
// than the window, but for the replay, or steers the terminal.
func FuzzLooks(f *testing.F) {
	f.Add(uint16(40), false, "\x1b]0;title\a", "\u202eevil.example.com\n:443", "東京\u200d\u0301é", uint64(1), int64(1))
	f.Add(uint16(80), true, "a name", "[2001:db8::1]:65535", strings.Repeat("10.0.0.0/8,", 30), uint64(1)<<40, int64(1)<<60)
	f.Add(uint16(300), true, "", "", "", uint64(0), int64(0))
	run := aRun() // takes its time
	f.Fuzz(func(t *testing.T, columns uint16, ascii bool, name, host, text string, n uint64, d int64) {
		look := style.Style{Columns: 1 + int(columns)%300, ASCII: ascii}
		n %= 1e12
		lasted := time.Duration(d&^(-1<<62)) % (365 * 24 * time.Hour)

		cfg, r := everything(t), *run
		report := &r
		cfg.Version, cfg.Replay = text, []string{"run", name, host, text}
		cfg.Callers = callers.Set{{Kind: callers.Process, Value: name}, {Kind: callers.Cgroup, Value: text}}
		cfg.Faults = append(cfg.Faults, cfg.Faults...)
		s := scene{
			pid: int(n), intercepts: n%2 == 0, explicit: text, ipv6: errors.New(text), follows: errors.New(text), took: lasted,
			callers: []callers.Match{{Selector: cfg.Callers[0], Processes: int(n)}, {Selector: cfg.Callers[1], Processes: -1, Present: true}},
			proxy:   netip.MustParseAddrPort("127.0.0.1:3180"), places: []event.Namespace{{Name: OwnNetns}, {Name: text}, {Name: name}},
		}
		cfg.HTTPUpstream = &proxy.Target{Host: host, Port: 80}
		report.Flows, report.Matched, report.CutOff, report.Dropped, report.Lasted = n, n/2, n, n, lasted
		report.Passed = map[string]uint64{"upstream-not-matched": n, "origin-unknown": n}
		report.Errors = map[string]uint64{"refused": n, "timeout": n, "tls": n, "dns": n}
		report.Pauses, report.Paused = int(n), lasted

		var b strings.Builder
		b.WriteString(startPage(cfg, &s, look))
		b.WriteString(summary(cfg, report, look))
		flow := slowed()
		flow.Process.Name, flow.Host, flow.Lasted, flow.Injected[0].Sum, flow.Injected[4].Hit = name, host, lasted, lasted, int(n)
		flow.Process.PID = uint32(n)
		flow.Bytes = [2]int64{faults.ToServer: int64(n), faults.ToClient: int64(n / 3)}
		for _, err := range []error{nil, errors.New(text), proxy.ErrEnded} {
			flow.Err = err
			b.WriteString(flowLine(look, when, flow, cfg.Faults, ids(cfg.Faults)))
		}
		flow.Matched = false
		b.WriteString(flowLine(look, when, flow, cfg.Faults, ids(cfg.Faults)))
		b.WriteString(openLine(look, when, flow, matchedWord, "latency", "blackhole", "packet-loss-2"))
		b.WriteString(changeLine(look, when, change{id: "latency-12", label: "latency-12", on: true, cause: causeSchedule, open: int64(n), next: lasted}))
		b.WriteString(progressLine(look, when, report, int64(n)))

		room := max(look.Columns, leastWidth)
		for _, line := range strings.Split(look.Glyphs(b.String()), "\n") {
			if hidden := strings.IndexFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }); hidden >= 0 {
				t.Errorf("there is %q in %q", line[hidden:], line)
			}
			if width := style.Width(line); width > room && !strings.HasPrefix(line, "replay ") {
				t.Errorf("in %d columns %d: %q", room, width, line)
			}
		}
	})
}
