package view

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/internal/processtest"
)

// patience bounds what a test waits for.
const patience = 30 * time.Second

// session is the program on a terminal.
type session struct {
	t        *testing.T
	cmd      *exec.Cmd
	terminal *os.File // our side
	other    *os.File // its side
	before   unix.Termios
	trace    string // a file that must not be written
	said     processtest.Output
	drawn    processtest.Output
	exited   chan error
}

// start starts the program in one of its modes, on a terminal that somebody
// reads or that is full, and waits until there is a view or none is possible.
func start(t *testing.T, mode string, read bool, env ...string) *session {
	t.Helper()
	s := &session{t: t, trace: t.TempDir() + "/trace", exited: make(chan error, 1)}
	var err error
	if s.terminal, s.other, err = pty.Open(); err != nil {
		t.Fatal(err)
	}
	s.resize(100, 30)
	termios, err := unix.IoctlGetTermios(int(s.other.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	s.before = *termios
	if !read {
		fill(t, s.other.Name())
	}
	said, saying, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(executable)
	s.cmd.Env = append(os.Environ(), "VIEW_TEST_PROGRAM="+mode, "TERM=xterm-256color", "TEA_TRACE="+s.trace)
	s.cmd.Env = append(s.cmd.Env, env...)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = s.other, s.other, s.other
	s.cmd.ExtraFiles = []*os.File{saying}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	saying.Close()
	go func() { _, _ = io.Copy(&s.said, said) }()
	if read {
		go func() { _, _ = io.Copy(&s.drawn, s.terminal) }()
	}
	go func() { s.exited <- s.cmd.Wait() }()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		s.terminal.Close()
		s.other.Close()
	})
	s.until("view", func() bool {
		said := s.said.String()
		return strings.Contains(said, "shown") || strings.Contains(said, "not usable")
	})
	return s
}

// fill writes to a terminal nearly as much as it takes.
func fill(t *testing.T, name string) {
	t.Helper()
	fd, err := unix.Open(name, unix.O_WRONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for err == nil {
		_, err = unix.Write(fd, []byte{'x'})
	}
	if err != unix.EAGAIN {
		t.Fatal(err)
	}
}

func (s *session) until(what string, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("no %s; said %q, drawn %q", what, s.said.String(), s.drawn.String())
		}
	}
}

func (s *session) draws(text string) {
	s.t.Helper()
	s.until(text, func() bool { return strings.Contains(ansi.Strip(s.drawn.String()), text) })
}

func (s *session) says(text string) {
	s.t.Helper()
	s.until(text, func() bool { return strings.Contains(s.said.String(), text) })
}

func (s *session) resize(columns, rows uint16) {
	s.t.Helper()
	if err := pty.Setsize(s.terminal, &pty.Winsize{Cols: columns, Rows: rows}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *session) types(keys string) {
	s.t.Helper()
	if _, err := s.terminal.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

func (s *session) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// ends waits until the program does, and looks at what it leaves behind.
func (s *session) ends() {
	s.t.Helper()
	select {
	case err := <-s.exited:
		if err != nil {
			s.t.Errorf("the program: %v", err)
		}
	case <-time.After(patience):
		s.t.Fatalf("it does not end; said %q", s.said.String())
	}
	after, err := unix.IoctlGetTermios(int(s.other.Fd()), unix.TCGETS)
	if err != nil {
		s.t.Fatal(err)
	}
	if *after != s.before {
		s.t.Errorf("the terminal is %+v, was %+v", *after, s.before)
	}
	if _, err := os.Stat(s.trace); err == nil {
		s.t.Error("the library wrote its trace")
	}
	if n, err := unix.IoctlGetInt(int(s.other.Fd()), unix.TIOCINQ); err != nil || n != 0 {
		s.t.Errorf("%d bytes of input are left: %v", n, err)
	}
}
