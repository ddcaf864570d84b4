package e2e

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/faultproxy/fault/agent/event"
)

//go:embed testdata/pool.py
var poolPython string

// TestConnectionPool has an application whose pools are open before a run: they
// are reported, and not slowed; with --reset-existing they connect anew and
// are. What others have open stays.
func TestConnectionPool(t *testing.T) {
	needs(t, "redis-server", "initdb", "postgres", "/usr/bin/python3")
	server := newServer(t)
	server.serveRedis(t)
	server.servePostgres(t)
	client := newClient(t, server)
	cgroup := client.isolate(t)
	app := converse(t, client, program(t, "/usr/bin/python3",
		writeFile(t, filepath.Join(sharedDir(t), "pool.py"), poolPython), server.v4.String(), server.v6.String()))
	if line := <-app.lines; line != "ready" {
		t.Fatalf("the application says %q\n%s", line, tail(&app.stderr))
	}
	ask := func(what string) time.Duration {
		t.Helper()
		line, err := app.ask(what)
		ms, perr := strconv.ParseFloat(line, 64)
		if err != nil || perr != nil {
			t.Fatalf("%s: %q, %v", what, line, err)
		}
		return time.Duration(ms * float64(time.Millisecond))
	}
	// A server of the same cgroup has a connection that somebody else opened.
	client.serveRedis(t)
	incoming, err := server.dial(fmt.Sprintf("%v:6379", client.v4))
	if err != nil {
		t.Fatal(err)
	}
	defer incoming.Close()
	// A program beside that cgroup has one, too, and one in another namespace.
	outside, err := (&host{ns: client.ns}).dial(fmt.Sprintf("%v:6379", server.v4))
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	elsewhere, err := newClient(t, server).dial(fmt.Sprintf("%v:6379", server.v4))
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	others := map[string]net.Conn{"that others opened": incoming, "beside the cgroup": outside, "of another namespace": elsewhere}

	run := func(reset bool) (event.Start, string) {
		path, events := eventsFile(t)
		args := []string{"--with-latency", "--latency-mean", "300", "--upstream", "*", "--cgroup", cgroup, events}
		if reset {
			args = append(args, "--reset-existing")
		}
		a := client.run(t, args...)
		begun := awaitStart(t, path)
		for _, what := range []string{"redis", "postgres"} {
			if took := ask(what); (took >= 300*time.Millisecond) != reset {
				t.Errorf("reset %v: %s took %v", reset, what, took)
			}
		}
		for name, c := range others {
			if err := redisPing(c); err != nil {
				t.Errorf("reset %v: a connection %s: %v", reset, name, err)
			}
		}
		s := a.stop(t)
		if (s.matched > 0) != reset || s.matched != s.flows {
			t.Errorf("reset %v: %d flows, %d matched", reset, s.flows, s.matched)
		}
		return begun, a.stdout.String()
	}

	begun, text := run(false)
	if *begun.OpenConnections != 6 || begun.ResetConnections != nil || len(begun.OpenBy) != 2 {
		t.Errorf("%+v", begun)
	}
	for _, by := range begun.OpenBy {
		if by.N != 3 || by.Process.PID != app.Process.Pid || by.Process.Name != "python3" {
			t.Errorf("%+v of %+v", by, by.Process)
		}
	}
	for _, want := range []string{
		"\n  untouched   6 connections that are already open; other network namespaces\n",
		fmt.Sprintf("\n              3 of python3[%d] to 192.0.2.10:6379\n", app.Process.Pid),
		fmt.Sprintf("\n              3 of python3[%d] to [2001:db8::10]:5432\n", app.Process.Pid),
		"\nuntouched       6   connections open before the start\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	begun, text = run(true)
	if *begun.OpenConnections != 0 || *begun.ResetConnections != 6 {
		t.Errorf("%+v", begun)
	}
	for _, want := range []string{"\n  reset       6 connections that were open", "\nuntouched       0   connections open before the start; 6 more were reset\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// TestResetExistingUnprivileged resets connections of a user whose agent has its
// privilege from its file, and who cannot see those of others. Then the agent
// has no privilege any more.
func TestResetExistingUnprivileged(t *testing.T) {
	needs(t, "redis-server", "redis-cli", "setcap")
	server := newServer(t)
	server.serveRedis(t)
	client := newClient(t, server)
	cgroup := client.isolate(t)
	nobody := credential(t, "nobody")
	session := func(cmd *exec.Cmd) func() error {
		c := converse(t, client, cmd)
		return func() error {
			said, err := c.ask("CLIENT ID")
			if err == nil && strings.Contains(said, "closed the connection") || strings.HasPrefix(said, "Error") {
				err = errors.New(said)
			}
			return err
		}
	}
	theirs := session(program(t, "redis-cli", "-h", server.v4.String()))
	own := session(as(nobody, program(t, "redis-cli", "-h", server.v4.String())))
	for _, ask := range []func() error{theirs, own} {
		if err := ask(); err != nil {
			t.Fatal(err)
		}
	}
	cmd := as(nobody, fault("run", "--upstream", "*", "--cgroup", cgroup, "--reset-existing"))
	cmd.Path = withCapabilities(t, intercepting)
	a := client.runs(t, cmd)
	a.hasNoCapability(t)
	if err := theirs(); err != nil {
		t.Errorf("another user's connection: %v", err)
	}
	if err := own(); err == nil {
		t.Error("the user's own connection was not reset")
	}
	a.signal(t, syscall.SIGTERM)
	a.endsWithin(t, patience, 0)
	want := "\nuntouched       1   connections open before the start; 1 more were reset\n"
	if text := a.stdout.String(); !strings.Contains(text, want) || !strings.Contains(text, "\n              1 of a process that cannot be seen to 192.0.2.10:6379\n") {
		t.Errorf("no %q in\n%s", want, text)
	}
}

// redisPing asks Redis for an answer.
func redisPing(c net.Conn) error {
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, "PING\r\n"); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, len("+PONG\r\n")))
	return err
}
