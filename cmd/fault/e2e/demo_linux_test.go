package e2e

import (
	"encoding/json"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDemo asks the demo for its pages, through a proxy that slows them.
func TestDemo(t *testing.T) {
	needs(t, "curl")
	h := newHost(t) // from where the hosts that some pages ask cannot be reached
	a := h.run(t, "--transparent", "off", "--with-latency", "--latency-mean", "300")
	cmd := fault("demo", "run")
	// What the demo itself asks for goes through the proxy, too.
	cmd.Env = append(cmd.Env, "HTTP_PROXY=http://"+a.proxy)
	p := start(t, h, cmd)
	p.says(t, "demo on http://127.0.0.1:7070 ")
	for _, tc := range []struct {
		args     []string
		status   int
		contains string
		least    float64 // seconds
	}{
		{[]string{"/"}, 200, "Hello, World!", 0.3},
		{[]string{"/ping/myself"}, 200, "Hello, World!", 0.6},
		{[]string{"/uppercase", "-H", "Content-Type: application/json", "-d", `{"content": "loud"}`}, 200, "LOUD", 0.3},
		{[]string{"/ping"}, 502, "error", 0.3},
		{[]string{"/multi"}, 502, "error", 0.3},
		{[]string{"/nowhere"}, 404, "", 0.3},
		{[]string{"/uppercase"}, 405, "", 0.3},
	} {
		args := append([]string{"-sS", "--max-time", "20", "-x", "http://" + a.proxy, "-w", "\n%{http_code} %{time_total}"}, tc.args[1:]...)
		said := answer(t, h, program(t, "curl", append(args, "http://127.0.0.1:7070"+tc.args[0])...))
		cut := strings.LastIndex(said, "\n")
		status, seconds, _ := strings.Cut(said[cut+1:], " ")
		took, err := strconv.ParseFloat(seconds, 64)
		if err != nil || status != strconv.Itoa(tc.status) || took < tc.least || took > tc.least+1 || !strings.Contains(said[:cut], tc.contains) {
			t.Errorf("%v: %s, want %d after %v s", tc.args, said, tc.status, tc.least)
		}
		if tc.status == 502 && !json.Valid([]byte(said[:cut])) {
			t.Errorf("%v: not JSON: %s", tc.args, said)
		}
	}
	for name, signal := range stopSignals {
		if name != "SIGTERM" {
			q := start(t, h, fault("demo", "run", "127.0.0.1", "0"))
			q.says(t, "demo on ")
			q.signal(t, signal)
			q.endsWithin(t, time.Second, 0)
		}
	}
	p.signal(t, syscall.SIGTERM)
	p.endsWithin(t, time.Second, 0)
	a.stop(t)
}
