package e2e

import (
	"strings"
	"testing"
)

// TestQUIC has clients that would rather use UDP to port 443: they get past the
// faults, and are counted; with --quic block they cannot, and their TCP is
// slowed. Other UDP, and that of others, passes.
func TestQUIC(t *testing.T) {
	needs(t)
	server := newServer(t)
	client, third := newClient(t, server), newClient(t, server)
	cgroup := client.isolate(t)
	third.cgroup = client.cgroup
	var preferred []string
	for _, address := range []string{"192.0.2.10:443", "[2001:db8::10]:443"} {
		server.serveEcho(t, address)
		preferred = append(preferred, server.serveEchoUDP(t, address))
	}
	another := server.serveEchoUDP(t, "192.0.2.10:4430")
	reaches := func(from *host, address string) bool {
		t.Helper()
		_, stderr, code := finish(t, from, visitor{network: "udp", address: address}.command(t))
		if code != 0 && !strings.Contains(stderr, "operation not permitted") {
			t.Fatal(stderr)
		}
		return code == 0
	}
	for _, block := range []bool{false, true} {
		word := "pass"
		if block {
			word = "block"
		}
		path, events := eventsFile(t)
		a := client.run(t, append(latency, "--cgroup", cgroup, "--quic", word, events)...)
		for _, address := range preferred {
			if reaches(client, address) == block {
				t.Errorf("%s: %s by UDP", word, address)
			}
			if !reaches(third, address) {
				t.Errorf("%s: %s by UDP from another namespace fails", word, address)
			}
			if met := (visitor{network: "tcp", address: address}).visit(t, client); met.direct || met.ms < 100 {
				t.Errorf("%s: %s by TCP went past the agent: %+v", word, address, met)
			}
		}
		if !reaches(client, another) {
			t.Errorf("%s: %s by UDP fails", word, another)
		}
		s := a.stop(t)
		if s.leftAlone["UDP"] != 1 || block == (s.leftAlone["QUIC"] == 2) || s.matched != 2 {
			t.Errorf("%s: left alone %v, %d matched", word, s.leftAlone, s.matched)
		}
		text := a.stdout.String()
		if says := strings.Contains(text, "\nblocked         2   QUIC, as --quic block asks\n"); says != block {
			t.Errorf("%s: %s", word, text)
		}
		if said := strings.Contains(text, "--quic block has clients fall back to TCP"); said == block {
			t.Errorf("%s: %s", word, text)
		}
		all := readEvents(t, path)
		sum := all.summaries[0]
		if block && *sum.QUICBlocked != 2 || !block && (sum.QUICBlocked != nil || sum.LeftAlone["quic"] != 2) || all.starts[0].Interception.QUIC != word {
			t.Errorf("%s: %+v", word, sum)
		}
	}
}
