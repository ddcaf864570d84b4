package e2e

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/internal/processtest"
)

// toDelay are the arguments of a run that is for a command.
func toDelay(upstream string, command ...string) []string {
	return append([]string{"run", "--with-latency", "--latency-mean", "50", "--upstream", upstream, "--proxy-address", "127.0.0.1:0", "--"}, command...)
}

// noCgroup wants the cgroup of a command not to be there.
func noCgroup(t *testing.T, of *process) {
	t.Helper()
	eventually(t, "the cgroup of the command has gone", func() bool {
		found, err := filepath.Glob(filepath.Join(cgroup2(t), fmt.Sprintf("fault-run-%d", of.Process.Pid)))
		return err == nil && len(found) == 0
	})
}

// TestCommand affects a command and its children from their first connect, and
// nobody else; what it writes and ends with is its own.
func TestCommand(t *testing.T) {
	needs(t, "curl")
	const upstreams = "192.0.2.10,2001:db8::10"
	for name, tc := range map[string]struct {
		command []string // a shell's
		flows   int
		code    int
	}{
		"curl":            {[]string{"sh", "-c", "exec " + curlSees, "sh"}, 1, 0},
		"its exit status": {[]string{"sh", "-c", curlSees + "; exit 9", "sh"}, 1, 9},
		"children": {[]string{"sh", "-c", curlSees + "; (" + curlSees + ") & wait; sh -c '" + strings.ReplaceAll(curlSees, "'", `'\''`) +
			`' sh "$1"; exit 4`, "sh"}, 3, 4},
		"in the background": {[]string{"sh", "-c", "(sleep 0.3; " + curlSees + ") & sleep 1; exit 0", "sh"}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCallers(t)
			// Who asks meanwhile is somebody else.
			meanwhile := filepath.Join(sharedDir(t), "meanwhile")
			wait := append([]string{"sh", "-c", `until [ -e "$0" ]; do sleep 0.02; done; exec "$@"`, meanwhile}, append(tc.command, c.addresses[0])...)
			p := start(t, c.h, fault(toDelay(upstreams, wait...)...))
			eventually(t, "it is ready", func() bool { return contains(&p.stderr, "\nready after ") })
			if other := c.curl(); other != "direct" {
				t.Errorf("another curl: %s", other)
			}
			writeFile(t, meanwhile, "")
			p.endsWithin(t, patience, tc.code)
			lines := strings.Split(strings.TrimSpace(p.stdout.String()), "\n")
			if len(lines) != 2*tc.flows {
				t.Fatalf("%d lines, want %d and nothing of fault's:\n%s", len(lines), 2*tc.flows, p.stdout.String())
			}
			for i := 0; i < len(lines); i += 2 {
				if got := seen(t, lines[i]+" "+lines[i+1]); got != "diverted" {
					t.Errorf("connection %d: %s", i/2, got)
				}
			}
			text := p.stderr.String()
			for _, want := range []string{
				"\n  callers     command sh: starts now\n", fmt.Sprintf("(command), exit %d\n", tc.code),
				fmt.Sprintf("\nflows %11d %3d matched, 0 passed through; 0 cut off at the end\n", tc.flows, tc.flows),
			} {
				if !strings.Contains(text, want) {
					t.Errorf("no %q in\n%s", want, text)
				}
			}
			noCgroup(t, p)
		})
	}
}

// TestCommandByDefault takes all connections of a command if nothing else is
// said, and keeps what it inherited: no signal is ignored that was not.
func TestCommandByDefault(t *testing.T) {
	c := newCallers(t)
	const signals = `grep -E '^(SigIgn|SigBlk)' /proc/self/status; `
	before := answer(t, c.h, program(t, "sh", "-c", signals))
	p := start(t, c.h, fault("run", "--with-latency", "--latency-mean", "10", "--", "sh", "-c", signals+curlSees, "sh", c.addresses[1]))
	p.endsWithin(t, patience, 0)
	lines := strings.Split(strings.TrimSpace(p.stdout.String()), "\n")
	if len(lines) != 4 || lines[0]+"\n"+lines[1] != before || seen(t, lines[2]+" "+lines[3]) != "diverted" {
		t.Errorf("%q, want the signals of\n%s", lines, before)
	}
}

// TestCommandEnds is what a run ends with, as a shell would.
func TestCommandEnds(t *testing.T) {
	needs(t)
	h := newHost(t)
	notProgram := writeFile(t, filepath.Join(sharedDir(t), "text"), "no program")
	for name, tc := range map[string]struct {
		command []string
		code    int
		says    string
	}{
		"a signal":      {[]string{"sh", "-c", "kill -9 $$"}, 137, "(command), exit 137\n"},
		"a crash":       {[]string{"sh", "-c", "kill -SEGV $$"}, 139, ""},
		"not there":     {[]string{"fault-is-nowhere"}, 127, "error: cannot run `fault-is-nowhere`: not found in PATH\n"},
		"no such file":  {[]string{"/nowhere/at/all"}, 127, "error: cannot run `/nowhere/at/all`: no such file or directory\n"},
		"not a program": {[]string{notProgram}, 126, "error: cannot run `" + notProgram + "`: permission denied\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, h, fault(toDelay("*", tc.command...)...))
			p.endsWithin(t, patience, tc.code)
			if text := p.stderr.String(); !strings.Contains(text, tc.says) || p.stdout.String() != "" {
				t.Errorf("%s%s", p.stdout.String(), text)
			}
			noCgroup(t, p)
		})
	}
}

// TestCommandSignals forwards signals, and waits for what the command makes of
// them.
func TestCommandSignals(t *testing.T) {
	needs(t)
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGQUIT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			const trap = `trap 'echo got; sleep 0.1; exit 42' TERM INT HUP USR1 QUIT; echo waits; while :; do sleep 0.02; done`
			p := start(t, newHost(t), fault(toDelay("*", "sh", "-c", trap)...))
			p.says(t, "waits\n")
			p.signal(t, signal)
			p.endsWithin(t, patience, 42)
			if got := p.stdout.String(); got != "waits\ngot\n" {
				t.Errorf("%q", got)
			}
		})
	}
}

// TestCommandOutlives is a command that goes on when the run has ended, by its
// duration, and one that leaves a process behind: they go on undisturbed.
func TestCommandOutlives(t *testing.T) {
	t.Run("the duration", func(t *testing.T) {
		t.Parallel()
		c := newCallers(t)
		args := append([]string{"run", "--duration", "300ms"}, toDelay("192.0.2.10", "sh", "-c", "read line; "+curlSees+"; exit 5", "sh", c.addresses[0])[1:]...)
		cmd := fault(args...)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		p := start(t, c.h, cmd)
		eventually(t, "the run has ended", func() bool { return contains(&p.stderr, "(duration), the command goes on\n") })
		fmt.Fprintln(in)
		p.endsWithin(t, patience, 5)
		if got := seen(t, p.stdout.String()); got != "direct" {
			t.Error(got)
		}
		noCgroup(t, p)
	})
	for name, kill := range map[string]bool{"its parent": false, "a run that is killed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			needs(t)
			after := "exit 3"
			if kill {
				after = "wait"
			}
			p := start(t, newHost(t), fault(toDelay("*", "sh", "-c", "sleep 300 </dev/null >/dev/null 2>&1 & echo $!; "+after)...))
			eventually(t, "a pid", func() bool { return strings.Contains(p.stdout.String(), "\n") })
			pid, err := strconv.Atoi(strings.TrimSpace(p.stdout.String()))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
			if kill {
				p.signal(t, syscall.SIGKILL)
				p.endsWithin(t, patience, -1)
			} else {
				p.endsWithin(t, patience, 3)
			}
			noCgroup(t, p)
			if err := syscall.Kill(pid, 0); err != nil {
				t.Errorf("what it left behind: %v", err)
			}
			if own := readFile(t, fmt.Sprintf("/proc/%d/cgroup", pid)); strings.Contains(own, "fault-run") {
				t.Errorf("it is in\n%s", own)
			}
		})
	}
}

// TestCommandAtTerminal is that keys are for the command: Ctrl-C reaches it, once,
// and Ctrl-Z gives the terminal back to the shell until it goes on.
func TestCommandAtTerminal(t *testing.T) {
	needs(t, "bash")
	h := newHost(t)
	terminal, shell := openTerminal(t)
	cmd := program(t, "bash", "--norc", "--noprofile", "-i")
	cmd.Env = append(cmd.Env, "PS1=$ ", "TERM=dumb", "HISTFILE=")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = shell, shell, shell
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	var screen processtest.Output
	start(t, h, cmd)
	shell.Close()
	go func() { _, _ = io.Copy(&screen, terminal) }()
	types := func(text, until string) {
		t.Helper()
		from := len(screen.String())
		if _, err := io.WriteString(terminal, text); err != nil {
			t.Fatal(err)
		}
		if !within(patience, func() bool { return strings.Contains(screen.String()[from:], until) }) {
			t.Fatalf("after %q no %q:\n%s", text, until, screen.String())
		}
	}
	script := writeFile(t, filepath.Join(sharedDir(t), "script"), `
trap 'n=$((n+1)); echo "interrupts: $n"' INT
echo runs; while [ ! -e "$0.end" ]; do sleep 0.05; done; echo "in all: $n"; exit 7
`)
	types(faultBinary+" "+strings.Join(toDelay("192.0.2.99", "sh", script), " ")+"\n", "runs\r\n")
	types("\x03", "interrupts: 1")
	types("\x1a", "Stopped")
	types("echo back $((40+2))\n", "back 42")
	types("fg\n", "fault run")
	types("\x03", "interrupts: 2")
	writeFile(t, script+".end", "")
	types("", "in all: 2")
	types("echo code $?\n", "code 7")
	types(faultBinary+" "+strings.Join(toDelay("192.0.2.99", "sleep", "60"), " ")+"\n", "ready after")
	time.Sleep(100 * time.Millisecond) // it begins behind that line
	types("\x03", "exit 130")
	types("echo code $?\n", "code 130")
	types("exit\n", "exit")
}

// openTerminal gives the two ends of a new terminal.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}
