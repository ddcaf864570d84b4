package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDuration lets a run end by itself.
func TestDuration(t *testing.T) {
	needs(t)
	client := newHost(t)
	a := client.run(t, "--cgroup", client.isolate(t), "--duration", "300ms", "--upstream", "*")
	ready := time.Now()
	s := a.summary(t)
	if took := time.Since(ready); took < 200*time.Millisecond || took > time.Second {
		t.Errorf("it ended %v after it was ready, want 300ms", took)
	}
	if s.reason != "duration" {
		t.Errorf("it says that it ended by %s", s.reason)
	}
}

var stopSignals = map[string]syscall.Signal{
	"SIGINT": syscall.SIGINT, "SIGTERM": syscall.SIGTERM, "SIGHUP": syscall.SIGHUP,
}

// TestSignals ends runs that are up, that have flows, and that are still
// starting.
func TestSignals(t *testing.T) {
	needs(t)
	server := newServer(t)
	echo := server.serveEcho(t, "192.0.2.10:0")
	for name, signal := range stopSignals {
		t.Run(name, func(t *testing.T) {
			client := newClient(t, server)
			a := client.run(t, "--cgroup", client.isolate(t), "--upstream", "*")
			a.signal(t, signal)
			a.endsWithin(t, time.Second, 0)
			if s := a.summary(t); s.reason != "signal" {
				t.Errorf("it says that it ended by %s", s.reason)
			}
		})
		t.Run(name+" while starting", func(t *testing.T) {
			client := newHost(t)
			p := start(t, client, fault(append([]string{"run", "--cgroup", client.isolate(t)}, latency...)...))
			eventually(t, "it listens", func() bool { return len(p.listening()) > 0 })
			p.signal(t, signal)
			p.endsWithin(t, time.Second, 0)
			if text := p.stderr.String(); text != "" {
				t.Errorf("standard error: %s", text)
			}
		})
		t.Run(name+" while it asks for a name", func(t *testing.T) {
			h := newHost(t)
			asked := h.swallowUDP(t, "127.0.0.1:53") // what does not answer is asked for long
			p := start(t, h, program(t, "unshare", "--mount", "sh", "-c",
				`mount --bind "$1" /etc/resolv.conf && exec "$0" run --upstream nobody-knows.invalid`,
				faultBinary, writeFile(t, sharedDir(t)+"/resolv.conf", "nameserver 127.0.0.1\n")))
			select {
			case <-asked:
			case <-time.After(patience):
				t.Fatalf("nobody is asked:\n%s", tail(&p.stderr))
			}
			p.signal(t, signal)
			p.endsWithin(t, time.Second, 0)
			if text := p.stderr.String(); text != "" {
				t.Errorf("standard error: %s", text)
			}
		})
	}

	t.Run("a second one hurries", func(t *testing.T) {
		client := newClient(t, server)
		a := client.run(t, "--cgroup", client.isolate(t), "--upstream", "*")
		steady := role(t, "steady", echo)
		if _, err := steady.StdinPipe(); err != nil { // which stays open
			t.Fatal(err)
		}
		open := len(a.descriptors())
		flow := start(t, client, steady)
		eventually(t, "a flow", func() bool { return len(a.descriptors()) >= open+2 })
		a.signal(t, syscall.SIGTERM)
		// The flow may go on while new connections go direct.
		eventually(t, "the end of interception", func() bool {
			return visitor{network: "tcp", address: echo}.visit(t, client).direct
		})
		if !a.running() || !flow.running() {
			t.Error("a flow got no time to end")
		}
		a.signal(t, syscall.SIGTERM)
		a.endsWithin(t, time.Second, 0)
		if s := a.summary(t); s.cutOff != 1 {
			t.Errorf("%d flows were cut off, want 1", s.cutOff)
		}
		if code := flow.await(t); code != 1 || !strings.Contains(flow.stderr.String(), "reset by peer") {
			t.Errorf("the flow ended by exit %d: %s", code, flow.stderr.String())
		}
	})
}

// TestDrain gives a flow 5 s to end, and no more.
func TestDrain(t *testing.T) {
	needs(t)
	server := newServer(t)
	client := newClient(t, server)
	a := client.run(t, "--cgroup", client.isolate(t), "--upstream", "*")
	steady := role(t, "steady", server.serveEcho(t, "192.0.2.10:0"))
	if _, err := steady.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	open := len(a.descriptors())
	start(t, client, steady)
	eventually(t, "a flow", func() bool { return len(a.descriptors()) >= open+2 })
	asked := time.Now()
	if s := a.stop(t); s.cutOff != 1 {
		t.Errorf("%d flows were cut off, want 1", s.cutOff)
	}
	if took := time.Since(asked); took < 4900*time.Millisecond || took > 6*time.Second {
		t.Errorf("it ended after %v, want 5s", took)
	}
}

// swallowUDP takes datagrams and answers none. It says when the first came.
func (h *host) swallowUDP(t *testing.T, address string) <-chan struct{} {
	t.Helper()
	c := h.listenUDP(t, address)
	came := make(chan struct{})
	go func() {
		if _, _, err := c.ReadFrom(make([]byte, 1500)); err == nil {
			close(came)
		}
	}()
	return came
}

// TestStdoutClosed holds that a run outlives the reader of its output.
func TestStdoutClosed(t *testing.T) {
	needs(t)
	server := newServer(t)
	echo := visitor{network: "tcp", address: server.serveEcho(t, "192.0.2.10:0")}
	client := newClient(t, server)
	cgroup := client.isolate(t)
	// The shell says how the run ended, and head reads one line of it.
	const command = `{ "$0" "$@" & echo $! >&2; wait $!; echo "exit $?" >&2; } | head -n 1`
	args := append([]string{"-c", command, faultBinary, "run", "--cgroup", cgroup, "--tail", "--log-stdout",
		"--duration", "1m"}, latency...) // it is not our child
	p := start(t, client, program(t, "sh", args...))
	eventually(t, "interception", func() bool { return !echo.visit(t, client).direct })
	for range 5 { // each of them writes a line that nobody reads
		if met := echo.visit(t, client); met.direct || met.ms < 100 {
			t.Errorf("after its reader has gone: %+v", met)
		}
	}
	var pid int
	if _, err := fmt.Sscan(p.stderr.String(), &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.endsWithin(t, patience, 0)
	if text := p.stderr.String(); text != fmt.Sprintf("%d\nexit 0\n", pid) {
		t.Errorf("standard error: %s", text)
	}
}
