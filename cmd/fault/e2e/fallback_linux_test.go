package e2e

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	//go:embed testdata/connect/fallback.py
	fallbackPython string
	//go:embed testdata/connect/fallback.js
	fallbackNode string
)

func init() { roles["fallback"] = fallBack }

// fallBack connects to HOST:PORT so many times, and prints what it took and
// whom it got.
func fallBack(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	for range n {
		began := time.Now()
		c, err := new(net.Dialer).DialContext(context.Background(), "tcp", args[0])
		if err != nil {
			return err
		}
		fmt.Println(time.Since(began).Seconds()*1000, c.RemoteAddr())
		c.Close()
	}
	return nil
}

// TestFallback connects to names with a dead address before a live one: with
// the agent clients find the live one as they do without, and as soon.
func TestFallback(t *testing.T) {
	needs(t, "ip", "unshare", "mount", "curl", "python3", "node")
	const times = 9
	server := newServer(t)
	server.routes(t)
	live := netip.AddrPortFrom(server.v6, 7001)
	server.servePage(t, live.String())
	names := map[string]netip.Addr{"refused.test": server.v4, "silent.test": netip.MustParseAddr(silent4).Next()}
	text := "127.0.0.1 localhost\n"
	for name, dead := range names {
		text += fmt.Sprintf("%v %s\n%v %s\n", dead, name, live.Addr(), name)
	}
	hosts := writeFile(t, filepath.Join(sharedDir(t), "hosts"), text)
	file := func(name, source string) string { return writeFile(t, filepath.Join(sharedDir(t), name), source) }
	python, node := file("fallback.py", fallbackPython), file("fallback.js", fallbackNode)
	port, many := fmt.Sprint(live.Port()), fmt.Sprint(times)
	// Debian's curl has no resolver of its own, and so reads the hosts, too.
	curl := `for i in $(seq "$2"); do curl -sS -o /dev/null -w '%{time_connect}e3 %{remote_ip}\n' "http://$1/"; done`
	for client, words := range map[string]func(name string) []string{
		"curl":   func(name string) []string { return []string{"sh", "-c", curl, "sh", name + ":" + port, many} },
		"Python": func(name string) []string { return []string{"python3", python, name, port, many} },
		"Node":   func(name string) []string { return []string{"node", node, name, port, many} },
		"Go": func(name string) []string {
			return append([]string{"env", roleVariable + "=fallback"}, role(t, "fallback", name+":"+port, many).Args...)
		},
	} {
		direct, intercepted := newClient(t, server), newClient(t, server)
		intercepted.run(t, "--upstream", "*")
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			for name := range names {
				took := func(h *host) time.Duration {
					cmd := program(t, "unshare", append([]string{"--mount", "--", "sh", "-c", `mount --bind "$0" /etc/hosts && exec "$@"`, hosts}, words(name)...)...)
					var all []time.Duration
					for _, line := range printed(t, h, cmd) {
						ms, peer, _ := strings.Cut(line, " ")
						if v, err := strconv.ParseFloat(ms, 64); err != nil || !strings.Contains(peer, live.Addr().String()) {
							t.Fatalf("%s: %q, want %v: %v", name, line, live, err)
						} else {
							all = append(all, time.Duration(v*float64(time.Millisecond)))
						}
					}
					if len(all) != times {
						t.Fatalf("%s: %d connects, want %d", name, len(all), times)
					}
					return slices.Min(all) // the others had to wait for a processor, too
				}
				without, with := took(direct), took(intercepted)
				t.Logf("%s: %v without the agent, %v with it", name, without, with)
				if (with - without).Abs() > 20*time.Millisecond {
					t.Errorf("%s: %v with the agent, %v without", name, with, without)
				}
				if silent := name == "silent.test"; silent != (without > 100*time.Millisecond) {
					t.Errorf("%s: it took %v without the agent", name, without)
				}
			}
		})
	}
}
