package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// testToolkitExamples runs the examples that need nothing but a web
// server, the guide's experiment among them. That what the probes measured
// agrees with what the agent says is for `make experiments` to hold: beside other
// tests they wait for a processor, too.
func testToolkitExamples(t *testing.T) {
	needsToolkit(t, "nginx", "python3")
	server := newServer(t)
	server.serveWeb(t)
	for _, tc := range []struct {
		file   string
		as     []string
		mode   string
		flows  uint64
		delays int64
		reason string
	}{
		{"guide.json", nil, "transparent", 10, 20, "signal"},
		{"guide.yaml", nil, "transparent", 10, 20, "signal"},
		{"guide.yaml", asNobody, "explicit", 0, 0, "signal"},
		{"unprivileged.yaml", nil, "transparent", 10, 10, "signal"},
		{"unprivileged.yaml", asNobody, "explicit", 10, 10, "signal"},
		{"duration.yaml", nil, "transparent", 8, 8, "duration"},
		{"verbose.yaml", nil, "transparent", 5, 10, "signal"},
		{"demo.yaml", nil, "explicit", 15, 15, "signal"},
		{"demo.yaml", asNobody, "explicit", 15, 15, "signal"},
	} {
		k := newToolkit(t, server)
		k.as = tc.as
		t.Run(strings.Join(append([]string{tc.file}, tc.as...), " "), func(t *testing.T) {
			t.Parallel()
			j := k.runs(t, examples(tc.file))
			j.completed(t)
			_, s := j.proxy(t)
			if s.Mode != tc.mode || s.Flows.Matched != tc.flows || *s.Faults[0].Injected.N != tc.delays || s.Reason != tc.reason {
				t.Errorf("the summary has %s, %+v, %+v, %s", s.Mode, s.Flows, s.Faults, s.Reason)
			}
			if tc.delays > 0 {
				told, _, _ := finish(t, nil, program(t, "python3", examples("journal.py"), k.dir+"/journal.json"))
				t.Log(told)
				if !strings.HasPrefix(told, fmt.Sprintf("fault:  %d connections matched, %d delays of ", tc.flows, tc.delays)) {
					t.Error("journal.py does not say so")
				}
			}
		})
	}
}
