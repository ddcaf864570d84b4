package processtest

import (
	"bufio"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// UntilStdinEnds starts a process that says a line once it is ready, and ends
// without an error when its stdin does, which is when the test ends; also if it
// is halted then. It gives the line.
func UntilStdinEnds(t testing.TB, cmd *exec.Cmd) string {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(unix.SIGCONT)
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("it says %q: %v", line, err)
	}
	return line
}
