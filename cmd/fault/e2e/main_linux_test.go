package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// faultBinary is the command under test.
var faultBinary string

func TestMain(m *testing.M) {
	// Clients written in Go are this program again, in another namespace.
	if role := os.Getenv(roleVariable); role != "" {
		play(role, os.Args[1:])
		return
	}
	flag.Parse()
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	waitMoreThanCompute()
	dir, err := os.MkdirTemp("", "fault-e2e-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = os.Chmod(dir, 0o755) // other users run the binary, too
	}
	if err == nil {
		faultBinary, err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// waitMoreThanCompute lets more parallel subtests run at once than there are
// processors: nearly all that they do is wait for delayed bytes.
func waitMoreThanCompute() {
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", "16")
	}
}

func build(dir string) (string, error) {
	if binary := os.Getenv("FAULT_BINARY"); binary != "" {
		return filepath.Abs(binary)
	}
	binary := filepath.Join(dir, "fault")
	// No VCS stamp: git refuses to look into another user's checkout.
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "github.com/faultproxy/fault/cmd/fault")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the command: %w\n%s", err, out)
	}
	return binary, nil
}
