package main

import (
	"fmt"
	"testing"
)

func TestSummary(t *testing.T) {
	var l lastLine
	for _, part := range []string{
		`{"event":"start"}` + "\n" + `{"event":"summary","flows":{"matched":3},`,
		`"faults":[{"id":"jitter"},{"id":"latency","injected":{"n":300},"late":{"p50_us":12,"p99_us":87}}]}`,
		"\n",
	} {
		fmt.Fprint(&l, part)
	}
	s, err := l.summary()
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.late("latency", 300)
	if err != nil || got != (late{12, 87}) || s.Flows.Matched != 3 {
		t.Errorf("late %v, %v; %d matched", got, err, s.Flows.Matched)
	}
	if _, err := s.late("latency", 301); err == nil {
		t.Error("300 pieces are taken for 301")
	}
	if _, err := s.late("bandwidth", 1); err == nil {
		t.Error("a fault that was not there was late")
	}
}

func TestNoSummary(t *testing.T) {
	for _, text := range []string{"", "{\n", `{"event":"start"}` + "\n", `{"event":"summary"}`} {
		var l lastLine
		fmt.Fprint(&l, text)
		if s, err := l.summary(); err == nil {
			t.Errorf("%q is the summary %v", text, s)
		}
	}
}
