package e2e

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHangup closes terminals. That ends a run, unless it ignores SIGHUP: the
// terminal tells what is in its foreground, and the rest is watching its shell.
func TestHangup(t *testing.T) {
	for name, tc := range map[string]struct {
		command string
		goesOn  bool
		reason  string
	}{
		"view":                {"fault run", false, "signal or parent-gone"},
		"lines":               {"fault run --tail", false, "signal or parent-gone"},
		"background":          {"fault run &", false, "parent-gone"},
		"view, ignored":       {"trap '' HUP; fault run", true, "signal"},
		"nohup":               {"nohup fault run", true, "signal"},
		"nohup, background":   {"nohup fault run &", true, "signal"},
		"background, ignored": {"trap '' HUP; fault run &", true, "signal"},
		"background, --stay":  {"fault run --stay &", true, "signal"},
		"a script's":          {"sh -c 'fault run; :' &", true, "signal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShown(t, 100, 30, tc.command)
			if strings.HasPrefix(name, "view") {
				s.until("0 ended")
			}
			s.tmux("kill-window")
			if tc.goesOn {
				url := s.host.servePage(t, "127.0.0.1:0")
				for range 2 {
					s.delayed(url, true)
				}
				if n := len(s.told().summaries); n != 0 {
					t.Error("it has ended")
				}
				s.signal(syscall.SIGTERM)
			}
			s.tells(t, tc.reason, "on start", "off end")
			eventually(t, "the end of the process", func() bool { return errors.Is(syscall.Kill(s.pid, 0), syscall.ESRCH) })
		})
	}
}

// TestUnreadTerminal holds that a run ends although its terminal takes nothing
// any more, and leaves that as it was.
func TestUnreadTerminal(t *testing.T) {
	s := newShown(t, 100, 30, `stty -a >before; fault run 2>errors; echo "code $?" >code; stty -a >after`)
	s.until("0 ended")
	device := strings.TrimSpace(s.tmux("display-message", "-p", "#{pane_tty}"))
	s.server.signal(t, syscall.SIGSTOP)
	fill(t, device)
	s.delayed(s.host.servePage(t, "127.0.0.1:0"), true)
	s.signal(syscall.SIGTERM)
	s.tells(t, "signal", "on start", "off end")
	eventually(t, "the end", func() bool {
		_, err := os.Stat(s.dir + "/after")
		return err == nil && s.file("after") != ""
	})
	if code := s.file("code"); code != "code 0\n" {
		t.Errorf("it ended with %s", code)
	}
	if before, after := s.file("before"), s.file("after"); before != after {
		t.Errorf("the terminal is\n%swas\n%s", after, before)
	}
}

// fill writes to a terminal that nobody reads as much as it takes.
func fill(t *testing.T, device string) {
	t.Helper()
	fd, err := unix.Open(device, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for err == nil {
		_, err = unix.Write(fd, []byte{'x'})
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Fatal(err)
	}
}
