package view

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
)

// TestOnTerminal holds what stays on a real terminal: what was written before
// and after the view, whatever happened to it.
func TestOnTerminal(t *testing.T) {
	s := start(t, "read", true)
	s.draws("IPv4 and IPv6")
	for i := range 20 {
		s.drawn.Reset()
		columns := 40 + (i*37)%140
		s.resize(uint16(columns), uint16(10+(i*13)%40))
		s.draws("running 1:")
		if wide := columns >= 100; wide {
			s.draws("IPv4 and IPv6")
		}
	}
	if i := strings.Index(s.drawn.String(), "\x1b[?1049l"); i >= 0 {
		t.Error("left the alternate screen while the view is shown")
	}
	s.drawn.Reset()
	s.resize(80, 24)
	s.draws("running 1:")
	s.types("\x1a")
	s.draws("Ctrl-Z does nothing here")
	s.types("?")
	s.draws("ready after 84 ms")
	s.types("x")
	s.types("q")
	s.draws("ending: 42 flows drain")
	s.types("q")
	s.ends()
	s.draws("summary")
	_, after, _ := strings.Cut(s.drawn.String(), "\x1b[?1049l")
	if got, want := ansi.Strip(after), "summary\r\nwarning: "+refusedStop+"\r\n"; got != want {
		t.Errorf("after the view there is %q, want %q", got, want)
	}
}

// TestStops holds that no signal of the terminal stops the program, and that it
// is there for its keys afterwards.
func TestStops(t *testing.T) {
	s := start(t, "shell", true)
	s.draws("IPv4 and IPv6")
	s.says("job ")
	_, text, _ := strings.Cut(s.said.String(), "job ")
	var pid int
	if _, err := fmt.Sscan(text, &pid); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	for _, stop := range []syscall.Signal{syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU} {
		if err := syscall.Kill(pid, stop); err != nil {
			t.Fatal(err)
		}
	}
	s.drawn.Reset()
	s.types("q")
	s.draws("ending: 42 flows drain")
	s.types("q")
	s.ends()
}

// TestUsesLittle holds which modes of a terminal are never touched, and that
// the alternate screen is left once.
func TestUsesLittle(t *testing.T) {
	s := start(t, "read", true)
	s.draws("IPv4 and IPv6")
	s.signal(syscall.SIGTERM)
	s.ends()
	s.draws("summary")
	all := s.drawn.String()
	before, view, _ := strings.Cut(all, "\x1b[?1049h")
	if got := ansi.Strip(before); got != "start page\r\n" {
		t.Errorf("before the view there is %q", got)
	}
	if n := strings.Count(view, "\x1b[?1049l"); n != 1 {
		t.Errorf("left the alternate screen %d times", n)
	}
	for what, sequence := range map[string]string{
		"mouse": "\x1b[?100", "paste": "\x1b[?2004h", "title": "\x1b]2;", "title and icon": "\x1b]0;", "colours": "\x1b]1",
		"progress": "\x1b]9;", "true colour": "38;2;", "256 colours": "38;5;",
	} {
		if strings.Contains(all, sequence) {
			t.Errorf("%s: %q in %q", what, sequence, all)
		}
	}
	if !strings.Contains(all, "\x1b[?25h") {
		t.Error("the cursor stays hidden")
	}
}

// TestStillFrame holds that a frame which is equal to the last is not written.
func TestStillFrame(t *testing.T) {
	s := start(t, "still", true)
	s.draws("IPv4 and IPv6")
	s.draws("? help")
	looks := func() int { return strings.Count(s.said.String(), "look ") }
	more := func(n int) {
		before := looks()
		s.until("look", func() bool { return looks() >= before+n })
	}
	more(3) // by which the first frame has been read to its end
	s.drawn.Reset()
	more(6)
	if drawn := s.drawn.String(); drawn != "" {
		t.Errorf("wrote %q, and nothing has changed", drawn)
	}
	s.signal(syscall.SIGTERM)
	s.ends()
}

// TestUnreadTerminal holds that a terminal which nobody reads is left, and is
// as it was.
func TestUnreadTerminal(t *testing.T) {
	s := start(t, "quiet", false)
	s.says("stuck") // it looks no more, as it waits for the terminal
	s.signal(syscall.SIGTERM)
	s.says("hidden after")
	s.ends()
	_, text, _ := strings.Cut(s.said.String(), "hidden after ")
	took, err := time.ParseDuration(strings.TrimSpace(text))
	if limit := farewell + lastWrite; err != nil || took < limit || took > 10*limit {
		t.Errorf("left a terminal that takes nothing after %v (%v), want %v", took, err, limit)
	}
}

// TestHangup holds that a terminal which goes away ends the view and not the
// run.
func TestHangup(t *testing.T) {
	s := start(t, "quiet", true)
	s.draws("IPv4 and IPv6")
	s.terminal.Close()
	s.says("view ended")
	s.signal(syscall.SIGTERM)
	s.says("hidden after")
	select {
	case err := <-s.exited:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}

// TestLentTerminal holds that nothing breaks while the terminal belongs to
// another process group, and that the view is drawn again afterwards.
func TestLentTerminal(t *testing.T) {
	s := start(t, "read", true)
	s.draws("IPv4 and IPv6")
	s.signal(syscall.SIGUSR1)
	s.says("lent")
	s.types("for the other\n")
	// Now the view reads in vain, twice at least.
	time.Sleep(3 * tick)
	s.drawn.Reset()
	s.signal(syscall.SIGUSR2)
	s.says("back")
	s.draws("IPv4 and IPv6")
	if strings.Contains(s.said.String(), "view ended") {
		t.Error("the view has ended")
	}
	s.signal(syscall.SIGTERM)
	s.ends()
}

// TestNotUsable holds where there is no view: without TERM, on a dumb
// terminal, off our terminal, and in the background.
func TestNotUsable(t *testing.T) {
	ours, theirs, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer theirs.Close()
	if Usable(theirs, theirs, "xterm") {
		t.Error("a terminal is usable that does not control us")
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if Usable(null, null, "xterm") {
		t.Error("usable without a terminal")
	}
	for _, tc := range []struct{ mode, term string }{{"read", ""}, {"read", "dumb"}, {"background shell", "xterm"}} {
		s := start(t, tc.mode, true, "TERM="+tc.term)
		s.says("not usable")
		select {
		case <-s.exited:
		case <-time.After(patience):
			t.Errorf("%s with TERM=%s does not end", tc.mode, tc.term)
		}
	}
}
