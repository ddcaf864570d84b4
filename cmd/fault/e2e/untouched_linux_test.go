package e2e

import (
	"maps"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// TestUntouched makes each kind of connection that is none of the agent's
// business while `*` runs: it has to be direct, at once, and counted.
func TestUntouched(t *testing.T) {
	needs(t)
	server := newServer(t)
	client, third := newClient(t, server), newClient(t, server)
	cgroup := client.isolate(t)
	third.cgroup = client.cgroup // the namespace alone tells it apart
	// Without a check for duplicates, which would take a second.
	linkLocal := netip.MustParsePrefix("fe80::77/64")
	if err := server.ns.AddAddr(client.device, linkLocal); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(server.serveEcho(t, "[fe80::77%"+client.device+"]:0"))
	v4, v6 := server.serveEcho(t, "192.0.2.10:0"), server.serveEcho(t, "[2001:db8::10]:0")

	a := client.run(t, append(latency, "--cgroup", cgroup, "--tail")...)
	for name, tc := range map[string]struct {
		from *host
		visitor
		counted string
	}{
		"an IPv4 connection": {client, visitor{network: "tcp", address: v4}, ""},
		"an IPv6 connection": {client, visitor{network: "tcp", address: v6}, ""},
		"another namespace":  {third, visitor{network: "tcp", address: v4}, "other network namespaces"},
		"a UDP socket":       {client, visitor{network: "udp", address: server.serveEchoUDP(t, "192.0.2.10:0")}, "UDP"},
		"a device":           {client, visitor{network: "tcp", address: v4, device: client.device}, "device-bound"},
		"IPv4 loopback":      {client, visitor{network: "tcp", address: client.serveEcho(t, "127.0.0.1:0")}, "loopback"},
		"IPv6 loopback":      {client, visitor{network: "tcp", address: client.serveEcho(t, "[::1]:0")}, "loopback"},
		// Go makes a socket IPv6-only when it is asked for this network.
		"an IPv6-only socket":  {client, visitor{network: "tcp6", address: v6}, "IPv6-only"},
		"an IPv6-bound socket": {client, visitor{network: "tcp", address: v6, source: client.v6.String()}, "source-bound"},
		"DNS over TCP":         {client, visitor{network: "tcp", address: server.serveEcho(t, "192.0.2.10:53")}, "DNS"},
		"a link-local address": {client, visitor{network: "tcp", address: "[fe80::77%" + client.device + "]:" + port}, "link-local"},
	} {
		before := len(a.flowLines())
		met := tc.visit(t, tc.from)
		if met.peer != tc.address {
			t.Errorf("%s: the client sees %s instead of %s", name, met.peer, tc.address)
		}
		if tc.counted == "" {
			if met.direct || met.ms < 100 {
				t.Errorf("%s went past the agent: %+v", name, met)
			}
			eventually(t, "the line of a flow", func() bool { return len(a.flowLines()) > before })
			continue
		}
		if !met.direct || met.ms >= 100 {
			t.Errorf("%s was not left alone: %+v", name, met)
		}
	}
	s := a.stop(t)
	want := map[string]int{
		"other network namespaces": 1, "UDP": 1, "device-bound": 1, "loopback": 2,
		"IPv6-only": 1, "source-bound": 1, "DNS": 1, "link-local": 1,
	}
	if !maps.Equal(s.leftAlone, want) {
		t.Errorf("left alone: %v, want %v", s.leftAlone, want)
	}
	if lines := a.flowLines(); len(lines) != 2 || s.flows != 2 {
		t.Errorf("%d flows, want the two that were slowed:\n%s", s.flows, strings.Join(lines, "\n"))
	}
}
