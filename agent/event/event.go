// Package event is what a run tells programs: one JSON object a line.
//
// Units are suffixes of keys (_ms, _s, _us, _bytes, _bytes_per_s), counts have
// none, a share is 0 to 1, and seeds are strings, as they may exceed 2⁵³. What
// is absent is unknown or does not apply; a 0 was measured. Within a schema
// keys and words are added, never renamed, retyped or taken away.
package event

import (
	"bytes"
	"encoding/json"
	"math"
	"time"
)

// Schema counts the incompatible changes of this package.
const Schema = 1

// The words of Head.Event.
const (
	OfStart    = "start"
	OfFlow     = "flow"
	OfFault    = "fault"
	OfProgress = "progress"
	OfWarning  = "warning"
	OfSummary  = "summary"
)

// Head is what every event begins with. Readers look for its first key.
type Head struct {
	Event string `json:"event"`
	Time  string `json:"time"`
	// AtS is the time of the run, in seconds since it was ready.
	AtS float64 `json:"at_s"`
}

// NewHead is the head of an event of now, which is at a time of the run.
func NewHead(word string, now time.Time, at time.Duration) Head {
	return Head{word, now.UTC().Format("2006-01-02T15:04:05.000000Z"), Seconds(at)}
}

// Line is an event as one line, with its end.
func Line(e any) string {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false) // it is read by people, too
	// Only an infinite number could fail, and those are absent.
	_ = out.Encode(e)
	return b.String()
}

// Seconds is a duration in seconds, to a millisecond.
func Seconds(d time.Duration) float64 { return math.Round(d.Seconds()*1e3) / 1e3 }

// Milliseconds is a duration in milliseconds, to a microsecond.
func Milliseconds(d time.Duration) float64 { return math.Round(d.Seconds()*1e6) / 1e3 }

// Share is a part of a whole, absent if there is no whole.
func Share(part, whole uint64) *float64 {
	if whole == 0 {
		return nil
	}
	return Some(math.Round(float64(part)/float64(whole)*1e6) / 1e6)
}

// Some is a value that is known.
func Some[T any](value T) *T { return &value }
