package e2e

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestTail holds what is written of a flow: whose it was, where it went, what
// it carried and what was done to it.
func TestTail(t *testing.T) {
	needs(t, "nginx", "curl")
	server := newServer(t)
	server.serveWeb(t)
	client := newClient(t, server)
	a := client.run(t, "--cgroup", client.isolate(t), "--tail", "--with-latency", "--latency-mean", "50", "--upstream", "192.0.2.10")

	get := program(t, "curl", "-sS", "--max-time", "20", pageURL("http", server.v4))
	answer(t, client, get)
	eventually(t, "the line of a flow", func() bool { return len(a.flowLines()) == 1 })
	m := found(t, a.flowLines()[0], `^\S+Z curl\[(\d+)\] -> 192\.0\.2\.10:80 matched matched_by=address latency=(\d+\.\d)ms to_client=(\d+)B to_server=(\d+)B lasted=\d+\.\d{3}s$`)
	// Elsewhere the kernel's numbers are not those that we see.
	if ns, err := os.Readlink("/proc/self/ns/pid"); err == nil && ns == "pid:[4026531836]" && m[1] != strconv.Itoa(get.Process.Pid) {
		t.Errorf("the client was %d: %s", get.Process.Pid, m[0])
	}
	if delay, err := strconv.ParseFloat(m[2], 64); err != nil || delay < 100 || delay > 150 {
		t.Errorf("the connect and the answer were delayed by 50 ms each: %s", m[0])
	}
	if number(t, m[3]) <= len(page) || number(t, m[4]) == 0 {
		t.Errorf("a page was got: %s", m[0])
	}

	// To where no pattern points it goes direct, and is no flow.
	answer(t, client, program(t, "curl", "-sS", "--max-time", "20", pageURL("http", server.v6)))
	if s := a.stop(t); s.flows != 1 || s.leftAlone["upstream not matched"] != 1 {
		t.Errorf("the summary has %+v", s)
	}
	if text := a.stdout.String(); strings.Count(text, "\nfault ended after ") != 1 {
		t.Errorf("not one summary:\n%s", text)
	}
}
