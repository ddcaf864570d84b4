package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/faultproxy/fault/internal/requires"
)

// needs is for a test that only root can run, with programs.
func needs(t testing.TB, tools ...string) {
	t.Helper()
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	for _, tool := range tools {
		if _, err := find(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	requires.That(t, missing == nil, missing...)
}

// find gives the path of a program. Debian keeps those of PostgreSQL's server
// out of PATH.
func find(tool string) (string, error) {
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin/", "/usr/sbin/", "/sbin/"} {
		if found, _ := filepath.Glob(pattern + tool); len(found) > 0 {
			return found[len(found)-1], nil
		}
	}
	return exec.LookPath(tool)
}

// program is a command that is known to be there, with nothing of this
// process's environment that could alter what it does.
func program(t testing.TB, tool string, args ...string) *exec.Cmd {
	t.Helper()
	path, err := find(tool)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = cleanEnvironment()
	return cmd
}

func cleanEnvironment() []string {
	return []string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "HOME=" + os.Getenv("HOME"), "LANG=C.UTF-8"}
}

// patience bounds every wait for what has to happen.
const patience = 20 * time.Second

// eventually waits until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	if !within(patience, holds) {
		t.Fatalf("after %v still not: %s", patience, what)
	}
}

// within says whether something comes to hold in time.
func within(limit time.Duration, holds func() bool) bool {
	for end := time.Now().Add(limit); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// sharedDir is a temporary folder that other users can enter; t.TempDir's
// they cannot.
func sharedDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fault-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeFile(t testing.TB, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(fmt.Errorf("write a file of the test: %w", err))
	}
	return path
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
