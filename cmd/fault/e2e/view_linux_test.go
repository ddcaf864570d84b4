package e2e

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// windows are sizes with a layout of their own, and what only that shows.
var windows = []struct {
	columns, rows int
	head, keys    string
}{
	{100, 30, " fault  running 0:", "\n q end   p pause faults   tab next fault   ? help"},
	{80, 24, " fault  running 0:", "\n q end  p pause faults  tab next fault  ? help"},
	{40, 14, " fault running 0:", "\n q end  p pause  ? help"},
	{30, 5, "fault 0:", ""},
}

// onTerminal is what is on the terminal after a run, with # for numbers and one
// blank for many.
const onTerminal = `$ stty -a >before; fault run #>errors; echo "code $?"; stty -a >after
fault # pid # seed #

 intercepts nothing
 upstreams none: only what clients send to the proxy
 faults latency normal, mean #, stddev # ms; to client, once a flow
 jitter up to # ms, at most # times a second; to client
 expect latency p# #, p# #, p# # ms
 proxy http://# for clients that ask for it
 try curl -x http://# http://example.com/
 ends after #, or with q or Ctrl-C

ready after # ms

fault ended after # (key), exit #

 n mean p# p# p# max ms
latency asked - # # # # -
 injected # # # # # # to client
 late # # # # # #
jitter asked - # # # # #
 injected # # # # # # to client
 late # # # # # #

flows # # matched, # passed through; # cut off at the end
errors #
replay fault run --proxy-address # --with-latency --latency-mean # --with-jitter --jitter-amplitude # --duration #m --seed #
code #
$ echo typed
typed
$`

// numberless replaces the numbers of a text, and what aligns them.
func numberless(text string) string {
	text = regexp.MustCompile(`\d([\d.,:]*\d)?`).ReplaceAllString(text, "#")
	return regexp.MustCompile(` +`).ReplaceAllString(text, " ")
}

// TestTranscript holds that the view leaves nothing behind, however often the
// window changes meanwhile: no frame, no mode of the terminal, no key for the
// shell.
func TestTranscript(t *testing.T) {
	t.Parallel()
	s := newShown(t, 100, 30, `stty -a >before; fault run 2>errors; echo "code $?"; stty -a >after`)
	s.until("0 ended")
	s.delayed(s.host.servePage(t, "127.0.0.1:0"), true)
	s.until("1 ended")
	for i := range 5 {
		for _, w := range windows {
			columns, rows := w.columns+i, w.rows+i
			s.resize(columns, rows)
			s.untilScreen(fmt.Sprintf("a frame of %d columns and %d rows", columns, rows), func(screen string) bool {
				return strings.HasPrefix(screen, w.head) && strings.Count(screen, w.head) == 1 && strings.Contains(screen, w.keys)
			})
		}
	}
	s.resize(100, 30)
	s.until(windows[0].keys)
	s.press("q", "x", "y")
	s.until("\ncode 0\n$\n") // the prompt
	s.enter("echo typed")    // nothing but this
	s.until("\ntyped\n$\n")
	if got := numberless(s.transcript()); got != onTerminal {
		t.Errorf("the terminal has\n%s\nwant\n%s", got, onTerminal)
	}
	if before, after := s.file("before"), s.file("after"); before != after {
		t.Errorf("the terminal is\n%swas\n%s", after, before)
	}
	if text := s.file("errors"); text != "" {
		t.Errorf("standard error: %s", text)
	}
}

// TestKeys presses each, and looks at what that does to the run.
func TestKeys(t *testing.T) {
	s := newShown(t, 100, 30, `fault run 2>errors; echo "code $?"`)
	url := s.host.servePage(t, "127.0.0.1:0")
	s.until(" q end   p pause faults ")

	s.press("p")
	s.until(" fault  paused 0:0")
	s.until(" p resume faults ")
	s.delayed(url, false)
	s.press("p")
	s.until(" fault  running 0:0")
	s.delayed(url, true)

	s.until("latency     asked ")
	s.press("Tab")
	s.until("jitter      asked ")
	s.press("Tab")
	s.until("latency     asked ")

	s.press("?")
	s.until("ready after ") // of the start page
	s.press("x")
	s.until("latency     asked ")

	s.press("C-z")
	s.until(refusedStop)
	s.press("C-l")
	s.delayed(url, true) // nothing was stopped
	s.until("3 ended")
	s.press("C-c")
	s.until("code 0")
	if text := s.file("errors"); text != "warning: "+refusedStop+"\n" {
		t.Errorf("standard error: %s", text)
	}
	if text := s.transcript(); !regexp.MustCompile(`(?m)^paused once, 0:0\d(\.\d)?: this run differs from its replay$`).MatchString(text) {
		t.Errorf("nothing of the pause in\n%s", text)
	}
	s.tells(t, "key", "on start", "off pause", "on resume", "off end")
}

// refusedStop is what Ctrl-Z is told.
const refusedStop = "stopping would freeze the connections that are open: Ctrl-Z does nothing here"

// tells holds how a run ended, by one reason or another, and when its faults went on and off.
func (s *shown) tells(t *testing.T, reason string, changes ...string) {
	t.Helper()
	told := s.ended()
	if sum := told.summary(t); !slices.Contains(strings.Split(reason, " or "), sum.Reason) || sum.ExitCode != 0 {
		t.Errorf("it ended by %s with %d, want %s and 0", sum.Reason, sum.ExitCode, reason)
	}
	for _, id := range []string{"latency", "jitter"} {
		var got []string
		for _, c := range told.changes {
			if c.ID == id {
				got = append(got, c.State+" "+c.Cause)
			}
		}
		if !slices.Equal(got, changes) {
			t.Errorf("%s went %q, want %q", id, got, changes)
		}
	}
}
