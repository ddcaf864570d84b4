package parent

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for what has to happen.
const patience = 20 * time.Second

// childVariable says what this program is to be as a child of a test.
const childVariable = "PARENT_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childVariable) {
	case "":
		os.Exit(m.Run())
	case "watch":
		s := Watch()
		fmt.Println(s.First())
		<-s.Gone()
	case "poll":
		pid := os.Getppid()
		fmt.Println(Process{PID: pid, Name: "sh"})
		poll(pid)
	}
	fmt.Println("gone")
}

// TestWatch kills shells that have started this program, also by others.
func TestWatch(t *testing.T) {
	const run = `"$0"; :` // the shell stays
	for name, tc := range map[string]struct{ child, script string }{
		"a parent":        {"watch", run},
		"by a shell":      {"watch", `sh -c '` + run + `' "$0"; :`},
		"by timeout":      {"watch", `timeout 60 sh -c '` + run + `' "$0"; :`},
		"without a pidfd": {"poll", run},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command("sh", "-c", tc.script, os.Args[0])
			cmd.Env = append(os.Environ(), childVariable+"="+tc.child)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so we are none of them
			out, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			said := make(chan string, 2)
			go func() {
				defer close(said)
				for s := bufio.NewScanner(out); s.Scan(); {
					said <- s.Text()
				}
			}()
			wants(t, said, fmt.Sprint(Process{PID: cmd.Process.Pid, Name: "sh"}))
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			wants(t, said, "gone")
			_ = cmd.Wait()
		})
	}
}

func wants(t *testing.T, said <-chan string, want string) {
	t.Helper()
	select {
	case got := <-said:
		if got != want {
			t.Errorf("it says %q, want %q", got, want)
		}
	case <-time.After(patience):
		t.Errorf("it does not say %q", want)
	}
}

// TestHoldEnded holds that a process is told that has ended, whether it was
// waited for or not.
func TestHoldEnded(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := newStarters()
	if err := s.hold(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Gone():
	case <-time.After(patience):
		t.Error("its end is not told")
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := newStarters().hold(cmd.Process.Pid); err != syscall.ESRCH {
		t.Errorf("%v, want %v", err, syscall.ESRCH)
	}
}

// TestNobody holds that no starters never end.
func TestNobody(t *testing.T) {
	var nobody *Starters
	for _, s := range []*Starters{nobody, newStarters()} {
		select {
		case <-s.Gone():
			t.Error("nobody has ended")
		default:
		}
		if got := s.First(); got != (Process{}) {
			t.Errorf("nobody is %+v", got)
		}
	}
}
