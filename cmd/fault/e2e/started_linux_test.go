package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// soon is how long a run may go on whose starter has ended, with no flows.
const soon = 2 * time.Second

// chaos is a program that runs a command as the Chaos Toolkit does.
const chaos = `import subprocess, sys; subprocess.run(sys.argv[1:])`

// started is a run that others have started. It is not our child.
type started struct {
	host  *host
	pid   int
	path  string // of its events
	proxy string
}

// startsBy has a command start `fault run`, which ends with the test. The
// command is followed by the words of that.
func (h *host) startsBy(t *testing.T, cmd *exec.Cmd, flags ...string) (*started, *process) {
	t.Helper()
	path, toFile := eventsFile(t)
	cmd.Args = append(cmd.Args, faultBinary, "run", "--proxy-address", "127.0.0.1:0", toFile,
		"--with-latency", "--latency-mean", fmt.Sprint(delay.Milliseconds()))
	cmd.Args = append(cmd.Args, flags...)
	p := start(t, h, cmd)
	begun := awaitStart(t, path)
	t.Cleanup(func() { _ = syscall.Kill(begun.PID, syscall.SIGKILL) })
	return &started{h, begun.PID, path, begun.Listen}, p
}

// ancestor is the farthest one of a name, in a row of those of this name.
func ancestor(t *testing.T, pid int, name string) int {
	t.Helper()
	last := 0
	for pid > 1 {
		text := readFile(t, fmt.Sprintf("/proc/%d/status", pid))
		pid = number(t, found(t, text, `(?m)^PPid:\s+(\d+)$`)[1])
		comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		switch {
		case strings.TrimSpace(string(comm)) == name:
			last = pid
		case last != 0:
			return last
		}
	}
	t.Fatalf("no %s has started it", name)
	return 0
}

// hasEnded says whether a process has, waited for or not.
func hasEnded(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(text), ") Z ")
}

// kill ends a process the hard way.
func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of what is killed", func() bool { return hasEnded(pid) })
}

// endsSoon wants a run to end by itself.
func (s *started) endsSoon(t *testing.T, reasons ...string) {
	t.Helper()
	if !within(soon, func() bool { return hasEnded(s.pid) }) {
		t.Fatalf("it goes on after %v", soon)
	}
	sum := readEvents(t, s.path).summary(t)
	if !slices.Contains(reasons, sum.Reason) || sum.ExitCode != 0 {
		t.Errorf("it ended by %s with %d, want %s and 0", sum.Reason, sum.ExitCode, reasons)
	}
}

// stays wants a run to go on, until it is told to end.
func (s *started) stays(t *testing.T) {
	t.Helper()
	page := s.host.servePage(t, "127.0.0.1:0")
	for range 2 {
		if took := s.host.ask(t, s.proxy, page); took < delay {
			t.Errorf("a request took %v, want %v", took, delay)
		}
	}
	if err := syscall.Kill(s.pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.endsSoon(t, "signal")
}
