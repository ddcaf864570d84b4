package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// TestChaosToolkitCapabilities runs the guide's experiment as nobody, with an
// agent that has the capabilities of its file: the toolkit must still be able
// to find out where it listens. It first looks after 0.1 s, and gives up if it
// may not: so this runs by itself.
func TestChaosToolkitCapabilities(t *testing.T) {
	needsToolkit(t, "nginx", "setcap")
	server := newServer(t)
	server.serveWeb(t)
	k := newToolkit(t, server)
	k.as = asNobody
	binary := filepath.Join(k.dir, "fault")
	if err := os.Remove(binary); err != nil {
		t.Fatal(err)
	}
	answer(t, nil, program(t, "cp", faultBinary, binary))
	answer(t, nil, program(t, "setcap", "cap_bpf,cap_net_admin,cap_net_raw,cap_perfmon+ep", binary))
	j := k.runs(t, k.writes(t, runProxy(latencyArgs), awaitProxy, curlPage(server),
		shell(`[ "$FAULT_HTTP_PROXY_ADDRESS" = http://0.0.0.0:3180 ]`), stopProxy))
	j.completed(t)
	if _, s := j.proxy(t); s.Mode != "transparent" || s.Flows.Matched != 1 {
		t.Errorf("the summary has %s, %+v", s.Mode, s.Flows)
	}
	j.Run[3].probed(t)
}
