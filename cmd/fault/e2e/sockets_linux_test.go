package e2e

import (
	_ "embed"
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

//go:embed testdata/connect/sockets.py
var connectSockets string

// TestSockets connects with sockets of every kind, with an idle agent and
// without: the server sees them come from where their packets are routed.
func TestSockets(t *testing.T) {
	needs(t, "ip", "python3")
	t.Parallel()
	server := newServer(t)
	var echoes []string
	for _, at := range []netip.Addr{server.v4, server.v6} {
		to := netip.MustParseAddrPort(server.serveEcho(t, netip.AddrPortFrom(at, 0).String()))
		echoes = append(echoes, fmt.Sprintf("%v/%d", to.Addr(), to.Port()))
		if at.Is4() {
			echoes = append(echoes, fmt.Sprintf("::ffff:%v/%d", to.Addr(), to.Port()))
		}
	}
	said := func(h *host) []string {
		path := writeFile(t, filepath.Join(sharedDir(t), "sockets.py"), connectSockets)
		args := append([]string{path, h.v4.String(), h.v6.String()}, echoes...)
		h.routesByHow(t)
		return printed(t, h, program(t, "python3", args...))
	}
	direct, intercepted := newClient(t, server), newClient(t, server)
	a := intercepted.run(t, "--upstream", "*")
	want, got := said(direct), said(intercepted)
	if len(want) != 19 || len(got) != len(want) {
		t.Fatalf("%d results with the agent, %d without", len(got), len(want))
	}
	for i := range want {
		here := func(s string, h *host) string {
			return strings.NewReplacer(h.v4.String(), "10.77.#.1", h.v6.String(), "fd77:#::1",
				h.other(h.v4).String(), "10.77.#.3", h.other(h.v6).String(), "fd77:#::3").Replace(s)
		}
		if w, g := here(want[i], direct), here(got[i], intercepted); w != g {
			t.Errorf("with the agent %s, without %s", g, w)
		}
		// Otherwise nothing is shown.
		if routed := strings.HasPrefix(want[i], "marked") || strings.HasPrefix(want[i], "service"); routed != strings.Contains(here(want[i], direct), "#.3") && routed != strings.Contains(here(want[i], direct), "#::3") {
			t.Errorf("routed %t: %s", routed, want[i])
		}
	}
	if s := a.stop(t); s.matched != len(want) {
		t.Errorf("the summary has %+v", s)
	}
}

// other is a second address of a client.
func (h *host) other(a netip.Addr) netip.Addr { return a.Next().Next() }

// routesByHow has packets of a client leave from its second addresses, if they
// have a mark or a type of service.
func (h *host) routesByHow(t *testing.T) {
	t.Helper()
	err := h.ns.Do(func() error {
		for _, at := range []netip.Addr{h.v4, h.v6} {
			family := map[bool]string{true: "-4", false: "-6"}[at.Is4()]
			length := map[bool]int{true: 24, false: 64}[at.Is4()]
			for _, words := range []string{
				fmt.Sprintf("address add %v/%d dev %s nodad", h.other(at), length, h.device),
				fmt.Sprintf("route add default via %v dev %s src %v table 100", at.Next(), h.device, h.other(at)),
				"rule add fwmark 7 table 100",
				"rule add tos 0x10 table 100",
			} {
				args := append([]string{family}, strings.Fields(words)...)
				if at.Is4() {
					args = strings.Fields(strings.ReplaceAll(strings.Join(args, " "), " nodad", ""))
				}
				if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
					return fmt.Errorf("ip %s: %w: %s", words, err, out)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
