package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
)

// stops are the signals by which terminals stop programs.
var stops = []syscall.Signal{syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU}

// TestBackground holds that a run which a shell has started with & has lines
// instead of the view, and is never stopped: not by the terminal, not by a
// signal, and not when it comes to the foreground.
func TestBackground(t *testing.T) {
	t.Parallel()
	s := newShown(t, 100, 30, "fault run 2>errors &")
	s.until("latency on")
	url := s.host.servePage(t, "127.0.0.1:0")
	goesOn := func() {
		t.Helper()
		s.delayed(url, true)
		if state := found(t, readFile(t, fmt.Sprintf("/proc/%d/status", s.pid)), `(?m)^State:\s+(\w)`)[1]; state == "T" {
			t.Error("it is stopped")
		}
	}
	goesOn()
	s.enter(`echo "code $?"`) // the terminal is still the shell's
	s.until("code 0")
	s.signal(stops...)
	goesOn()
	s.enter("fg")
	s.until("\nfault run")
	s.press("C-z")
	goesOn()
	s.press("C-c")
	s.until("fault ended after ")
	s.enter(`echo "exited $?"`)
	s.until("exited 0")
	if text := s.file("errors"); text != "" {
		t.Errorf("standard error: %s", text)
	}
	if strings.Contains(s.written(), "\x1b[?1049h") {
		t.Error("there was a view")
	}
	s.tells(t, "signal", "on start", "off end")
}

// TestStopSignals holds that a view and its connections go on when it is told
// to stop.
func TestStopSignals(t *testing.T) {
	t.Parallel()
	s := newShown(t, 100, 30, `fault run 2>errors; echo "code $?"`)
	s.until("0 ended")
	s.signal(stops...)
	s.delayed(s.host.servePage(t, "127.0.0.1:0"), true)
	s.until("1 ended")
	s.press("q")
	s.until("code 0")
	if text := s.file("errors"); text != "" {
		t.Errorf("standard error: %s", text)
	}
}
