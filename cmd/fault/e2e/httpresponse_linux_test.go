package e2e

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"
)

// TestHTTPResponse holds that a request is answered by the fault at once, with
// its status and body, without any contact to the server.
func TestHTTPResponse(t *testing.T) {
	needs(t, "curl")
	server := newServer(t)
	m := server.serveMeasurer(t)
	h := newClient(t, server)
	a := h.run(t, append(m.mappings(), "--with-http-response", "--http-response-status", "503",
		"--http-response-body", "sorry", "--upstream", "*")...)
	for _, by := range a.paths(m) {
		said := m.curl(t, h, by, "-w", " %{http_code} %{content_type}", m.url("http", "page"))
		if said != "sorry 503 text/plain; charset=utf-8" {
			t.Errorf("%s: %q", by.name, said)
		}
		before := m.accepted.Load()
		said = m.curl(t, h, by, "-w", " %{http_code}", "-d", "some", m.url("http", "page"))
		if contacts := m.accepted.Load() - before; said != "sorry 503" || contacts != 0 && by.name != "CONNECT" {
			t.Errorf("%s: %q, %d contacts", by.name, said, contacts)
		}
		// What is not plain HTTP is not HTTP to us, but for a request that asks us
		// to do TLS.
		if said := m.curl(t, h, by, m.url("https", "page")); said != page {
			t.Errorf("%s over TLS: %q", by.name, said)
		}
	}
	if n := m.requests.Load(); n != 4 { // over TLS
		t.Errorf("%d requests got to the server", n)
	}
}

// TestHTTPResponseShare sends 2 000 requests by each path, over connections
// that are kept.
func TestHTTPResponseShare(t *testing.T) {
	needs(t, "curl")
	const requests, share = 2000, 0.25
	server := newServer(t)
	m := server.serveMeasurer(t)
	h := newClient(t, server)
	a := h.run(t, append(m.mappings(), "--with-http-response", "--http-response-status", "418",
		"--http-response-trigger-probability", fmt.Sprint(share), "--seed", "5", "--upstream", "*")...)
	for _, by := range a.paths(m) {
		before := m.requests.Load()
		said := m.curl(t, h, by, "-o", os.DevNull, "-w", "%{http_code}\n", m.url("http", fmt.Sprintf("page?[1-%d]", requests)))
		answered, passed := strings.Count(said, "418"), strings.Count(said, "200")
		t.Logf("%s: %d of %d were answered", by.name, answered, requests)
		if answered+passed != requests || int(m.requests.Load()-before) != passed {
			t.Errorf("%s: %d answered, %d passed, %d of them arrived", by.name, answered, passed, m.requests.Load()-before)
		}
		if deviation := math.Sqrt(requests * share * (1 - share)); math.Abs(float64(answered)-requests*share) > 3*deviation {
			t.Errorf("%s: %d of %d were answered", by.name, answered, requests)
		}
	}
}

// TestServerSpeaksFirst holds that such protocols do not wait for a request
// that will not come.
func TestServerSpeaksFirst(t *testing.T) {
	needs(t)
	server := newServer(t)
	address := server.serveEcho(t, fmt.Sprintf("%v:2525", server.v4))
	plain, armed := newClient(t, server), newClient(t, server)
	plain.run(t, "--upstream", "*")
	armed.run(t, "--with-http-response", "--upstream", "*")
	v := visitor{network: "tcp", address: address}
	var without, with []time.Duration
	for range 20 {
		without = append(without, time.Duration(v.visit(t, plain).ms)*time.Millisecond)
		with = append(with, time.Duration(v.visit(t, armed).ms)*time.Millisecond)
	}
	t.Logf("greeted after %v without the fault, %v with it (medians)", median(without), median(with))
	if median(with)-median(without) > 20*time.Millisecond {
		t.Errorf("greeted after %v instead of %v", median(with), median(without))
	}
}
