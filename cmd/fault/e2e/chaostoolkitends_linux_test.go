package e2e

import (
	"strconv"
	"strings"
	"testing"
)

// latencyArgs are the guide's.
const latencyArgs = "--with-latency --latency-mean 300 --latency-stddev 50 --upstream '*'"

// TestChaosToolkitRefused holds that what the agent refuses fails the action,
// and that its own words are in the log of the experiment.
func TestChaosToolkitRefused(t *testing.T) {
	t.Parallel()
	needsToolkit(t, "nginx", "python3")
	server := newServer(t)
	server.serveWeb(t)
	const listen = `import socket, time; s = socket.create_server(("0.0.0.0", 3180)); time.sleep(6)`
	for name, tc := range map[string]struct {
		before []step
		proxy  step
		says   string
	}{
		"wrong flag": {nil, runProxy("--with-latency --latency-maen 300"),
			"error: unknown flag `--latency-maen` for `fault run`"},
		"wrong value": {nil, runProxy("--with-latency --latency-mean fast"), "error: --latency-mean `fast` must be a number of milliseconds"},
		"port taken": {[]step{runs("python3", "-c", listen).background()},
			runProxy(latencyArgs).before(1), "error: cannot listen on 0.0.0.0:3180: in use by python3["},
		"not for interception": {nil, runProxy("--upstream *.example.com --transparent on"),
			"error: --upstream `*.example.com`"},
	} {
		k := newToolkit(t, server)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := k.runs(t, k.writes(t, append(tc.before, tc.proxy, curlPage(server).before(2), stopProxy)...))
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

// TestChaosToolkitTwice runs two proxies in one experiment.
func TestChaosToolkitTwice(t *testing.T) {
	t.Parallel()
	needsToolkit(t, "nginx")
	server := newServer(t)
	server.serveWeb(t)
	stop := runs("fault", "stop")
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
			runProxy(latencyArgs + " --duration 5s"), awaitProxy,
			runProxy(latencyArgs + " --transparent off --proxy-address 127.0.0.1:3181"),
			shell("until fault status --json | grep -q 3181; do sleep 0.1; done").after(1),
			curlPage(server), curlPage(server, "-x", "http://127.0.0.1:3181"), stopProxy,
		}, []uint64{2, 1}, ""},
		"at once on one port": {[]step{
			runProxy(latencyArgs), awaitProxy, runProxy(latencyArgs), curlPage(server).before(2), stop,
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
