package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// TestPipe holds that what reads a run off a terminal gets the summary as the
// last line, whatever ends the run.
func TestPipe(t *testing.T) {
	needs(t)
	for name, tc := range map[string]struct {
		flags  []string
		end    func(*testing.T, *host, *agent)
		reason string
	}{
		"SIGTERM": {nil, func(t *testing.T, _ *host, a *agent) { a.signal(t, syscall.SIGTERM) }, "signal"},
		"SIGINT":  {nil, func(t *testing.T, _ *host, a *agent) { a.signal(t, syscall.SIGINT) }, "signal"},
		"--tail":  {[]string{"--tail"}, func(t *testing.T, _ *host, a *agent) { a.signal(t, syscall.SIGTERM) }, "signal"},
		"--log-stdout": {[]string{"--log-stdout", "--log-level", "debug"},
			func(t *testing.T, _ *host, a *agent) { a.signal(t, syscall.SIGTERM) }, "signal"},
		"--duration": {[]string{"--duration", "1500ms"}, func(*testing.T, *host, *agent) {}, "duration"},
		"fault stop": {nil, func(t *testing.T, h *host, a *agent) {
			if said, want := answer(t, h, fault("stop")), fmt.Sprintf("fault[%d] has ended", a.Process.Pid); said != want {
				t.Errorf("fault stop says %q, want %q", said, want)
			}
		}, "stop"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			url := h.servePage(t, "127.0.0.1:0")
			a := h.run(t, append(tc.flags, "--with-latency", "--latency-mean", "20")...)
			h.ask(t, a.proxy, url)
			tc.end(t, h, a)
			if s := a.summary(t); s.reason != tc.reason || s.matched != 1 {
				t.Errorf("in words it has %+v", s)
			}
			text := a.stdout.String()
			last := text[strings.LastIndex(strings.TrimSuffix(text, "\n"), "\n")+1:]
			s := decode(t, last).summary(t)
			if s.Reason != tc.reason || s.ExitCode != 0 || s.Flows.Matched != 1 || s.PID != a.Process.Pid {
				t.Errorf("it ends with %s", last)
			}
			if strings.Contains(text, "\x1b") {
				t.Errorf("a pipe gets %q", text)
			}
		})
	}
}

// TestNoStdout holds that a run does without an output.
func TestNoStdout(t *testing.T) {
	needs(t)
	h := newHost(t)
	url := h.servePage(t, "127.0.0.1:0")
	path, toFile := eventsFile(t)
	p := start(t, h, program(t, "sh", "-c", `exec "$0" "$@" >&-`, faultBinary, "run", "--proxy-address", "127.0.0.1:0",
		"--tail", "--log-stdout", toFile, "--with-latency", "--latency-mean", fmt.Sprint(delay.Milliseconds())))
	proxy := awaitStart(t, path).Listen
	for range 3 { // each of them would write a line
		if took := h.ask(t, proxy, url); took < delay {
			t.Errorf("a request took %v, want %v", took, delay)
		}
	}
	p.signal(t, syscall.SIGTERM)
	p.endsWithin(t, patience, 0)
	if text := p.stderr.String(); text != "" {
		t.Errorf("standard error: %s", text)
	}
	if s := readEvents(t, path).summary(t); s.Flows.Matched != 3 {
		t.Errorf("the summary has %+v", s.Flows)
	}
}
