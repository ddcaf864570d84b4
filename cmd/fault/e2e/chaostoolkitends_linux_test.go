package e2e

import (
	"strconv"
	"strings"
	"testing"
)

// latencyArgs are the guide's.
const latencyArgs = "--with-latency --latency-mean 300 --latency-stddev 50 --upstream '*'"

// testToolkitRefused holds that what the agent refuses fails the action,
// and that its own words are in the log of the experiment.
func testToolkitRefused(t *testing.T) {
	needsToolkit(t, "nginx", "python3")
	server := newServer(t)
	server.serveWeb(t)
	// Somebody listens until he is connected to, which is after the agent has met him.
	const listen = `import socket; socket.create_server(("0.0.0.0", 3180)).accept()`
	listens := shell(`until ss -Hltn | grep -q ":3180 "; do sleep 0.1; done`)
	refused := shell(`until grep -q "Failed to launch" chaos.log; do sleep 0.1; done`)
	connect := runs("python3", "-c", `import socket; socket.create_connection(("127.0.0.1", 3180))`)
	for name, tc := range map[string]struct {
		method []step
		says   string
	}{
		"wrong flag": {[]step{runProxy("--with-latency --latency-maen 300"), refused},
			"error: unknown flag `--latency-maen` for `fault run`"},
		"wrong value": {[]step{runProxy("--with-latency --latency-mean fast"), refused},
			"error: --latency-mean `fast` must be a number of milliseconds"},
		"port taken": {[]step{runs("python3", "-c", listen).background(), listens, runProxy(latencyArgs), refused, connect},
			"error: cannot listen on 0.0.0.0:3180: in use by python3["},
		"not for interception": {[]step{runProxy("--upstream nobody-knows.invalid --transparent on"), refused},
			"error: --upstream `nobody-knows.invalid`"},
	} {
		k := newToolkit(t, server)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := k.runs(t, k.writes(t, append(tc.method, curlPage(server), stopProxy)...))
			// That an action has failed is no failure of the experiment.
			if j.Status != "completed" {
				t.Errorf("the experiment has %s", j.Status)
			}
			if all := j.did("run_proxy"); len(all) != 1 || all[0].Status != "failed" {
				t.Errorf("the action: %+v", all)
			}
			if !strings.Contains(j.log, tc.says) {
				t.Errorf("the log does not say %q:\n%s", tc.says, j.log)
			}
		})
	}
}

// testToolkitTwice runs two proxies in one experiment.
func testToolkitTwice(t *testing.T) {
	needsToolkit(t, "nginx")
	server := newServer(t)
	server.serveWeb(t)
	for name, tc := range map[string]struct {
		method  []step
		matched []uint64 // by those that succeed
		says    string
	}{
		"one after the other": {[]step{
			runProxy(latencyArgs), awaitProxy, curlPage(server), stopProxy.after(1),
			runProxy(latencyArgs), awaitProxy, curlPage(server), curlPage(server), stopProxy,
		}, []uint64{1, 2}, ""},
		// What the extension exports is what an agent listens on: a URL.
		"an inherited address": {[]step{
			runProxy(latencyArgs + " --transparent off"), awaitProxy,
			shell(`fault run --duration 1s >&2; [ $? -eq 1 ]`),
			shell(`fault stop && echo "$FAULT_HTTP_PROXY_ADDRESS" && fault run --duration 1s`),
		}, []uint64{0}, ""},
		// To the first the second is a client like any other.
		"at once": {[]step{
			runProxy(latencyArgs), awaitProxy,
			runProxy(latencyArgs + " --transparent off --proxy-address 127.0.0.1:3181"),
			shell("until fault status --json | grep -q 3181; do sleep 0.1; done").after(1),
			curlPage(server), curlPage(server, "-x", "http://127.0.0.1:3181"), stopProxy,
			shell("while fault status --json | grep -q 3181; do sleep 0.1; done; fault stop"),
		}, []uint64{2, 1}, ""},
		"at once on one port": {[]step{
			runProxy(latencyArgs), awaitProxy, runProxy(latencyArgs),
			shell(`until grep -q "Failed to launch" chaos.log; do sleep 0.1; done`), curlPage(server), runs("fault", "stop"),
		}, []uint64{1}, "error: cannot listen on 0.0.0.0:3180: in use by fault["},
	} {
		k := newToolkit(t, server)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := k.runs(t, k.writes(t, tc.method...))
			if j.Status != "completed" {
				t.Errorf("the experiment has %s", j.Status)
			}
			var matched []uint64
			for _, a := range j.did("run_proxy") {
				if a.Status == "succeeded" {
					_, s := a.proxy(t)
					matched = append(matched, s.Flows.Matched)
				}
			}
			if len(matched) != len(tc.matched) {
				t.Fatalf("%d runs of the proxy succeeded, want %d:\n%s", len(matched), len(tc.matched), j.log)
			}
			for i := range matched {
				if matched[i] != tc.matched[i] {
					t.Errorf("run %d matched %d connections, want %d", i, matched[i], tc.matched[i])
				}
			}
			if !strings.Contains(j.log, tc.says) {
				t.Errorf("the log does not say %q:\n%s", tc.says, j.log)
			}
			for _, a := range j.Run {
				switch a.Activity.Name {
				case "curl":
					if took, err := strconv.ParseFloat(a.probed(t), 64); err != nil || took < 0.1 {
						t.Errorf("curl took %v s: %v", took, err)
					}
				case "sh":
					a.probed(t)
				}
			}
		})
	}
}
