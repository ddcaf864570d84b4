package proxy

import (
	"os"
	"testing"
)

// openDescriptors counts those of the process.
func openDescriptors(t testing.TB) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}
