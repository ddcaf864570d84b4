package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/faultproxy/fault/internal/processtest"
	"github.com/faultproxy/fault/internal/requires"
)

// binaryDir is a folder with the program, named as users name it.
func binaryDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "fault")
	if built := os.Getenv("FAULT_BINARY"); built != "" {
		if err := os.Symlink(built, path); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	build := exec.Command("go", "build", "-o", path, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

// interactive is a shell at a terminal of 200 columns.
type interactive struct {
	terminal *os.File
	screen   processtest.Output // all that it wrote
	seen     int                // of it, when the last line was begun
}

func startShell(t *testing.T, dir string, args ...string) *interactive {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "HOME=" + cmd.Dir, "TERM=dumb", "LANG=C.UTF-8", "PS1=$ "}
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 100, Cols: 200})
	if err != nil {
		t.Fatal(err)
	}
	s := &interactive{terminal: terminal}
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(&s.screen, terminal)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		terminal.Close()
		<-read
	})
	return s
}

// shows is what it wrote since the last line was begun.
func (s *interactive) shows() string { return s.screen.String()[s.seen:] }

// types writes keys, and waits until something is shown, which must not be what
// was typed.
func (s *interactive) types(t *testing.T, keys, until string) {
	t.Helper()
	s.seen = len(s.screen.String())
	if _, err := s.terminal.WriteString(keys); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); !strings.Contains(s.shows(), until); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%q: no %q in\n%s", keys, until, s.shows())
		}
	}
}

// pressed is a line, and what TAB has to show.
type pressed struct{ line, shows string }

// completions are for every shell. Some are about what this host runs, knows
// and is connected to.
func completions(t *testing.T) []pressed {
	t.Helper()
	runProcess(t, "fault-completed")
	peer := connect(t, "127.0.0.77:0").String()
	hosts, err := os.Open("/etc/hosts")
	if err != nil {
		t.Fatal(err)
	}
	defer hosts.Close()
	host := hostNames(hosts)[0]
	return []pressed{
		{"fault run --latency-distribution uni", "uniform"},
		{"fault run --latency-distribution ", "takes --latency-min, --latency-max"},
		{"fault run --with-lat", "--with-latency"},
		{"fault run --tls-", "trust the authorities in this PEM file, too"},
		{"fault help exi", "exit-codes"},
		{"fault run --capture-process fault-co", "fault-completed"},
		{"fault run --upstream " + peer[:len(peer)-2], peer},
		{"fault run --upstream a," + host[:len(host)-1], "," + host}, // bash quotes the comma
	}
}

// runProcess runs something under a name until the test ends, and gives its pid.
func runProcess(t *testing.T, name string) int {
	t.Helper()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "600")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

// connect connects this process to a listener of its own until the test ends.
func connect(t *testing.T, address string) net.Addr {
	t.Helper()
	server, err := net.Listen("tcp4", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	client, err := net.Dial("tcp4", server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return server.Addr()
}

// explanations are lines, and what shells that have active help say then.
var explanations = []pressed{
	{"fault run --latency-sched ", "periods such as start:30s,duration:1m;start:5m"},
	{"fault run --duration ", "a duration such as 90"},
	{"fault run --proxy ", "9090=https://example.com"},
}

func TestBashCompletes(t *testing.T) {
	const library = "/usr/share/bash-completion/bash_completion"
	requires.Tools(t, "bash")
	_, err := os.Stat(library)
	requires.That(t, err == nil, library)
	s := startShell(t, binaryDir(t), "bash", "--norc", "--noprofile", "-i")
	s.types(t, "bind 'set bell-style none'; . "+library+"; . <(fault completion bash); echo re''ady\r", "ready")
	completesInteractively(t, s, "\t\t") // the second lists
}

func TestZshCompletes(t *testing.T) {
	requires.Tools(t, "zsh")
	s := startShell(t, binaryDir(t), "zsh", "-f", "-i")
	s.types(t, "autoload -U compinit; compinit -u -D; . <(fault completion zsh); LISTMAX=1000; unsetopt beep; echo re''ady\r", "ready")
	completesInteractively(t, s, "\t")
}

func completesInteractively(t *testing.T, s *interactive, tab string) {
	t.Helper()
	const abandon = "\x15" // Ctrl-U
	for _, c := range append(completions(t), explanations...) {
		s.types(t, c.line+tab, c.shows)
		s.types(t, abandon+"echo a''bandoned\r", "abandoned")
	}
}

// TestFishCompletes asks fish what it would show. It has no active help.
func TestFishCompletes(t *testing.T) {
	requires.Tools(t, "fish")
	dir := binaryDir(t)
	for _, c := range completions(t) {
		cmd := exec.Command("fish", "--no-config", "-c", fmt.Sprintf("fault completion fish | source; complete -C '%s'", c.line))
		cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LANG=C.UTF-8"}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), c.shows) {
			t.Errorf("%s: %v, no %q in\n%s", c.line, err, c.shows, out)
		}
	}
}
