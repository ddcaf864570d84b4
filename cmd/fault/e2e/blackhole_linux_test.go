package e2e

import (
	"testing"
	"time"
)

// TestBlackhole holds that a client hears nothing by any path until it gives
// up, and that nothing of its flow is left when it has.
func TestBlackhole(t *testing.T) {
	needs(t, "curl")
	t.Parallel()
	server := newServer(t)
	m := server.serveMeasurer(t)
	for _, direction := range []string{"ingress", "egress", "both"} {
		h := newClient(t, server)
		t.Run(direction, func(t *testing.T) {
			a := h.run(t, append(m.mappings(), "--with-blackhole", "--blackhole-direction", direction, "--upstream", "*")...)
			before := a.descriptors()
			for _, by := range a.paths(m) {
				began := time.Now()
				stdout, stderr, code := finish(t, h, program(t, "curl",
					append(append([]string{"-sS", "-i", "--max-time", "1", "--suppress-connect-headers"}, by.args...), m.url("http", "page"))...))
				const timedOut = 28
				if code != timedOut || stdout != "" || time.Since(began) < time.Second {
					t.Errorf("%s: exit %d after %v, %q, %s", by.name, code, time.Since(began), stdout, stderr)
				}
			}
			if !within(patience, func() bool { return len(a.descriptors()) <= len(before) }) {
				t.Errorf("descriptors %q became %q", before, a.descriptors())
			}
			if s := a.stop(t); s.matched != 4 || s.cutOff != 0 {
				t.Errorf("the summary has %+v", s)
			}
		})
	}
	if n := m.requests.Load(); n != 2 { // of ingress, but for connects that are not answered: in CONNECT, and intercepted
		t.Errorf("%d requests got to the server", n)
	}
}
