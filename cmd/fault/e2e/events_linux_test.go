package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// event is a line of --json, as far as tests look at it.
type event struct {
	Event    string
	Time     time.Time
	AtS      float64 `json:"at_s"`
	Flow     int
	State    string
	ID       string
	Upstream struct{ Host string }
	HTTP     struct {
		Status   int
		Injected bool
	}
	Faults []struct {
		ID      string
		Link    string
		N       int
		DelayMS float64   `json:"delay_ms"`
		DrawnMS []float64 `json:"drawn_ms"`
	}
}

// eventsFile is where a run writes its events, and the flag that says so.
func eventsFile(t *testing.T) (path, flag string) {
	t.Helper()
	path = filepath.Join(sharedDir(t), "events")
	return path, "--json=" + path
}

// readEvents reads those of one kind that have been written so far.
func readEvents(t *testing.T, path, kind string) []event {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var of []event
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%v in %s", err, lines.Text())
		}
		if e.Event == kind {
			of = append(of, e)
		}
	}
	return of
}
