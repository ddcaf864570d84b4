package main

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs what testdata/script says with the built command.
//
// Besides testscript's own, scripts have $FAULT, the path of the command;
// $TAKEN, an address of 127.0.0.1 at which $HOLDER listens, which is this test,
// and $NEXT, that of the port behind; $FREE, one at which nobody does; $TLS, a
// server whose certificate, which is its own authority in ca.pem, is not for
// the name; the conditions [root] and [cgroup2]; and the commands below. With
// cgroup2 there is $CGROUP, an empty cgroup, and $TOP, where it is.
func TestScripts(t *testing.T) {
	// Otherwise parts of the scripts are silently left out.
	if os.Getenv("REQUIRE_ROOT") != "" && (os.Geteuid() != 0 || cgroup2() == "") {
		t.Fatal("needs root and cgroup2")
	}
	binary := builtCommand(t)
	commands := maps.Clone(scriptCommands)
	maps.Copy(commands, hostCommands)
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                commands,
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
			return errors.Join(serveTLS(env), setUpCgroup(env))
		},
	})
}

// scriptCommands are for scripts on all systems.
//
//	exits CODE COMMAND...  as exec, with that exit code
//	fetch URL STATUS       ask until somebody answers, with that status
//	until FILE TEXT        wait until the file has the text
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"exits": func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(exitsWith(ts, args[0], args[1:]))
	},
	"fetch": func(ts *testscript.TestScript, _ bool, args []string) {
		status := ""
		eventually(ts, args[0]+" answers", func() bool {
			answer, err := http.Get(args[0])
			if err == nil {
				status = strconv.Itoa(answer.StatusCode)
				answer.Body.Close()
			}
			return err == nil
		})
		if status != args[1] {
			ts.Fatalf("the status is %s, want %s", status, args[1])
		}
	},
	"until": func(ts *testscript.TestScript, _ bool, args []string) {
		eventually(ts, args[0]+" has "+args[1], func() bool {
			text, err := os.ReadFile(ts.MkAbs(args[0]))
			return err == nil && strings.Contains(string(text), args[1])
		})
	},
}

// exitsWith runs a command, which has to exit with a code.
func exitsWith(ts *testscript.TestScript, want string, command []string) error {
	err := ts.Exec(command[0], command[1:]...)
	code := 0
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		code = failed.ExitCode()
	} else if err != nil {
		return err
	}
	if got := strconv.Itoa(code); got != want {
		return fmt.Errorf("the exit code is %s, want %s", got, want)
	}
	return nil
}

func eventually(ts *testscript.TestScript, what string, holds func() bool) {
	const patience = 20 * time.Second
	for end := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("after %v still not: %s", patience, what)
		}
	}
}

// serveTLS serves a certificate that is for example.com.
func serveTLS(env *testscript.Env) error {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it is told that nobody trusts it
	server.StartTLS()
	env.Defer(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		return err
	}
	env.Setenv("TLS", "localhost:"+port)
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return os.WriteFile(filepath.Join(env.WorkDir, "ca.pem"), authority, 0o644)
}

// builtCommand gives the path of the command, which any user may run.
func builtCommand(t testing.TB) string {
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
