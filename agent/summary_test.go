package agent

import (
	"strings"
	"testing"

	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/agent/style"
)

// reports are ends of runs.
func reports() map[string]*Report {
	nothing := newReport(everyFault())
	nothing.PID, nothing.Reason, nothing.Lasted, nothing.Dropped = 48121, BySignal, 1234*milli, 1812
	null := newReport(nil)
	null.Reason, null.Failed = BySignal, true
	return map[string]*Report{"everything": aRun(), "nothing": &nothing, "null": &null}
}

// summarized is the settings of one of them.
func summarized(t *testing.T, name string) *Config {
	cfg := everything(t)
	if name == "null" {
		cfg.Faults, cfg.Upstreams, cfg.Replay = nil, nil, nil
	}
	return cfg
}

// TestSummary holds what is said at the end, to people and to programs.
func TestSummary(t *testing.T) {
	for name, r := range reports() {
		cfg := summarized(t, name)
		golden(t, "summary-"+name+".txt", summary(cfg, r, style.Style{}))
		line := event.Line(summaryEvent(event.NewHead(event.OfSummary, when, 300412*milli), cfg, r))
		golden(t, "summary-"+name+".json", line)
		if len(line) > 8<<10 {
			t.Errorf("%d bytes of summary", len(line))
		}
	}
}

func TestIDs(t *testing.T) {
	plan := append(everyFault()[:1], everyFault()[:1]...)
	if got := strings.Join(ids(plan), " "); got != "latency latency-2" {
		t.Errorf("ids are %s", got)
	}
}

func TestQuoted(t *testing.T) {
	for got, want := range map[string]string{
		quoted([]string{"run", "-u=*"}):                   `run '-u=*'`,
		quoted([]string{"a b", "", "it's", "x=1,2", "é"}): `'a b' '' 'it'\''s' x=1,2 'é'`,
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
