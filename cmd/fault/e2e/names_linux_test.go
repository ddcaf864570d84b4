package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestNamesMove has a name get another address during a run: both are meant
// then.
func TestNamesMove(t *testing.T) {
	needs(t, "unshare", "mount")
	t.Parallel()
	const noticed = 20 * time.Second // a resolver keeps what it has read for 5 s
	server := newServer(t)
	before, after := server.serveEcho(t, "192.0.2.10:0"), server.serveEcho(t, "[2001:db8::10]:0")
	hosts := writeFile(t, filepath.Join(sharedDir(t), "hosts"), fmt.Sprintf("%v moving.test\n", server.v4))
	h := newClient(t, server)
	a := h.runs(t, program(t, "unshare", "--mount", "--", "sh", "-c", `mount --bind "$0" /etc/hosts && exec "$@"`, hosts,
		faultBinary, "run", "--upstream", "moving.test"))

	direct := func(address string) bool { return (visitor{network: "tcp", address: address}).visit(t, h).direct }
	if direct(before) || !direct(after) {
		t.Error("not just the address that the name has is meant")
	}
	if err := os.WriteFile(hosts, fmt.Appendf(nil, "%v moving.test\n", server.v6), 0); err != nil {
		t.Fatal(err)
	}
	if !within(noticed, func() bool { return !direct(after) }) {
		t.Errorf("the new address is not meant after %v", noticed)
	}
	if direct(before) {
		t.Error("the address before is not meant any more")
	}
	if s := a.stop(t); s.passed != 0 || s.leftAlone["upstream not matched"] == 0 {
		t.Errorf("the summary has %+v", s)
	}
}
