package control

import (
	"strings"
	"testing"
	"unicode"
)

func TestParseRequest(t *testing.T) {
	for line, want := range map[string]Verb{
		`{"schema":1,"do":"status"}`:                     Look,
		`{"schema":1,"do":"pause"}`:                      Pause,
		`{"schema":1,"do":"resume","of":["the future"]}`: Resume,
		` { "do" : "stop", "schema" : 1 } ` + "\r\n":     Stop,
	} {
		if r, err := parseRequest([]byte(line)); err != nil || r.Do != want {
			t.Errorf("%s: %q and %v, want %q", line, r.Do, err, want)
		}
	}
	for line, want := range map[string]string{
		"":                             "not a line of JSON",
		"status":                       "not a line of JSON",
		`[1]`:                          "not a line of JSON",
		`{"schema":"1","do":"status"}`: "not a line of JSON",
		`{"schema":1,"do":"status"}{`:  "not a line of JSON",
		`{}`:                           "schema 0, which must be 1",
		`{"schema":2,"do":"status"}`:   "schema 2, which must be 1",
		`{"schema":1}`:                 "none of status",
		`{"schema":1,"do":"Stop"}`:     "none of status",
		`null`:                         "schema 0",
	} {
		if r, err := parseRequest([]byte(line)); !Is(err, BadRequest) || !strings.Contains(err.Error(), want) || r != (Request{}) {
			t.Errorf("%s: %+v and %v, want an error with %q", line, r, err, want)
		}
	}
}

func TestParseReply(t *testing.T) {
	if r, err := parseReply([]byte(`{"schema":1,"changed":true,"status":{"pid":7,"ends_in_s":0},"new":1}`)); err != nil ||
		!r.Changed || r.Status.PID != 7 || r.Status.EndsInS == nil {
		t.Errorf("%+v and %v", r, err)
	}
	for line, want := range map[string]Error{
		"fault\n":                  {NoAnswer, "did not answer with a line of JSON"},
		`{"schema":2,"status":{}}`: {NoAnswer, "answers with schema 2, and this fault knows 1 only"},
		`{"schema":1}`:             {NoAnswer, "answered without saying how it is"},
		`{"schema":1,"status":[]}`: {NoAnswer, "did not answer with a line of JSON"},
		`{"schema":1,"error":"not-allowed","text":"only root may ask"}`: {NotAllowed, "refuses: only root may ask"},
	} {
		_, err := parseReply([]byte(line))
		if e, ok := err.(*Error); !ok || *e != want {
			t.Errorf("%s: %v, want %v", line, err, want)
		}
	}
}

// FuzzParseRequest: whatever a client sends, it is one of the verbs or an
// error that can be shown.
func FuzzParseRequest(f *testing.F) {
	for _, seed := range []string{`{"schema":1,"do":"stop"}`, `{"schema":-1}`, `{"do":"\u001b[2J"}`, "[[[[", "\x00", `{"schema":1e400}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := parseRequest(line)
		if err == nil {
			if r.Schema != 1 || !strings.Contains("status pause resume stop", string(r.Do)) {
				t.Errorf("%q is taken for %+v", line, r)
			}
			return
		}
		unreadable := func(r rune) bool { return !unicode.IsPrint(r) }
		if text := err.Error(); !Is(err, BadRequest) || len(text) > 100 || strings.ContainsFunc(text, unreadable) {
			t.Errorf("%q: %v", line, err)
		}
	})
}
