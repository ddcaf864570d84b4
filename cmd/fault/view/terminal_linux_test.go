package view

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/style"
)

// patience bounds what a test waits for.
const patience = 30 * time.Second

// TestMain makes the test binary a program with a view, if it is asked to.
func TestMain(m *testing.M) {
	switch os.Getenv("VIEW_TEST_PROGRAM") {
	case "":
	case "shell":
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
	var looks atomic.Int64
	run.run = func() *agent.Snapshot {
		s := aRun()
		letter := 'a' + rune(looks.Add(1)%26)
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

// shell starts the program as a shell does, in a process group of its own, and
// has the terminal again when it ends.
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

// session is the program on a terminal.
type session struct {
	t        *testing.T
	cmd      *exec.Cmd
	terminal *os.File // our side
	other    *os.File // its side
	before   unix.Termios
	said     collected
	drawn    collected
	exited   chan error
}

// collected collects what is written.
type collected struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (o *collected) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.Write(p)
}

func (o *collected) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}

func (o *collected) reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all.Reset()
}

// start starts the program in one of its modes, on a terminal that somebody
// reads or that is full.
func start(t *testing.T, mode string, read bool) *session {
	t.Helper()
	s := &session{t: t, exited: make(chan error, 1)}
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
	s.cmd.Env = append(os.Environ(), "VIEW_TEST_PROGRAM="+mode, "TERM=xterm-256color", "TEA_TRACE="+t.TempDir()+"/trace")
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
	s.until("the view", func() bool { return strings.Contains(s.said.String(), "shown") })
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
	if n, err := unix.IoctlGetInt(int(s.other.Fd()), unix.TIOCINQ); err != nil || n != 0 {
		s.t.Errorf("%d bytes of input are left: %v", n, err)
	}
}

// TestOnTerminal holds what stays on a real terminal: what was written before
// and after the view, whatever happened to it.
func TestOnTerminal(t *testing.T) {
	s := start(t, "read", true)
	s.draws("IPv4 and IPv6")
	for i := range 20 {
		s.drawn.reset()
		columns := 40 + (i*37)%140
		s.resize(uint16(columns), uint16(10+(i*13)%40))
		s.draws("running 1:")
		if wide := columns >= 100; wide {
			s.draws("IPv4 and IPv6")
		}
	}
	if i := strings.Index(s.drawn.String(), "\x1b[?1049l"); i >= 0 {
		t.Error("left the alternate screen while the view is shown")
	}
	s.drawn.reset()
	s.resize(80, 24)
	s.draws("running 1:")
	s.types("\x1a")
	s.draws("Ctrl-Z does nothing here")
	s.types("?")
	s.draws("ready after 84 ms")
	s.types("x")
	s.types("q")
	s.draws("ending: 42 flows drain")
	s.types("q")
	s.ends()
	s.draws("summary")
	_, after, _ := strings.Cut(s.drawn.String(), "\x1b[?1049l")
	if got, want := ansi.Strip(after), "summary\r\nwarning: "+refusedStop+"\r\n"; got != want {
		t.Errorf("after the view there is %q, want %q", got, want)
	}
}

// TestStops holds that no signal of the terminal stops the program, and that it
// is there for its keys afterwards.
func TestStops(t *testing.T) {
	s := start(t, "shell", true)
	s.draws("IPv4 and IPv6")
	s.says("job ")
	_, text, _ := strings.Cut(s.said.String(), "job ")
	var pid int
	if _, err := fmt.Sscan(text, &pid); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	for _, stop := range []syscall.Signal{syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU} {
		if err := syscall.Kill(pid, stop); err != nil {
			t.Fatal(err)
		}
	}
	s.drawn.reset()
	s.types("q")
	s.draws("ending: 42 flows drain")
	s.types("q")
	s.ends()
}

// TestUsesLittle holds which modes of a terminal are never touched, and that
// the alternate screen is left once.
func TestUsesLittle(t *testing.T) {
	s := start(t, "read", true)
	s.draws("IPv4 and IPv6")
	s.signal(syscall.SIGTERM)
	s.ends()
	s.draws("summary")
	all := s.drawn.String()
	before, view, _ := strings.Cut(all, "\x1b[?1049h")
	if got := ansi.Strip(before); got != "start page\r\n" {
		t.Errorf("before the view there is %q", got)
	}
	if n := strings.Count(view, "\x1b[?1049l"); n != 1 {
		t.Errorf("left the alternate screen %d times", n)
	}
	for what, sequence := range map[string]string{
		"mouse": "\x1b[?100", "paste": "\x1b[?2004h", "title": "\x1b]2;", "title and icon": "\x1b]0;", "colours": "\x1b]1",
		"progress": "\x1b]9;", "true colour": "38;2;", "256 colours": "38;5;",
	} {
		if strings.Contains(all, sequence) {
			t.Errorf("%s: %q in %q", what, sequence, all)
		}
	}
	if !strings.Contains(all, "\x1b[?25h") {
		t.Error("the cursor stays hidden")
	}
}

// TestUnreadTerminal holds that a terminal which nobody reads is left, and is
// as it was.
func TestUnreadTerminal(t *testing.T) {
	s := start(t, "quiet", false)
	s.says("stuck") // it looks no more, as it waits for the terminal
	s.signal(syscall.SIGTERM)
	s.says("hidden after")
	s.ends()
	_, text, _ := strings.Cut(s.said.String(), "hidden after ")
	took, err := time.ParseDuration(strings.TrimSpace(text))
	if limit := farewell + lastWrite; err != nil || took < limit || took > 10*limit {
		t.Errorf("left a terminal that takes nothing after %v (%v), want %v", took, err, limit)
	}
}

// TestHangup holds that a terminal which goes away ends the view and not the
// run.
func TestHangup(t *testing.T) {
	s := start(t, "quiet", true)
	s.draws("IPv4 and IPv6")
	s.terminal.Close()
	s.says("view ended")
	s.signal(syscall.SIGTERM)
	s.says("hidden after")
	select {
	case err := <-s.exited:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}

// TestLentTerminal holds that nothing breaks while the terminal belongs to
// another process group, and that the view is drawn again afterwards.
func TestLentTerminal(t *testing.T) {
	s := start(t, "read", true)
	s.draws("IPv4 and IPv6")
	s.signal(syscall.SIGUSR1)
	s.says("lent")
	s.types("for the other\n")
	// Now the view reads in vain, twice at least.
	time.Sleep(3 * tick)
	s.drawn.reset()
	s.signal(syscall.SIGUSR2)
	s.says("back")
	s.draws("IPv4 and IPv6")
	if strings.Contains(s.said.String(), "view ended") {
		t.Error("the view has ended")
	}
	s.signal(syscall.SIGTERM)
	s.ends()
}

// TestNotUsable holds where there is no view: without TERM, on a dumb
// terminal, off a terminal, and in the background.
func TestNotUsable(t *testing.T) {
	ours, theirs, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer theirs.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for name, usable := range map[string]bool{
		"not our terminal": Usable(theirs, theirs, "xterm"),
		"no terminals":     Usable(null, null, "xterm"),
	} {
		if usable {
			t.Errorf("%s: usable", name)
		}
	}
	for _, term := range []string{"", "dumb"} {
		executable, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		said, saying, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(executable)
		cmd.Env = []string{"VIEW_TEST_PROGRAM=read", "TERM=" + term}
		cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = theirs, theirs, theirs, []*os.File{saying}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
		err = cmd.Run()
		saying.Close()
		text, _ := io.ReadAll(said)
		var exit *exec.ExitError
		if !errors.As(err, &exit) || string(text) != "not usable\n" {
			t.Errorf("TERM=%s: %v, %q", term, err, text)
		}
	}
}
