// Package requires is for tests that cannot run everywhere. What is missing skips
// a test, and fails it where REQUIRE_ROOT is set: there a skip would hide that
// something is not tested.
package requires

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Root is for a test that only root can run.
func Root(t testing.TB) {
	t.Helper()
	That(t, os.Geteuid() == 0, "root")
}

// Tools is for a test of programs, which are named by path or found in PATH.
func Tools(t testing.TB, tools ...string) {
	t.Helper()
	var missing []string
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	That(t, missing == nil, missing...)
}

// That is for any other condition; missing names what is not there if it does not hold.
func That(t testing.TB, holds bool, missing ...string) {
	t.Helper()
	switch what := strings.Join(missing, ", "); {
	case holds:
	case os.Getenv("REQUIRE_ROOT") != "":
		t.Fatalf("missing here: %s", what)
	default:
		t.Skipf("needs %s", what)
	}
}
