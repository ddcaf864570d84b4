package e2e

import (
	"os/exec"
	"strings"
	"testing"
)

// TestUnprivileged runs the main command as nobody: without capabilities it is
// a proxy for those who ask for it, with them it intercepts.
func TestUnprivileged(t *testing.T) {
	needs(t, "nginx", "curl", "setcap")
	nobody := credential(t, "nobody")
	server := newServer(t)
	server.serveWeb(t)
	v4, v6 := server.serveEcho(t, "192.0.2.10:0"), server.serveEcho(t, "[2001:db8::10]:0")
	run := append([]string{"run"}, latency...)

	t.Run("auto", func(t *testing.T) {
		client := newClient(t, server)
		a := client.runs(t, as(nobody, fault(run...)))
		if why := "nothing: cap_bpf and cap_net_admin are missing (uid 65534)"; !strings.Contains(a.stdout.String(), why) {
			t.Errorf("it does not say %q:\n%s", why, a.stdout.String())
		}
		said := strings.Fields(answer(t, client, program(t, "curl", "-sS", "--max-time", "20", "-x", "http://"+a.proxy,
			"-w", "\n%{time_starttransfer}", pageURL("http", server.v4))))
		if len(said) != 2 || said[0] != page || said[1] < "0.1" {
			t.Errorf("through the proxy curl said %q", said)
		}
		if met := (visitor{network: "tcp", address: v4}).visit(t, client); !met.direct || met.ms >= 100 {
			t.Errorf("a client that did not ask: %+v", met)
		}
		if s := a.stop(t); s.flows != 1 || s.matched != 1 || s.leftAlone != nil {
			t.Errorf("the summary has %+v, want one flow and nothing about connects", s)
		}
	})

	// What only the explicit proxy can tell is no reason to fail here, and
	// neither is a name that nobody knows.
	for _, upstream := range []string{"*.example.com", "nobody-knows.invalid"} {
		t.Run("auto "+upstream, func(t *testing.T) {
			a := newHost(t).runs(t, as(nobody, fault("run", "--upstream", upstream)))
			a.stop(t)
		})
	}

	t.Run("on", func(t *testing.T) {
		h := newHost(t)
		h.listen(t, "127.0.0.1:3180") // who speaks of that has tried to listen
		p := start(t, h, as(nobody, fault(append(run, "--transparent", "on")...)))
		p.endsWithin(t, patience, 1)
		complains(t, p, "cap_bpf and cap_net_admin are missing (uid 65534)")
	})

	for name, tc := range map[string]struct {
		caps string
		ipv6 bool
	}{
		"all capabilities":    {"cap_bpf,cap_net_admin,cap_net_raw,cap_perfmon+ep", true},
		"without cap_perfmon": {"cap_bpf,cap_net_admin,cap_net_raw+ep", false},
	} {
		t.Run(name, func(t *testing.T) {
			binary := withCapabilities(t, tc.caps)
			client := newClient(t, server)
			cgroup := client.isolate(t)
			a := client.runs(t, as(nobody, exec.Command(binary, append(run, "--cgroup", cgroup)...)))
			a.hasNoCapability(t)
			if !a.visibleTo(t, nobody) {
				t.Error("others cannot look into it")
			}
			if kept := "keeps its capabilities"; strings.Contains(a.stdout.String(), kept) {
				t.Errorf("it says that it %s", kept)
			}
			if met := (visitor{network: "tcp", address: v4}).visit(t, client); met.direct || met.ms < 100 || met.peer != v4 {
				t.Errorf("IPv4: %+v", met)
			}
			met := visitor{network: "tcp", address: v6}.visit(t, client)
			if met.direct == tc.ipv6 || met.peer != v6 {
				t.Errorf("IPv6: %+v", met)
			}
			said := strings.Contains(a.stdout.String(), "IPv6 is left alone: cap_perfmon is missing")
			s := a.stop(t)
			if s.flows != s.matched || (s.flows == 2) != tc.ipv6 {
				t.Errorf("the summary has %d flows, %d matched", s.flows, s.matched)
			}
			if left := s.leftAlone["IPv6 not readable"]; said == tc.ipv6 || (left == 1) == tc.ipv6 {
				t.Errorf("IPv6: said %t, counted %d", said, left)
			}
		})
	}
}
