package e2e

import (
	"encoding/json"
	"path/filepath"
	"testing"
)

// writes puts an experiment into a file.
func (k *toolkit) writes(t *testing.T, method ...step) (file string) {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"title": t.Name(), "description": "a test", "method": method,
		"rollbacks": []step{stopProxy},
		"runtime":   map[string]any{"rollbacks": map[string]any{"strategy": "always"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return writeFile(t, filepath.Join(k.dir, "experiment.json"), string(text))
}

// step is an activity of an experiment that is to be run.
type step map[string]any

func extension(function string, arguments map[string]any) step {
	return step{"type": "action", "name": function, "provider": map[string]any{
		"type": "python", "module": "chaosfault.actions", "func": function, "arguments": arguments,
	}}
}

// runProxy is the guide's main action.
func runProxy(args string) step {
	return extension("run_proxy", map[string]any{"proxy_args": args}).background()
}

var stopProxy = extension("stop_proxy", map[string]any{})

// runs is a program as a probe.
func runs(path string, args ...string) step {
	return step{"type": "probe", "name": path, "provider": map[string]any{
		"type": "process", "path": path, "arguments": args,
	}}
}

func shell(script string) step { return runs("sh", "-c", script) }

// awaitProxy waits until an agent is ready and the extension knows where.
var awaitProxy = runs("fault", "status", "--wait", patience.String()).after(1)

func (s step) background() step { return s.with("background", true) }

func (s step) before(seconds float64) step {
	return s.with("pauses", map[string]any{"before": seconds})
}

func (s step) after(seconds float64) step { return s.with("pauses", map[string]any{"after": seconds}) }

func (s step) with(key string, value any) step {
	changed := step{key: value}
	for k, v := range s {
		if k != key {
			changed[k] = v
		}
	}
	return changed
}

// curlPage asks for the page of a server, and says how many seconds it took.
func curlPage(server *host, flags ...string) step {
	always := []string{"-sS", "--max-time", "20", "-o", "page", "-w", "%{time_total}", pageURL("http", server.v4)}
	return runs("curl", append(always, flags...)...)
}
