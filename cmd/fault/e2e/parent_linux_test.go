package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/faultproxy/fault/agent/event"
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

// TestParentGone kills one of the processes that have started a run.
func TestParentGone(t *testing.T) {
	needs(t, "sudo", "timeout", "python3")
	const stay = `"$@"; :` // sh does not become the command
	gone, orSignal := []string{"parent-gone"}, []string{"parent-gone", "signal"} // sudo may send one
	for name, tc := range map[string]struct {
		cmd     *exec.Cmd
		victim  string
		reasons []string
	}{
		"a shell":   {program(t, "sh", "-c", stay, "sh"), "sh", gone},
		"chaos":     {program(t, "python3", "-c", chaos), "python3", gone},
		"sudo":      {program(t, "python3", "-c", chaos, "sudo", "-n"), "sudo", orSignal},
		"timeout":   {program(t, "python3", "-c", chaos, "timeout", "60"), "timeout", gone},
		"a session": {program(t, "python3", "-c", chaos, "setsid"), "python3", gone},

		"chaos, by a shell": {program(t, "python3", "-c", chaos, "sh", "-c", stay, "sh"), "python3", gone},
		"chaos, by sudo":    {program(t, "python3", "-c", chaos, "sudo", "-n"), "python3", gone},
		"chaos, by timeout": {program(t, "python3", "-c", chaos, "timeout", "60"), "python3", gone},
		"chaos, by a shell and sudo": {
			program(t, "python3", "-c", chaos, "sh", "-c", "sudo -n "+stay, "sh"), "python3", gone},
		"a shell, by sudo and timeout": {
			program(t, "python3", "-c", chaos, "sh", "-c", "sudo -n timeout 60 "+stay, "sh"), "sh", gone},
		"chaos with nohup": {program(t, "nohup", "python3", "-c", chaos, "sh", "-c", "sudo -n "+stay, "sh"), "python3", gone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := newHost(t).startsBy(t, tc.cmd)
			kill(t, ancestor(t, s.pid, tc.victim))
			s.endsSoon(t, tc.reasons...)
		})
	}
}

// TestParentGoneStays holds that a run which was told to stay does.
func TestParentGoneStays(t *testing.T) {
	needs(t, "sudo")
	const stay = `"$@"; :`
	environment := func(cmd *exec.Cmd, variable string) *exec.Cmd {
		cmd.Env = append(cmd.Env, variable)
		return cmd
	}
	for name, tc := range map[string]struct {
		cmd   *exec.Cmd
		flags []string
	}{
		"--stay":       {program(t, "sh", "-c", stay, "sh"), []string{"--stay"}},
		"FAULT_STAY":   {environment(program(t, "sh", "-c", stay, "sh"), "FAULT_STAY=1"), nil},
		"nohup":        {program(t, "sh", "-c", "nohup "+stay, "sh"), nil},
		"nohup sudo":   {program(t, "sh", "-c", "nohup sudo -n "+stay, "sh"), nil},
		"sudo, --stay": {program(t, "sh", "-c", "sudo -n "+stay, "sh"), []string{"--stay"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, p := newHost(t).startsBy(t, tc.cmd, tc.flags...)
			kill(t, p.Process.Pid)
			s.stays(t)
		})
	}
}

// TestParentGoneCleans holds that nothing remains of interception, and that
// connections go direct, when a scheduler was killed far above the run.
func TestParentGoneCleans(t *testing.T) {
	needs(t, "sudo", "python3", "bpftool")
	server := newServer(t)
	echo := visitor{network: "tcp", address: server.serveEcho(t, "192.0.2.10:0")}
	client := newClient(t, server)
	cgroup := client.isolate(t)
	s, p := client.startsBy(t, program(t, "python3", "-c", chaos, "sh", "-c", `sudo -n "$@"; :`, "sh"), "--cgroup", cgroup, "--upstream", "*")
	if echo.visit(t, client).direct {
		t.Error("nothing is intercepted")
	}
	kill(t, p.Process.Pid)
	s.endsSoon(t, "parent-gone")
	if attached := attached(t, cgroup); strings.Contains(attached, "fault_") {
		t.Errorf("still attached:\n%s", attached)
	}
	if !echo.visit(t, client).direct {
		t.Error("connections do not go direct")
	}
}

// TestParentGoneWhileStarting kills a shell whose run asks for a name.
func TestParentGoneWhileStarting(t *testing.T) {
	needs(t)
	h := newHost(t)
	asked := h.swallowUDP(t, "127.0.0.1:53")
	p := start(t, h, program(t, "unshare", "--mount", "sh", "-c",
		`mount --bind "$1" /etc/resolv.conf; "$0" run --upstream nobody-knows.invalid & echo "pid $!"; wait`,
		faultBinary, writeFile(t, filepath.Join(sharedDir(t), "resolv.conf"), "nameserver 127.0.0.1\n")))
	p.says(t, "pid ")
	select {
	case <-asked:
	case <-time.After(patience):
		t.Fatalf("nobody is asked:\n%s", tail(&p.stderr))
	}
	pid := number(t, found(t, p.stdout.String(), `pid (\d+)`)[1])
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	kill(t, p.Process.Pid)
	if !within(soon, func() bool { return hasEnded(pid) }) {
		t.Error("it goes on")
	}
	if text := p.stderr.String(); text != "" {
		t.Errorf("standard error: %s", text)
	}
}

// TestParentOfDemo kills the shell of a demo, which may have been told to stay.
func TestParentOfDemo(t *testing.T) {
	needs(t, "curl")
	for flag, stays := range map[string]bool{"--stay=false": false, "--stay": true} {
		t.Run(flag, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			p := start(t, h, program(t, "sh", "-c", `"$@" & echo "pid $!"; wait`, "sh", faultBinary, "demo", "run", flag))
			p.says(t, "demo on ")
			pid := number(t, found(t, p.stdout.String(), `pid (\d+)`)[1])
			t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
			kill(t, p.Process.Pid)
			if !stays {
				if !within(soon, func() bool { return hasEnded(pid) }) {
					t.Error("it goes on")
				}
				return
			}
			for range 2 {
				answer(t, h, program(t, "curl", "-sS", "http://127.0.0.1:7070/"))
			}
			if hasEnded(pid) {
				t.Error("it has ended")
			}
		})
	}
}

// TestStartedBy holds that a run says with whom it ends.
func TestStartedBy(t *testing.T) {
	needs(t, "sudo", "python3")
	s, p := newHost(t).startsBy(t, program(t, "setsid", "python3", "-c", chaos, "sh", "-c", `sudo -n "$@"; :`, "sh"))
	want := event.Starter{PID: p.Process.Pid, Name: "python3"}
	if by := readEvents(t, s.path).starts[0].StartedBy; by == nil || *by != want {
		t.Errorf("started by %+v, want %+v", by, want)
	}
	if want := fmt.Sprintf("SIGHUP, or with python3 (pid %d)\n", want.PID); !strings.Contains(p.stdout.String(), want) {
		t.Errorf("no %q in\n%s", want, p.stdout.String())
	}
	kill(t, p.Process.Pid)
	s.endsSoon(t, "parent-gone")
	eventually(t, "it says why", func() bool { return contains(&p.stdout, " (parent gone), exit 0\n") })
}
