package e2e

import (
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// TestChaosToolkitOutput holds that the agent's output stays small while many
// connect, and that the toolkit can read it: it keeps all of it in memory, and
// guesses the encoding.
func TestChaosToolkitOutput(t *testing.T) {
	needsToolkit(t, "nginx")
	server := newServer(t)
	server.serveWeb(t)
	echo := server.serveEcho(t, "192.0.2.10:0")
	k := newToolkit(t, server)
	loop := k.connects(t, echo, workers)
	loop.awaitMore(t, 100)
	verbose := extension("run_proxy", map[string]any{
		"verbose": true, "proxy_args": "--with-latency --latency-mean 5 --upstream '*' --duration 4s",
	}).background()
	e := k.starts(t, k.writes(t, verbose, awaitProxy, curlPage(server)))
	if code := e.await(t); code != 0 {
		t.Errorf("chaos: exit %d", code)
	}
	loop.finish(t)
	j := e.journal(t)
	j.completed(t)
	k.isClean(t)
	stdout, s := j.proxy(t)
	if s.Flows.Matched < 200 || s.OutputDropped != 0 {
		t.Errorf("%d flows matched, %d lines were dropped", s.Flows.Matched, s.OutputDropped)
	}
	t.Logf("%d bytes for %d flows", len(stdout), s.Flows.Matched)
	if !utf8.ValidString(stdout) || strings.ContainsFunc(stdout, func(r rune) bool { return r > '~' }) {
		t.Errorf("it is not plain text:\n%q", stdout)
	}
	if lines := strings.Count(stdout, "INFO"); lines == 0 {
		t.Errorf("no line is of the log:\n%s", stdout)
	}
}

// TestChaosToolkitFirstSecond starts the agent as the extension does, which
// reads nothing for up to a second while it looks for the address.
func TestChaosToolkitFirstSecond(t *testing.T) {
	needs(t)
	server := newServer(t)
	echo := server.serveEcho(t, "192.0.2.10:0")
	client := newClient(t, server)
	cgroup := client.isolate(t)
	loop := client.connects(t, echo, workers)
	loop.awaitMore(t, 100)

	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	// A pipe of the usual size would not show what did not fit.
	if _, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 1<<20); err != nil {
		t.Fatal(err)
	}
	cmd := fault("--log-stdout", "--log-level", "debug", "run", "--proxy-address", "0.0.0.0:3180", "--upstream", "*",
		"--with-latency", "--latency-mean", "5", "--cgroup", cgroup)
	cmd.Env, cmd.Stdout = []string{}, w
	p := start(t, client, cmd)
	w.Close()
	time.Sleep(time.Second)
	unread, err := unix.IoctlGetInt(int(r.Fd()), unix.TIOCINQ)
	if err != nil {
		t.Fatal(err)
	}
	loop.finish(t)
	if t.Logf("%d bytes in a second", unread); unread == 0 || unread >= 64<<10 {
		t.Errorf("%d bytes wait to be read after a second", unread)
	}
	p.signal(t, unix.SIGTERM)
	p.endsWithin(t, patience, 0) // its output is still not read
	detached(t)
}
