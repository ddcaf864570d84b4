package view

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/style"
)

// TestMain makes the test binary a program with a view, if it is asked to.
func TestMain(m *testing.M) {
	switch os.Getenv("VIEW_TEST_PROGRAM") {
	case "":
	case "shell", "background shell":
		os.Exit(shell())
	default:
		os.Exit(program())
	}
	os.Exit(m.Run())
}

// program shows a run until a key or SIGTERM ends it, tells file 3 what
// becomes of the view, and is quiet about it on a terminal that nobody reads.
func program() int {
	said := os.NewFile(3, "said")
	IgnoreStops()
	signal.Ignore(syscall.SIGHUP)
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	borrow := make(chan os.Signal, 1)
	signal.Notify(borrow, syscall.SIGUSR1)
	if !Usable(os.Stdin, os.Stdout, os.Getenv("TERM")) {
		fmt.Fprintln(said, "not usable")
		return 1
	}
	quiet := os.Getenv("VIEW_TEST_PROGRAM") == "quiet"
	if !quiet {
		fmt.Println("start page")
	}
	run := newMemory(aRun)
	run.still = os.Getenv("VIEW_TEST_PROGRAM") == "still"
	var looks atomic.Int64
	run.run = func() *agent.Snapshot {
		s, n := aRun(), looks.Add(1)
		if run.still {
			fmt.Fprintln(said, "look", n)
			return s
		}
		letter := 'a' + rune(n%26)
		for i := range s.Pairs {
			s.Pairs[i].Upstream = strings.Repeat(string(letter), 30)
		}
		return s
	}
	screen := New(Options{Input: os.Stdin, Output: os.Stdout, Style: style.Style{Palette: style.Colour}})
	screen.show(run)
	fmt.Fprintln(said, "shown")
	if quiet {
		go func() {
			for was := int64(0); looks.Load() != was; time.Sleep(4 * tick) {
				was = looks.Load()
			}
			fmt.Fprintln(said, "stuck")
		}()
	}
	done := screen.done
	for ending := false; !ending; {
		select {
		case <-term:
			ending = true
		case <-run.ended:
			ending = true
		case <-done:
			fmt.Fprintln(said, "view ended")
			done = nil
		case <-borrow:
			lend(said)
		}
	}
	began := time.Now()
	screen.Hide()
	screen.Hide()
	fmt.Fprintln(said, "hidden after", time.Since(began))
	if !quiet {
		fmt.Println("summary")
		for _, n := range screen.Notices() {
			fmt.Println("warning:", n.Text)
		}
	}
	return 0
}

// shell starts the program as a shell does, in a process group of its own,
// which has the terminal until it ends, or not at all.
func shell() int {
	executable, err := os.Executable()
	if err != nil {
		return 1
	}
	said := os.NewFile(3, "said")
	job := exec.Command(executable)
	job.Env = append(os.Environ(), "VIEW_TEST_PROGRAM=read")
	job.Stdin, job.Stdout, job.Stderr, job.ExtraFiles = os.Stdin, os.Stdout, os.Stderr, []*os.File{said}
	job.SysProcAttr = &syscall.SysProcAttr{Foreground: true, Ctty: 0}
	if os.Getenv("VIEW_TEST_PROGRAM") == "background shell" {
		job.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	}
	if err := job.Start(); err != nil {
		return 1
	}
	IgnoreStops() // not before, as children inherit it
	fmt.Fprintln(said, "job", job.Process.Pid)
	err = job.Wait()
	if unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, unix.Getpgrp()) != nil || err != nil {
		return 1
	}
	return 0
}

// lend gives the terminal to another process group for a while, as a shell
// does.
func lend(said io.Writer) {
	other := exec.Command("sleep", "600")
	other.SysProcAttr = &syscall.SysProcAttr{Foreground: true, Ctty: 0}
	other.Stdin = os.Stdin
	if err := other.Start(); err != nil {
		fmt.Fprintln(said, err)
		return
	}
	fmt.Fprintln(said, "lent")
	back := make(chan os.Signal, 1)
	signal.Notify(back, syscall.SIGUSR2)
	<-back
	_ = other.Process.Kill()
	_ = other.Wait()
	if err := unix.IoctlSetPointerInt(0, unix.TIOCSPGRP, unix.Getpgrp()); err != nil {
		fmt.Fprintln(said, err)
	}
	fmt.Fprintln(said, "back")
}
