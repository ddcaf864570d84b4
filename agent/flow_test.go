package agent

import (
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/proxy"
)

// TestFlow holds the line and the event of a flow.
func TestFlow(t *testing.T) {
	plan, names := everyFault(), ids(everyFault())
	var text, json strings.Builder
	for _, f := range []*proxy.Flow{slowed(), passed(), refused(), cut(), shortened(), {ID: 11, Entry: proxy.EntryIntercepted, Client: slowed().Client, Err: proxy.ErrOrigin}, byName(), nameless()} {
		text.WriteString(flowLine(style.Style{}, when, f, plan, names))
		json.WriteString(event.Line(flowEvent(event.NewHead(event.OfFlow, when, 13*second), f, plan, names)))
	}
	for _, verdict := range []string{matchedWord, passedWord, ""} {
		open := &proxy.Flow{ID: 12, Entry: proxy.EntryConnect, Client: passed().Client, Host: "db.internal:5432", Lasted: 5 * second}
		text.WriteString(openLine(style.Style{}, when, open, verdict, "blackhole"))
		json.WriteString(event.Line(openEvent(event.NewHead(event.OfFlow, when, 13*second), open, verdict, names)))
	}
	golden(t, "flow.txt", text.String())
	golden(t, "flow.jsonl", json.String())
}

// TestNamesOnlyWhatDidSomething holds that a fault which was there and did
// nothing is not in the line of a flow.
func TestNamesOnlyWhatDidSomething(t *testing.T) {
	f := slowed()
	f.Injected = []proxy.Injection{{Fault: 3, Tried: 41}, {Fault: 5, Tried: 2}, {Fault: 2}}
	if got := injections(f, everyFault(), ids(everyFault())); got != "" {
		t.Errorf("named %q", got)
	}
	// What it held went on when the blackhole went off.
	f.Injected = []proxy.Injection{{Fault: 4, Pieces: 1, Sum: 30 * second}}
	if got := injections(f, everyFault(), ids(everyFault())); got != "blackhole=30000.0ms" {
		t.Errorf("named %q", got)
	}
}

// TestLogLimit holds that the log of many flows stays small, and that at debug
// it has all of them, but for the first second.
func TestLogLimit(t *testing.T) {
	later := when.Add(-time.Second)
	for _, tc := range []struct {
		level zapcore.Level
		first time.Time
		want  int
	}{
		{zapcore.InfoLevel, when, logFirst},
		{zapcore.DebugLevel, when, logFirst},
		{zapcore.InfoLevel, later, logFlows},
		{zapcore.DebugLevel, later, 1000},
	} {
		core, logged := observer.New(tc.level)
		l := flowLog{log: zap.New(core, zap.WithClock(stopped{})), plan: everyFault(), ids: ids(everyFault()), first: tc.first}
		for range 1000 {
			l.ended(slowed())
		}
		l.close()
		all := logged.All()
		if skipped := 1000 - tc.want; skipped > 0 {
			last := all[len(all)-1]
			all = all[:len(all)-1]
			if last.ContextMap()["n"] != uint64(skipped) {
				t.Errorf("at %v: at the end it says %v, want %d", tc.level, last.ContextMap(), skipped)
			}
		}
		if len(all) != tc.want {
			t.Errorf("at %v: %d lines, want %d", tc.level, len(all), tc.want)
		}
	}
}

// TestLogRate holds that after the first flows some of each second are logged.
func TestLogRate(t *testing.T) {
	l := flowLog{log: zap.New(zapcore.NewNopCore()), logged: logFlows, first: when.Add(-time.Second)}
	now, logged := when, 0
	for range 3 * 100 { // a hundred a second
		if l.room(now) {
			logged++
		}
		now = now.Add(10 * milli)
	}
	// when is within a second, so that the time is in four of them.
	if logged != 4*logRate || l.skipped != 300-4*logRate {
		t.Errorf("%d logged, %d not, want %d logged", logged, l.skipped, 4*logRate)
	}
}

// stopped is a clock that stands still.
type stopped struct{}

func (stopped) Now() time.Time                         { return when }
func (stopped) NewTicker(d time.Duration) *time.Ticker { return time.NewTicker(d) }
