package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs what testdata/script says with the built command.
//
// Besides testscript's own, scripts have $FAULT, the path of the command;
// $TAKEN, an address of 127.0.0.1 at which $HOLDER listens, which is this test;
// $FREE, one at which nobody does; and the conditions [root], [cgroup2] and
// those commands that are for Linux. As root there is $CGROUP, an empty cgroup.
func TestScripts(t *testing.T) {
	binary := builtCommand(t)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                scriptCommands,
		Condition: func(condition string) (bool, error) {
			switch condition {
			case "root":
				return os.Geteuid() == 0, nil
			case "cgroup2":
				return os.Geteuid() == 0 && cgroup2() != "", nil
			}
			return false, fmt.Errorf("unknown condition %q", condition)
		},
		Setup: func(env *testscript.Env) error {
			// Other users are to run the command in the folder of the script.
			if err := os.Chmod(env.WorkDir, 0o755); err != nil {
				return err
			}
			taken, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				return err
			}
			env.Defer(func() { taken.Close() })
			free, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				return err
			}
			if err := free.Close(); err != nil {
				return err
			}
			env.Setenv("FAULT", binary)
			env.Setenv("PATH", filepath.Dir(binary)+string(filepath.ListSeparator)+env.Getenv("PATH"))
			env.Setenv("TAKEN", taken.Addr().String())
			env.Setenv("NEXT", fmt.Sprintf("127.0.0.1:%d", taken.Addr().(*net.TCPAddr).Port+1))
			env.Setenv("HOLDER", fmt.Sprintf("%s[%d]", filepath.Base(os.Args[0]), os.Getpid()))
			env.Setenv("FREE", free.Addr().String())
			return setUpCgroup(env)
		},
	})
}

// builtCommand gives the path of the command, which any user may run.
func builtCommand(t *testing.T) string {
	t.Helper()
	if binary := os.Getenv("FAULT_BINARY"); binary != "" {
		path, err := filepath.Abs(binary)
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	dir, err := os.MkdirTemp("", "fault-script-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "fault")
	// No VCS stamp: git refuses to look into another user's checkout.
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", binary, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the command: %v\n%s", err, out)
	}
	return binary
}
