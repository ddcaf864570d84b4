package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// summary is what is read of the last event of a run.
type summary struct {
	Event string `json:"event"`
	Flows struct {
		Matched int64 `json:"matched"`
	} `json:"flows"`
	Faults []struct {
		ID       string `json:"id"`
		Injected struct {
			N int64 `json:"n"`
		} `json:"injected"`
		Late late `json:"late"`
	} `json:"faults"`
}

// late is by how much the delays of a fault were exceeded.
type late struct {
	P50 float64 `json:"p50_us"`
	P99 float64 `json:"p99_us"`
}

// late is that of a fault that has delayed at least so many pieces.
func (s summary) late(id string, atLeast int64) (late, error) {
	for _, f := range s.Faults {
		if f.ID == id {
			if f.Injected.N < atLeast {
				return late{}, fmt.Errorf("%s has delayed %d pieces, want %d at least", id, f.Injected.N, atLeast)
			}
			return f.Late, nil
		}
	}
	return late{}, fmt.Errorf("the summary has no %s", id)
}

// lastLine keeps the last line that is written to it.
type lastLine struct{ line, unfinished []byte }

func (l *lastLine) Write(b []byte) (int, error) {
	for part := range bytes.Lines(b) {
		l.unfinished = append(l.unfinished, part...)
		if bytes.HasSuffix(part, []byte("\n")) {
			l.line, l.unfinished = l.unfinished, nil
		}
	}
	return len(b), nil
}

// summary reads the line as one.
func (l *lastLine) summary() (summary, error) {
	var s summary
	if err := json.Unmarshal(l.line, &s); err != nil {
		return s, fmt.Errorf("read the summary %q: %w", l.line, err)
	}
	if s.Event != "summary" {
		return s, fmt.Errorf("the last event is %q, not the summary", s.Event)
	}
	return s, nil
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
