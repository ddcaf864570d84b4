package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"
)

// testToolkitInterrupted ends experiments early.
func testToolkitInterrupted(t *testing.T) {
	needsToolkit(t, "nginx")
	server := newServer(t)
	server.serveWeb(t)
	forever, briefly := runProxy(latencyArgs), runProxy(latencyArgs+" --duration 4s")
	toGroup := func(e *experiment, s syscall.Signal) error { return syscall.Kill(-e.Process.Pid, s) }
	toChaos := func(e *experiment, s syscall.Signal) error { return syscall.Kill(e.Process.Pid, s) }
	for name, tc := range map[string]struct {
		proxy  step
		send   func(*experiment, syscall.Signal) error
		signal syscall.Signal
		again  bool // the toolkit waits for the agent until it is asked again
		reason string
	}{
		"Ctrl-C":                {forever, toGroup, syscall.SIGINT, false, "signal"},
		"SIGTERM to all":        {forever, toGroup, syscall.SIGTERM, false, "signal"},
		"SIGINT with duration":  {briefly, toChaos, syscall.SIGINT, false, "duration"},
		"SIGTERM with duration": {briefly, toChaos, syscall.SIGTERM, false, "duration"},
		"SIGINT twice":          {forever, toChaos, syscall.SIGINT, true, "signal"},
		"SIGTERM twice":         {forever, toChaos, syscall.SIGTERM, true, "signal"},
	} {
		k := newToolkit(t, server)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := k.starts(t, k.writes(t, tc.proxy, awaitProxy, stopProxy.before(30)))
			e.pauses(t)
			if err := tc.send(e, tc.signal); err != nil {
				t.Fatal(err)
			}
			if tc.again {
				time.Sleep(time.Second)
				if !e.running() {
					t.Error("it has not waited for the agent")
				}
				if err := tc.send(e, tc.signal); err != nil {
					t.Fatal(err)
				}
			}
			if code := e.await(t); code != 1 {
				t.Errorf("chaos: exit %d", code)
			}
			j := e.journal(t)
			if j.Status != "interrupted" {
				t.Errorf("the experiment has %s", j.Status)
			}
			if len(j.Rollbacks) != 1 || j.Rollbacks[0].Status != "succeeded" {
				t.Errorf("rollbacks: %+v", j.Rollbacks)
			}
			k.isClean(t)
			if tc.again {
				return // the journal is written while the agent ends
			}
			if _, s := j.proxy(t); s.Reason != tc.reason {
				t.Errorf("the agent ended by %s", s.Reason)
			}
			if strings.Contains(j.log, "Failed to launch") {
				t.Error(j.log)
			}
		})
	}
}
