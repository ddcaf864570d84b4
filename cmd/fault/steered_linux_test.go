package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/faultproxy/fault/agent/control"
	"github.com/faultproxy/fault/internal/processtest"
	"github.com/faultproxy/fault/internal/requires"
)

// roleVariable says what this test binary is, if not a test.
const roleVariable = "FAULT_TEST_ROLE"

// TestRole is no test: it is this binary as another process.
func TestRole(t *testing.T) {
	switch role := os.Getenv(roleVariable); role {
	case "":
		// Only other tests mean something by it.
	case "agent":
		steeredProcess()
	default:
		os.Exit(run(context.Background(), environment{stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv}, strings.Fields(role)))
	}
}

// steered is an agent that ends its process when it is told to.
type steered struct {
	mu     sync.Mutex
	status control.Status
	ended  chan struct{}
}

func (s *steered) Status() control.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

func (s *steered) Pause() bool  { return s.set(&s.status.Paused, true) }
func (s *steered) Resume() bool { return s.set(&s.status.Paused, false) }

func (s *steered) Stop() {
	if s.set(&s.status.Ending, true) {
		close(s.ended)
	}
}

func (s *steered) set(state *bool, to bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := *state != to
	*state = to
	return changed
}

// steeredProcess is this process as an agent, which says when it is ready. It
// ends a moment after it is told to, or with its standard input.
func steeredProcess() {
	agent := &steered{ended: make(chan struct{}), status: control.Status{
		PID: os.Getpid(), Version: "1", UpS: 72.5, Mode: "transparent", Upstreams: []string{"*", "!db"}, Open: 42, Matched: 1204,
		Faults: []control.Fault{{ID: "latency", On: true}, {ID: "jitter"}},
	}}
	stop, err := control.Serve(os.Getpid(), agent, zap.NewNop())
	fmt.Println("ready", err)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	<-agent.ended
	time.Sleep(100 * time.Millisecond)
	stop()
	os.Exit(0)
}

// role is this test binary as something else, as a user.
func role(t *testing.T, uid uint32, role string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestRole$")
	cmd.Env = []string{roleVariable + "=" + role}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	return cmd
}

// anAgent is a process that is one.
func anAgent(t *testing.T, uid uint32) *exec.Cmd {
	t.Helper()
	cmd := role(t, uid, "agent")
	if line := processtest.UntilStdinEnds(t, cmd); line != "ready <nil>\n" {
		t.Fatalf("an agent says %q", line)
	}
	return cmd
}

// inNamespace says whether the test is in a network namespace of its own, where
// no agent runs that it has not started. If not, it is run there.
func inNamespace(t *testing.T) bool {
	t.Helper()
	const variable = "FAULT_TEST_NAMESPACE"
	if os.Getenv(variable) != "" {
		return true
	}
	requires.Root(t)
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), variable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Cloneflags: syscall.CLONE_NEWNET}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in a network namespace of its own: %v\n%s", err, out)
	}
	return false
}
