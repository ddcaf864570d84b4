package e2e

import (
	"syscall"
	"testing"
)

// testToolkitKilled holds that nothing remains of an experiment whose
// toolkit was killed, without a word to the agent.
func testToolkitKilled(t *testing.T) {
	needsToolkit(t, "nginx")
	server := newServer(t)
	server.serveWeb(t)
	for name, as := range map[string][]string{"root": nil, "nobody": asNobody} {
		k := newToolkit(t, server)
		k.as = as
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := k.starts(t, k.writes(t, runProxy(latencyArgs), awaitProxy, stopProxy.before(30)))
			e.pauses(t)
			e.signal(t, syscall.SIGKILL)
			e.await(t)
			k.isClean(t)
		})
	}
}
