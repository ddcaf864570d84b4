package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/faultproxy/fault/agent/event"
)

// events is what a run told programs.
type events struct {
	starts    []event.Start
	flows     []event.Flow
	changes   []event.Change
	progress  []event.Progress
	warnings  []event.Warning
	summaries []event.Summary
	last      string // the word of the last one
}

// eventsFile is where a run writes its events, and the flag that says so.
func eventsFile(t *testing.T) (path, flag string) {
	t.Helper()
	path = filepath.Join(sharedDir(t), "events")
	return path, "--json=" + path
}

// awaitStart waits for the first event of a run.
func awaitStart(t *testing.T, path string) event.Start {
	t.Helper()
	var begun event.Start
	eventually(t, "a start", func() bool {
		if _, err := os.Stat(path); err != nil {
			return false
		}
		starts := readEvents(t, path).starts
		if len(starts) > 0 {
			begun = starts[0]
		}
		return len(starts) > 0
	})
	return begun
}

// readEvents reads those that have been written so far.
func readEvents(t *testing.T, path string) *events {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, string(text))
}

// decode wants to know all that there is in events, as this version of the
// command writes it. The end of a line may be missing.
func decode(t *testing.T, text string) *events {
	t.Helper()
	var all events
	for line := range strings.Lines(text) {
		if !strings.HasSuffix(line, "\n") {
			break
		}
		var head event.Head
		if err := json.Unmarshal([]byte(line), &head); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if !strings.HasPrefix(line, `{"event":"`+head.Event+`","time":"`) {
			t.Errorf("an event begins with its word, not so: %s", line)
		}
		all.last = head.Event
		switch head.Event {
		case event.OfStart:
			all.starts = strictly(t, line, all.starts)
		case event.OfFlow:
			all.flows = strictly(t, line, all.flows)
		case event.OfFault:
			all.changes = strictly(t, line, all.changes)
		case event.OfProgress:
			all.progress = strictly(t, line, all.progress)
		case event.OfWarning:
			all.warnings = strictly(t, line, all.warnings)
		case event.OfSummary:
			all.summaries = strictly(t, line, all.summaries)
		default:
			t.Errorf("nobody knows the event %s", line)
		}
	}
	return &all
}

// strictly adds an event in which nothing is unknown, and of which nothing is
// lost.
func strictly[E any](t *testing.T, line string, to []E) []E {
	t.Helper()
	var e E
	in := json.NewDecoder(strings.NewReader(line))
	in.DisallowUnknownFields()
	if err := in.Decode(&e); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	if again := event.Line(e); again != line {
		t.Errorf("%swas read as\n%s", line, again)
	}
	return append(to, e)
}

// summary is the only one, with which the events end.
func (e *events) summary(t *testing.T) event.Summary {
	t.Helper()
	if len(e.summaries) != 1 || e.last != event.OfSummary {
		t.Fatalf("%d summaries, and the last event is %q", len(e.summaries), e.last)
	}
	return e.summaries[0]
}

// ended are the flows that have.
func (e *events) ended() []event.Flow {
	var flows []event.Flow
	for _, f := range e.flows {
		if f.State == "ended" {
			flows = append(flows, f)
		}
	}
	return flows
}

// began is when the run was ready.
func (e *events) began(t *testing.T) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, e.starts[0].Time)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
