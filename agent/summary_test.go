package agent

import (
	"strings"
	"testing"
	"time"

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

func TestFormats(t *testing.T) {
	for got, want := range map[string]string{
		clock(5 * time.Minute):          "5:00",
		clock(3723 * second):            "1:02:03",
		clock(500 * milli):              "0:00.5",
		count(uint64(4982)):             "4,982",
		count(999):                      "999",
		count(1234567):                  "1,234,567",
		size(512):                       "512 B",
		size(4100000):                   "4.1 MB",
		ms(382200 * time.Microsecond):   "382",
		ms(99 * milli):                  "99",
		ms(1500 * time.Microsecond):     "1.5",
		percent(.1):                     "10.0 %",
		percent(1):                      "100 %",
		percent(.0302):                  "3.02 %",
		percent(.00012):                 "0.0120 %",
		percent(0):                      "0 %",
		quoted([]string{"run", "-u=*"}): `run '-u=*'`,
		quoted([]string{"a b", "", "it's", "x=1,2", "é"}): `'a b' '' 'it'\''s' x=1,2 'é'`,
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
