package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/faultproxy/fault/agent/event"
)

// TestParentGone kills one of the processes that have started a run.
func TestParentGone(t *testing.T) {
	needs(t, "sudo", "timeout", "python3")
	const stay = `"$@"; :` // sh does not become the command
	// The end of sudo may come with a signal.
	gone, orSignal := []string{"parent-gone"}, []string{"parent-gone", "signal"}
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
	needs(t, "sudo", "python3")
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
	detached(t)
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
