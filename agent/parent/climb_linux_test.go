package parent

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// table is processes, as "PID PARENT GROUP NAME", and "hup" of those that
// ignore SIGHUP. Of one that says "hidden" nothing can be seen.
func table(t *testing.T, rows string) func(int) (kin, bool) {
	t.Helper()
	all := make(map[int]kin)
	for row := range strings.SplitSeq(rows, ", ") {
		var pid int
		var k kin
		var note string
		if n, err := fmt.Sscan(row, &pid, &k.parent, &k.group, &k.name, &note); n < 4 {
			t.Fatalf("%q: %v", row, err)
		}
		k.ignoresHangup = note == "hup"
		if note != "hidden" {
			all[pid] = k
		}
	}
	return func(pid int) (kin, bool) {
		k, ok := all[pid]
		return k, ok
	}
}

// TestClimb holds who is watched. We are always 9.
func TestClimb(t *testing.T) {
	for name, tc := range map[string]struct{ processes, watched string }{
		"of a shell":           {"9 5 9 fault, 5 4 5 bash, 4 1 4 sshd", "bash"},
		"of a script":          {"9 5 5 fault, 5 4 5 sh, 4 3 4 bash, 3 1 3 sshd", "sh"},
		"of init":              {"9 1 9 fault", ""},
		"of another namespace": {"9 0 0 fault", ""},
		"of a service":         {"9 5 5 fault, 5 1 5 chaos", "chaos"},
		"of chaos in a shell":  {"9 5 5 fault, 5 4 5 chaos, 4 3 4 bash, 3 1 3 sshd", "chaos"},
		"of chaos by sh and sudo": {
			"9 8 8 fault, 8 7 6 sudo, 7 6 6 sh, 6 4 6 chaos, 4 3 4 bash, 3 1 3 sshd", "sudo sh chaos"},
		"of chaos by sudo with a terminal": {
			"9 8 9 fault, 8 7 8 sudo, 7 6 5 sudo, 6 5 5 sh, 5 4 5 chaos, 4 1 4 bash", "sudo sudo sh chaos"},
		"of sudo": {"9 8 9 fault, 8 7 8 sudo, 7 6 7 sudo, 6 5 6 bash, 5 1 5 sshd", "sudo sudo bash"},
		"of sudo that ignores what it likes": {
			"9 8 9 fault, 8 7 8 sudo hup, 7 6 7 sudo hup, 6 5 6 bash, 5 1 5 sshd", "sudo sudo bash"},
		"of timeout in a shell":   {"9 8 8 fault, 8 7 8 timeout, 7 6 7 bash, 6 1 6 sshd", "timeout bash"},
		"of timeout in a script":  {"9 8 8 fault, 8 7 8 timeout, 7 6 7 sh, 6 5 7 chaos, 5 1 5 bash", "timeout sh chaos"},
		"of timeout, of sudo":     {"9 8 8 fault, 8 7 8 timeout, 7 6 6 sudo, 6 1 6 bash", "timeout sudo bash"},
		"of sudo, of a service":   {"9 8 8 fault, 8 7 8 sudo, 7 1 7 chaos", "sudo chaos"},
		"of sudo, of init":        {"9 8 8 fault, 8 1 8 sudo", "sudo"},
		"in a session of its own": {"9 8 9 fault, 8 7 8 chaos, 7 1 7 bash", "chaos"},

		"nohup":                   {"9 5 9 fault hup, 5 1 5 bash", ""},
		"nohup in a script":       {"9 5 5 fault hup, 5 1 5 sh", ""},
		"nohup sudo":              {"9 8 9 fault hup, 8 7 8 sudo, 7 6 7 sudo, 6 1 6 bash", "sudo sudo"},
		"nohup timeout":           {"9 8 8 fault hup, 8 6 8 timeout hup, 6 1 6 bash", "timeout"},
		"nohup chaos":             {"9 5 5 fault hup, 5 4 5 chaos hup, 4 1 4 bash", "chaos"},
		"nohup chaos in a script": {"9 5 4 fault hup, 5 4 4 chaos hup, 4 1 4 sh", "chaos"},
		"nohup chaos by sudo": {
			"9 8 9 fault hup, 8 7 8 sudo, 7 6 5 sudo, 6 5 5 sh hup, 5 4 5 chaos hup, 4 1 4 bash", "sudo sudo sh chaos"},
		"a shell without hangups":  {"9 5 9 fault hup, 5 1 5 bash hup", ""},
		"a script without hangups": {"9 5 5 fault hup, 5 1 5 sh hup", "sh"},

		"of a user's systemd":    {"9 5 9 fault, 5 1 5 systemd", ""},
		"chaos of such":          {"9 8 8 fault, 8 5 5 chaos, 5 1 5 systemd", "chaos"},
		"of setsid that is here": {"9 8 9 fault, 8 7 8 setsid, 7 1 7 bash", ""},

		"of a hidden one":   {"9 5 9 fault, 5 4 5 su hidden, 4 1 4 bash", "?"},
		"of a hidden one's": {"9 5 5 fault, 5 4 5 sh, 4 3 4 su hidden, 3 1 3 bash", "sh ?"},
		"nohup of a hidden": {"9 5 9 fault hup, 5 4 5 su hidden", "?"},
		"in a circle":       {"9 5 5 fault, 5 4 5 sh, 4 5 5 sh", strings.TrimSpace(strings.Repeat("sh ", highest))},
	} {
		var watched []string
		err := climb(9, table(t, tc.processes), func(p Process) error {
			watched = append(watched, p.Name)
			if p.Name == "" {
				watched[len(watched)-1] = "?"
			}
			return nil
		})
		if got := strings.Join(watched, " "); err != nil || got != tc.watched {
			t.Errorf("%s: %q, %v, want %q", name, got, err, tc.watched)
		}
	}
}

// TestClimbStops holds that who cannot be watched, or has ended, is the last.
func TestClimbStops(t *testing.T) {
	const rows = "9 8 5 fault, 8 7 5 sudo, 7 6 5 sh, 6 1 5 chaos"
	refused := errors.New("refused")
	for _, want := range []error{unix.ESRCH, refused} {
		held := 0
		err := climb(9, table(t, rows), func(p Process) error {
			held++
			if p.Name == "sh" {
				return want
			}
			return nil
		})
		if !errors.Is(err, want) || held != 2 {
			t.Errorf("%v after %d, want %v after 2", err, held, want)
		}
	}
}

// TestClimbRaces holds that a parent is missed which ends before it is watched.
func TestClimbRaces(t *testing.T) {
	const before = "9 8 5 fault, 8 7 5 sudo, 7 6 5 sh, 6 1 5 chaos"
	for name, tc := range map[string]struct {
		after string
		when  string // this one is held
		want  error
	}{
		"our parent":               {"9 1 5 fault, 7 6 5 sh, 6 1 5 chaos", "sudo", unix.ESRCH},
		"one of the others":        {"9 8 5 fault, 8 7 5 sudo, 7 1 5 sh", "chaos", unix.ESRCH},
		"its child, which is held": {"9 1 5 fault, 7 6 5 sh, 6 1 5 chaos", "sh", nil},
	} {
		now := table(t, before)
		err := climb(9, func(pid int) (kin, bool) { return now(pid) }, func(p Process) error {
			if p.Name == tc.when {
				now = table(t, tc.after)
			}
			return nil
		})
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}
