package agent

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
)

// looks are those of readers, by the names of their golden files.
func looks() map[string]style.Style {
	all := make(map[string]style.Style)
	for _, columns := range []int{100, 80, 40} {
		for _, ascii := range []bool{false, true} {
			for _, palette := range []style.Palette{style.Plain, style.Marked} {
				name := fmt.Sprintf("look-%d", columns)
				if ascii {
					name += "-ascii"
				}
				if palette == style.Marked {
					name += "-marked"
				}
				all[name] = style.Style{Columns: columns, ASCII: ascii, Palette: palette}
			}
		}
	}
	return all
}

// pages are the start pages and summaries as a reader gets them.
func pages(t *testing.T, look style.Style) string {
	var b strings.Builder
	starts := scenes(t)
	for _, name := range slices.Sorted(maps.Keys(starts)) {
		tc := starts[name]
		if name == "everything" {
			tc.cfg.Screen = noScreen{}
		}
		b.WriteString(startPage(tc.cfg, &tc.scene, look))
	}
	ends := reports()
	for _, name := range slices.Sorted(maps.Keys(ends)) {
		b.WriteString(summary(summarized(t, name), ends[name], look))
	}
	return look.Glyphs(b.String())
}

type noScreen struct{}

func (noScreen) Show(*Control) {}
func (noScreen) Hide()         {}

// flowsOf are flows that show what a line can say.
func flowsOf() []*proxy.Flow {
	delayed := slowed()
	delayed.Host, delayed.Injected, delayed.Answered, delayed.Status = "api.example.com:443", delayed.Injected[:1], 0, 0
	through := &proxy.Flow{
		Process: proxy.Process{PID: 2210, Name: "psql"}, Host: "db.internal:5432", Lasted: 1100 * milli, Bytes: [2]int64{0, 9000},
	}
	node := proxy.Process{PID: 991, Name: "node"}
	failed := &proxy.Flow{Process: node, Host: "10.0.3.7:9200", Matched: true, Err: syscall.ECONNREFUSED}
	reset := slowed()
	reset.Err, reset.Injected = syscall.ECONNRESET, reset.Injected[:2]
	long := slowed()
	long.Process.Name, long.Host, long.Lasted = "a-name-of-15-ch", "service.of.a.team.in.a.cluster.internal:30443", 1000*second
	far := passed()
	far.Client, far.Host = netip.MustParseAddrPort("[2001:db8::17]:50123"), "[2001:db8::1]:80"
	unknown := &proxy.Flow{Entry: proxy.EntryIntercepted, Client: slowed().Client, Err: proxy.ErrOrigin}
	return []*proxy.Flow{delayed, through, failed, slowed(), passed(), refused(), cut(), reset, long, far, unknown, shortened()}
}

// lineTexts are the lines as a reader gets them.
func lineTexts(look style.Style) string {
	var b strings.Builder
	plan := everyFault()
	for _, f := range flowsOf() {
		b.WriteString(flowLine(look, when, f, plan, ids(plan)))
	}
	open := flowsOf()[2]
	open.Host, open.Lasted = "10.0.3.9:9200", 5*second
	b.WriteString(openLine(look, when, open, matchedWord, "blackhole"))
	b.WriteString(openLine(look, when, open, matchedWord, "latency", "blackhole", "packet-loss"))
	b.WriteString(openLine(look, when, open, passedWord))
	b.WriteString(openLine(look, when, open, ""))
	for _, c := range []change{
		{id: "bandwidth", label: "bandwidth", on: true, cause: causeStart, open: 42, next: 90 * second},
		{id: "http-response", label: "http 503", cause: causeSchedule, open: 1042, next: faults.Never},
		{id: "latency", label: "latency", cause: causeEnd, next: faults.Never},
	} {
		b.WriteString(changeLine(look, when, c))
	}
	none := newReport(nil)
	b.WriteString(progressLine(look, when, aRun(), 42))
	b.WriteString(progressLine(look, when, reports()["nothing"], 0))
	b.WriteString(progressLine(look, when, &none, 1))
	b.WriteString(stepLine("resolving 3 names"))
	return look.Glyphs(b.String())
}

// TestLooks holds all texts for people at a terminal.
func TestLooks(t *testing.T) {
	for name, look := range looks() {
		text := lineTexts(look)
		if look.Columns <= pageWidth {
			text = pages(t, look) + "\n" + text
		}
		golden(t, name+".txt", text)
	}
}

// TestPageIsOneText holds that all windows with enough room get the same pages.
func TestPageIsOneText(t *testing.T) {
	for _, columns := range []int{81, 100, 300} {
		if got, want := pages(t, style.Style{Columns: columns}), pages(t, style.Style{Columns: pageWidth}); got != want {
			t.Errorf("in %d columns\n%s\nin %d\n%s", columns, got, pageWidth, want)
		}
	}
}

// TestTailLimit holds which lines a terminal gets of many.
func TestTailLimit(t *testing.T) {
	var l tailLimit
	begin := time.Date(2026, 11, 23, 11, 5, 0, 0, time.UTC)
	rooms, told := make(map[int64]int), make(map[int64]uint64)
	for i := range 3000 { // 1,000 a second
		now := begin.Add(time.Duration(i) * milli)
		room, rest := l.next(now)
		if room {
			rooms[now.Unix()-begin.Unix()]++
		}
		if rest > 0 {
			told[int64(i)] = rest
		}
	}
	if want := map[int64]int{0: 200, 1: 200, 2: 200}; !maps.Equal(rooms, want) {
		t.Errorf("lines by second: %v, want %v", rooms, want)
	}
	if want := map[int64]uint64{1000: 800, 2000: 800}; !maps.Equal(told, want) {
		t.Errorf("the rest was told before these flows: %v, want %v", told, want)
	}
	for after, want := range []uint64{0, 800, 0} {
		if got := l.rest(begin.Add(2*second + time.Duration(after)*second)); got != want {
			t.Errorf("%d s after the last second began the rest is %d, want %d", after, got, want)
		}
	}
	if room, rest := l.next(begin.Add(time.Hour)); !room || rest != 0 {
		t.Errorf("an hour later there is room: %t, and a rest of %d", room, rest)
	}
}
