package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/faultproxy/fault/agent/check"
)

// TestCheckAfter looks for what is left while an agent runs, and when it has
// been killed. Agents of others may be there.
func TestCheckAfter(t *testing.T) {
	needs(t)
	h := newHost(t)
	looks := func() (left check.Remains, text string, code int) {
		text, stderr, code := finish(t, h, fault("check", "--after", "--json"))
		if err := json.Unmarshal([]byte(text), &left); err != nil {
			t.Fatalf("%v: %s%s", err, text, stderr)
		}
		return left, text, code
	}
	a := h.run(t, "--upstream", "192.0.2.10", "--cgroup", h.isolate(t))
	name := fmt.Sprintf("fault[%d]", a.Process.Pid)
	if left, text, code := looks(); left.Clean || code != 1 || strings.Count(text, name) != 2 {
		t.Errorf("exit %d, %s; want %s as an agent and as holder of programs", code, text, name)
	}
	kill(t, a.Process.Pid)
	left, text, code := looks()
	if strings.Contains(text, name) || strings.Contains(text, "held by no process") || left.Clean != (code == 0) {
		t.Errorf("exit %d, %s", code, text)
	}
	if others := strings.Contains(text, "held by"); left.Clean == others {
		t.Errorf("clean %t: %s", left.Clean, text)
	}
}
