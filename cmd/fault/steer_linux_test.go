package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"go.uber.org/zap"

	"github.com/faultproxy/fault/agent/control"
	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/internal/processtest"
)

// expect runs a command line and compares. Standard error may go on.
func expect(t *testing.T, args string, code int, stdout, stderr string) {
	t.Helper()
	o := try(nil, strings.Fields(args)...)
	if o.code != code || o.stdout != stdout || o.stderr != stderr {
		t.Errorf("%s: exit %d, want %d\nstdout %q\n  want %q\nstderr %q\n  want %q", args, o.code, code, o.stdout, stdout, o.stderr, stderr)
	}
}

func TestNoAgent(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	const none = "error: no agent runs in this network namespace\nhint: in another one `nsenter --net=/run/netns/NAME fault status` looks\n"
	for _, args := range []string{"status", "status --json", "pause", "resume", "stop"} {
		expect(t, args, 1, "", none)
	}
	expect(t, "stop 4711", 1, "", "error: no agent of this network namespace has pid 4711\nhint: `fault status` lists those that run\n")
}

func TestOneAgent(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	cmd := anAgent(t, 0)
	pid := cmd.Process.Pid
	row := func(state string) string {
		return fmt.Sprintf("%d\t72.5\t-\ttransparent\t*,!db\t42\t1204\t0\t1 of 2%s\n", pid, state)
	}
	expect(t, "status", 0, row(""), "")
	expect(t, "pause", 0, fmt.Sprintf("paused fault[%d]: connections pass through unaltered until `fault resume %[1]d`\n", pid), "")
	expect(t, fmt.Sprint("pause ", pid), 0, fmt.Sprintf("fault[%d] is paused already\n", pid), "")
	expect(t, "status", 0, row(", paused"), "")
	expect(t, "resume", 0, fmt.Sprintf("resumed fault[%d]: its faults are on again as scheduled\n", pid), "")
	expect(t, "resume", 0, fmt.Sprintf("fault[%d] is not paused\n", pid), "")
	for _, args := range [][]string{{"pause", ""}, {"resume", ""}, {"stop", ""}} {
		if o := try(nil, append([]string{"__complete"}, args...)...); !strings.HasPrefix(o.stdout, fmt.Sprintf("%d\t*,!db\n:4\n", pid)) {
			t.Errorf("%s is completed with %q", args[0], o.stdout)
		}
	}
	var object statusObject
	o := try(nil, "status", "--json")
	in := json.NewDecoder(strings.NewReader(o.stdout))
	in.DisallowUnknownFields()
	if err := in.Decode(&object); err != nil || object.PID != pid || object.Schema != event.Schema || object.OwnPID != 0 ||
		*object.UID != 0 || object.Version != "1" || object.Matched != 1204 {
		t.Errorf("%s is %+v, %v", o.stdout, object, err)
	}

	processtest.Halt(t, pid)
	expect(t, "status", 0, fmt.Sprintf("%d\t-\t-\t-\t-\t-\t-\t-\t-\n", pid), fmt.Sprintf("warning: fault[%d] did not answer within 2s\n", pid))
	expect(t, "pause", 1, "", fmt.Sprintf("error: fault[%d] did not answer within 2s\nhint: if it is stopped, `kill -CONT %[1]d` lets it go on\n", pid))
	if err := cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	expect(t, "stop", 0, fmt.Sprintf("fault[%d] has ended\n", pid), "")
	expect(t, fmt.Sprint("stop ", pid), 1, "", fmt.Sprintf("error: no agent of this network namespace has pid %d\nhint: `fault status` lists those that run\n", pid))
}

func TestSeveralAgents(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	const user = 65533
	roots, users := anAgent(t, 0).Process.Pid, anAgent(t, user).Process.Pid
	both := []int{roots, users}
	slices.Sort(both)
	for _, name := range []string{"pause", "resume", "stop"} {
		expect(t, name, 1, "", fmt.Sprintf("error: 2 agents run here: fault[%d], fault[%d]\nhint: say which, as `fault %s %d`; `fault status` tells them apart\n",
			both[0], both[1], name, both[0]))
	}
	expect(t, fmt.Sprint("resume ", users), 0, fmt.Sprintf("fault[%d] is not paused\n", users), "")

	// A user sees both, and has one.
	for args, want := range map[string]string{
		"pause":                      fmt.Sprintf("paused fault[%d]: connections pass through unaltered until `fault resume %[1]d`\n", users),
		fmt.Sprint("resume ", roots): fmt.Sprintf("error: fault[%d] answers only root\nhint: use `sudo fault resume %[1]d`\n", roots),
	} {
		if out, _ := role(t, user, args).CombinedOutput(); string(out) != want {
			t.Errorf("%s of a user: %q, want %q", args, out, want)
		}
	}
	out, err := role(t, user, "status").CombinedOutput()
	lines := strings.SplitAfter(string(out), "\n")
	slices.Sort(lines)
	want := []string{"",
		fmt.Sprintf("%d\t-\t-\t-\t-\t-\t-\t-\t-\n", roots),
		fmt.Sprintf("%d\t72.5\t-\ttransparent\t*,!db\t42\t1204\t0\t1 of 2, paused\n", users)}
	slices.Sort(want)
	if err != nil || !slices.Equal(lines, want) {
		t.Errorf("status of a user: %v, %q, want %q", err, lines, want)
	}
}

// TestStatusOnATerminal is a table as wide as that.
func TestStatusOnATerminal(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	pid := anAgent(t, 0).Process.Pid
	screen, terminal, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer screen.Close()
	if err := pty.Setsize(terminal, &pty.Winsize{Rows: 24, Cols: 50}); err != nil {
		t.Fatal(err)
	}
	if code := run(t.Context(), environment{stdout: terminal, stderr: io.Discard, getenv: func(string) string { return "" }}, []string{"status"}); code != 0 {
		t.Errorf("exit %d", code)
	}
	terminal.Close()
	var shown bytes.Buffer
	_, _ = io.Copy(&shown, screen) // which ends in EIO
	width := max(len("PID"), len(strconv.Itoa(pid)))
	want := fmt.Sprintf("%*s  UPSTREAMS  OPEN  MATCHED  ERRORS  FAULTS ON\r\n%*d  *,!db        42    1,204       0  1 of 2\r\n", width, "PID", width, pid)
	if shown.String() != want {
		t.Errorf("it shows\n%swant\n%s", shown.String(), want)
	}
}

// TestStopThatTakesLong gives up, and says what may help.
func TestStopThatTakesLong(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	leave, err := control.Serve(os.Getpid(), &steered{ended: make(chan struct{})}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer leave()
	peers, err := control.Agents(t.Context())
	if err != nil || len(peers) != 1 {
		t.Fatal(peers, err)
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	late := hostError{fmt.Sprintf("fault[%d] has not ended within 10s", os.Getpid()), fmt.Sprintf("`fault stop %d` again ends its last flows at once", os.Getpid())}
	if _, err = awaitEnd(short, peers[0]); !isHostError(err, late) {
		t.Errorf("it ends with %v, want %v", err, late)
	}
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = awaitEnd(interrupted, peers[0]); !isHostError(err, hostError{fmt.Sprintf("interrupted; fault[%d] is ending", os.Getpid()), ""}) {
		t.Errorf("interrupted it ends with %v", err)
	}
	if err := unanswered(newPause(environment{}), peers[0], interrupted.Err()); err != errInterrupted {
		t.Errorf("interrupted before it ends with %v", err)
	}
}

func isHostError(err error, want hostError) bool {
	h, ok := err.(*hostError)
	return ok && *h == want
}
