package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// terminal is a window of tmux, with an interactive shell in it whose folder
// is dir.
type terminal struct {
	t      *testing.T
	host   *host // of the shell
	server *process
	dir    string
	path   string // to find programs, the command under test first
}

// newTerminal opens one in a network namespace of its own. Variables are those
// of the shell.
func newTerminal(t *testing.T, columns, rows int, variables ...string) *terminal {
	t.Helper()
	needs(t, "tmux")
	w := &terminal{t: t, host: newHost(t), dir: sharedDir(t)}
	w.path = w.dir + ":" + os.Getenv("PATH")
	if err := os.Symlink(faultBinary, filepath.Join(w.dir, "fault")); err != nil {
		t.Fatal(err)
	}
	variables = append(variables, "ENV="+writeFile(t, filepath.Join(w.dir, "prompt"), "PS1='$ '\n"))
	// It is our child, and so does not outlive us.
	server := program(t, "tmux", "-u", "-S", filepath.Join(w.dir, "tmux"), "-f", "/dev/null", "-D")
	server.Dir = w.dir
	w.server = start(t, w.host, server)
	eventually(t, "tmux listens", func() bool {
		c, err := net.Dial("unix", filepath.Join(w.dir, "tmux"))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	open := []string{"set", "-g", "status", "off", ";", "new-session", "-d", "-c", w.dir, "-x", strconv.Itoa(columns), "-y", strconv.Itoa(rows)}
	for _, v := range variables {
		open = append(open, "-e", v)
	}
	// What the shell's programs write is kept as it is, too.
	w.tmux(append(open, "sh", ";", "pipe-pane", "cat >"+filepath.Join(w.dir, "written"))...)
	w.until("$")
	return w
}

// tmux asks the server for something.
func (w *terminal) tmux(args ...string) string {
	w.t.Helper()
	cmd := program(w.t, "tmux", append([]string{"-u", "-N", "-S", filepath.Join(w.dir, "tmux")}, args...)...)
	cmd.Env = append(cmd.Env, "PATH="+w.path) // which is the shell's
	stdout, stderr, code := finish(w.t, nil, cmd)
	if code != 0 {
		w.t.Fatalf("tmux %q: exit %d\n%s", args, code, stderr)
	}
	return stdout
}

// enter types a line.
func (w *terminal) enter(line string) {
	w.t.Helper()
	w.tmux("send-keys", "-l", line, ";", "send-keys", "Enter")
}

// press presses keys, which have the names that tmux gives them.
func (w *terminal) press(keys ...string) {
	w.t.Helper()
	w.tmux(append([]string{"send-keys"}, keys...)...)
}

// resize returns when the terminal has another size, about which a program in
// it need not know yet.
func (w *terminal) resize(columns, rows int) {
	w.t.Helper()
	w.tmux("resize-window", "-x", strconv.Itoa(columns), "-y", strconv.Itoa(rows))
}

// screen is what can be seen.
func (w *terminal) screen() string {
	w.t.Helper()
	return w.tmux("capture-pane", "-p")
}

// transcript is that and what has scrolled away, without blanks at the end of
// lines, and with those in one that the terminal broke.
func (w *terminal) transcript() string {
	w.t.Helper()
	var lines []string
	for line := range strings.Lines(w.tmux("capture-pane", "-p", "-J", "-S", "-")) {
		lines = append(lines, strings.TrimRight(line, " \n"))
	}
	return strings.TrimRight(strings.Join(lines, "\n"), "\n")
}

// until waits until a text can be seen.
func (w *terminal) until(text string) {
	w.t.Helper()
	w.untilScreen(text, func(screen string) bool { return strings.Contains(screen, text) })
}

// untilScreen waits until something holds of the screen.
func (w *terminal) untilScreen(what string, holds func(screen string) bool) {
	w.t.Helper()
	var screen string
	if !within(patience, func() bool { screen = w.screen(); return holds(screen) }) {
		w.t.Fatalf("after %v still not: %s\n%s", patience, what, screen)
	}
}

// written is what programs have written to the terminal. The last of it may be
// on its way.
func (w *terminal) written() string { return w.file("written") }

// file is one in the folder of the shell.
func (w *terminal) file(name string) string {
	w.t.Helper()
	return readFile(w.t, filepath.Join(w.dir, name))
}
