package e2e

import (
	_ "embed"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	//go:embed testdata/connect/connect.py
	connectPython string
	//go:embed testdata/connect/connect.js
	connectNode string
	//go:embed testdata/connect/Connect.java
	connectJava string
)

// TestConnectTruth connects to upstreams of every kind with clients of every
// kind, with an idle agent and without: they cannot tell, and wait as long.
func TestConnectTruth(t *testing.T) {
	needs(t, "ip", "python3", "node", "java", "curl", "psql")
	server := newServer(t)
	server.routes(t)
	server.greets(t, 7001, false)
	server.greets(t, 7002, true)
	direct, agent := newClient(t, server), newClient(t, server)
	agent.run(t, "--upstream", "*")
	for nth, test := range []struct {
		name   string
		client func(t *testing.T, h *host, targets []string) []string
	}{
		{"Python", told("python3", "connect.py", connectPython)},
		{"Node", told("node", "connect.js", connectNode)},
		{"Java", told("java", "Connect.java", connectJava)},
		{"Go", func(t *testing.T, h *host, targets []string) []string {
			// A router says only now and then that it knows no way (five
			// times, and then once a second), so nobody else asks for it.
			return printed(t, h, role(t, "dial", append(targets, nowhere4+"/7001")...))
		}},
		{"curl", each(curlOnce)},
		{"psql", each(psqlOnce)},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var want, got []string
			var both sync.WaitGroup
			both.Go(func() { want = test.client(t, direct, targets(direct, server, nth)) })
			both.Go(func() { got = test.client(t, agent, targets(agent, server, nth)) })
			both.Wait()
			if len(want) != len(got) || len(want) == 0 {
				t.Fatalf("%d results with the agent, %d without", len(got), len(want))
			}
			for i := range want {
				// The two clients have networks of their own.
				if w := strings.ReplaceAll(want[i], direct.v4.String(), agent.v4.String()); shownAlike(w) != shownAlike(got[i]) {
					t.Errorf("with the agent:\n%s\nwithout:\n%s", got[i], want[i])
				}
				// What the clients of both compute meanwhile is not told apart.
				if off := (waited(t, got[i]) - waited(t, want[i])).Abs(); off > 700*time.Millisecond {
					t.Errorf("%v apart: with the agent:\n%s\nwithout:\n%s", off, got[i], want[i])
				}
			}
		})
	}
}

// changing is what differs from one attempt to the next: networks of clients
// and times.
var changing = regexp.MustCompile(`10\.77\.\d+|fd77:\d+|\d+ ms`)

func shownAlike(s string) string { return changing.ReplaceAllString(s, "#") }

// waited is the last thing that a client says of an attempt.
func waited(t *testing.T, line string) time.Duration {
	t.Helper()
	all := regexp.MustCompile(`(\d+) ms`).FindAllStringSubmatch(line, -1)
	if all == nil {
		t.Fatalf("no time in %q", line)
	}
	return time.Duration(number(t, all[len(all)-1][1])) * time.Millisecond
}

// routes makes a server the router to hosts that do not answer.
func (h *host) routes(t *testing.T) {
	t.Helper()
	h.set(t, "ipv4/ip_forward", "1")
	h.set(t, "ipv6/conf/all/forwarding", "1")
	// Each refusal is told, and not only some of a second.
	h.set(t, "ipv4/icmp_ratelimit", "0")
	h.set(t, "ipv6/icmp/ratelimit", "0")
	err := h.ns.Do(func() error {
		for _, prefix := range []string{silent4 + "/24", silent6 + "/48"} {
			if out, err := exec.Command("ip", "route", "add", "blackhole", prefix).CombinedOutput(); err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Networks behind the server: of one nothing is ever heard, to the other it
// knows no way.
const (
	silent4, silent6   = "203.0.113.0", "2001:db8:3::"
	nowhere4, nowhere6 = "198.51.100.1", "2001:db8:2::1"
)

// targets is what a client connects to. Each has absent neighbours of its own:
// how long one is waited for goes by when somebody asked for it first.
func targets(client, server *host, nth int) []string {
	absent4, absent6 := client.v4.Next().Next().Next(), client.v6.Next().Next().Next()
	for range nth {
		absent4, absent6 = absent4.Next(), absent6.Next()
	}
	var all []string
	for _, to := range []struct {
		addr netip.Addr
		port int
	}{
		{server.v4, 7001}, {server.v4, 7002}, {server.v4, 1},
		{absent4, 7001}, {netip.MustParseAddr(silent4).Next(), 7001},
		{server.v6, 7001}, {server.v6, 7002}, {server.v6, 1},
		{absent6, 7001}, {netip.MustParseAddr(nowhere6), 7001}, {netip.MustParseAddr(silent6).Next(), 7001},
	} {
		all = append(all, fmt.Sprintf("%v/%d", to.addr, to.port))
		if to.addr.Is4() {
			all = append(all, fmt.Sprintf("::ffff:%v/%d", to.addr, to.port))
		}
	}
	return all
}

// greets serves a greeting, or a moment and then a reset.
func (h *host) greets(t *testing.T, port int, resets bool) {
	t.Helper()
	for _, addr := range []netip.Addr{h.v4, h.v6} {
		ln := h.listen(t, netip.AddrPortFrom(addr, uint16(port)).String())
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				go func() {
					if resets {
						time.Sleep(100 * time.Millisecond)
						_ = c.(*net.TCPConn).SetLinger(0)
					} else {
						fmt.Fprint(c, "hello")
						_ = c.(*net.TCPConn).CloseWrite()
						_, _ = io.Copy(io.Discard, c)
					}
					c.Close()
				}()
			}
		}()
	}
}

// told is a client that is told all targets, and tells a line of each.
func told(interpreter, file, source string) func(*testing.T, *host, []string) []string {
	return func(t *testing.T, h *host, targets []string) []string {
		path := writeFile(t, filepath.Join(sharedDir(t), file), source)
		return printed(t, h, program(t, interpreter, append([]string{path}, targets...)...))
	}
}

func printed(t testing.TB, h *host, cmd *exec.Cmd) []string {
	t.Helper()
	p := start(t, h, cmd)
	if code := p.await(t); code != 0 {
		t.Errorf("%s: exit %d\n%s", cmd.Path, code, tail(&p.stderr))
	}
	return strings.Split(strings.TrimSpace(p.stdout.String()), "\n")
}

// each runs a client for each target, all at once.
func each(once func(t *testing.T, h *host, host, port string) string) func(*testing.T, *host, []string) []string {
	return func(t *testing.T, h *host, targets []string) []string {
		lines := make([]string, len(targets))
		var all sync.WaitGroup
		for i, target := range targets {
			host, port, _ := strings.Cut(target, "/")
			all.Go(func() {
				began := time.Now()
				said := once(t, h, host, port)
				lines[i] = fmt.Sprintf("%s %s %d ms", target, said, time.Since(began).Milliseconds())
			})
		}
		all.Wait()
		return lines
	}
}

func curlOnce(t *testing.T, h *host, host, port string) string {
	p := start(t, h, program(t, "curl", "-sS", "--http0.9", "--connect-timeout", "5", "--max-time", "8", "http://"+net.JoinHostPort(host, port)+"/"))
	code := p.await(t)
	return fmt.Sprintf("exit %d: %s%s", code, p.stdout.String(), p.stderr.String())
}

func psqlOnce(t *testing.T, h *host, host, port string) string {
	p := start(t, h, program(t, "psql", "-c", "", fmt.Sprintf("host=%s port=%s user=u dbname=d sslmode=disable connect_timeout=5", host, port)))
	code := p.await(t)
	return fmt.Sprintf("exit %d: %s", code, p.stderr.String())
}
