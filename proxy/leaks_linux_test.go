package proxy

import (
	"os"
	"testing"
)

// openDescriptors counts those of the process, but for spare pipes.
func openDescriptors(t testing.TB) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds) - 2*len(pipes)
}
