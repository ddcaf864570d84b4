package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/faultproxy/fault/internal/processtest"
)

// process is a program that a test has started and will end.
type process struct {
	*exec.Cmd
	stdout, stderr processtest.Output
	ended          chan struct{} // closed when it has
}

// start starts a program, in the host's namespace and cgroup if there is one.
// It lives no longer than the test.
func start(t testing.TB, h *host, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{Cmd: cmd, ended: make(chan struct{})}
	if cmd.Stdout == nil {
		cmd.Stdout = &p.stdout
	}
	if cmd.Stderr == nil {
		cmd.Stderr = &p.stderr
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	// Even if the tests end by a panic nothing of theirs must go on.
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	// What a program leaves behind may hold our end of its pipes.
	cmd.WaitDelay = time.Second
	if err := h.start(cmd); err != nil {
		t.Fatalf("start %s: %v", cmd.Path, err)
	}
	go func() {
		_ = cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		done := !p.running() && cmd.ProcessState.Success()
		_ = cmd.Process.Kill()
		p.await(t)
		if t.Failed() && !done {
			t.Logf("%s\n%s%s", strings.Join(cmd.Args, " "), tail(&p.stdout), tail(&p.stderr))
		}
	})
	return p
}

// tail is the end of a long output.
func tail(o *processtest.Output) string {
	const most = 4000
	text := o.String()
	if len(text) > most {
		text = "…" + text[len(text)-most:]
	}
	return text
}

// await waits for the end of a process and returns its exit code, -1 if a
// signal ended it.
func (p *process) await(t testing.TB) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatalf("%s does not end", p.Path)
	}
	return p.ProcessState.ExitCode()
}

// running says whether a process has not ended.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// signal sends a signal to a process that runs.
func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatalf("send %v to %s: %v\n%s", s, p.Path, err, tail(&p.stderr))
	}
}

// contains says whether an output has a text in it by now.
func contains(o *processtest.Output, text string) bool { return strings.Contains(o.String(), text) }

// says waits until a process has written something to its standard output.
func (p *process) says(t testing.TB, text string) {
	t.Helper()
	said := within(patience, func() bool { return strings.Contains(p.stdout.String(), text) || !p.running() })
	if !said || !strings.Contains(p.stdout.String(), text) {
		t.Fatalf("%s did not say %q:\n%s%s", p.Path, text, p.stdout.String(), p.stderr.String())
	}
}

// finish runs a program to its end.
func finish(t testing.TB, h *host, cmd *exec.Cmd) (stdout, stderr string, code int) {
	t.Helper()
	p := start(t, h, cmd)
	code = p.await(t)
	return p.stdout.String(), p.stderr.String(), code
}

// answer is the standard output of a program that has to succeed.
func answer(t testing.TB, h *host, cmd *exec.Cmd) string {
	t.Helper()
	stdout, stderr, code := finish(t, h, cmd)
	if code != 0 {
		t.Fatalf("%s: exit %d\n%s%s", strings.Join(cmd.Args, " "), code, stdout, stderr)
	}
	return strings.TrimSpace(stdout)
}

// conversation is a process that answers each line with a line.
type conversation struct {
	*process
	in    io.Writer
	lines chan string
}

func converse(t testing.TB, h *host, cmd *exec.Cmd) *conversation {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w := io.Pipe()
	cmd.Stdout = w
	c := &conversation{process: start(t, h, cmd), in: in, lines: make(chan string, 1)}
	go func() {
		<-c.ended
		w.Close()
	}()
	go func() {
		defer close(c.lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			c.lines <- s.Text()
		}
	}()
	return c
}

// ask sends a line and waits for the answer.
func (c *conversation) ask(question string) (string, error) {
	if _, err := fmt.Fprintln(c.in, question); err != nil {
		return "", fmt.Errorf("ask %s: %w\n%s", c.Path, err, tail(&c.stderr))
	}
	select {
	case line, ok := <-c.lines:
		if !ok {
			return "", fmt.Errorf("%s ended:\n%s", c.Path, tail(&c.stderr))
		}
		return line, nil
	case <-time.After(patience):
		return "", errors.New(c.Path + " does not answer")
	}
}
