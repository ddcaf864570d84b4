package e2e

import (
	"context"
	"crypto/tls"
	_ "embed"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// identityConf is a web server that says at which address it was reached: plain,
// with TLS, and as HTTP/2 without TLS.
const identityConf = `
daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path tmp-body;
	proxy_temp_path tmp-proxy;
	fastcgi_temp_path tmp-fastcgi;
	uwsgi_temp_path tmp-uwsgi;
	scgi_temp_path tmp-scgi;
	server {
		listen 80;
		listen [::]:80;
		listen 443 ssl;
		listen [::]:443 ssl;
		listen 8080 http2;
		ssl_certificate server.pem;
		ssl_certificate_key server.key;
		location / { return 200 "$server_addr"; }
	}
}
`

func (h *host) serveIdentity(t *testing.T) {
	t.Helper()
	dir := sharedDir(t)
	certify(t, dir, h.v4)
	conf := writeFile(t, filepath.Join(dir, "nginx.conf"), identityConf)
	p := start(t, h, program(t, "nginx", "-p", dir, "-c", conf))
	h.awaitPort(t, p, 443)
}

//go:embed testdata/named.py
var namedPython string

// reach asks a web server for its identity over a connection whose segments are
// small, and says how long that took and what it is.
func reach(args []string) error {
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		cerr := c.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, 300)
		})
		if cerr != nil {
			return cerr
		}
		return err
	}}
	family := map[string]string{"-4": "ip4", "-6": "ip6"}[args[0]]
	web := http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			found, err := net.DefaultResolver.LookupNetIP(ctx, family, host)
			if err != nil {
				return nil, err
			}
			return d.DialContext(ctx, "tcp", net.JoinHostPort(found[0].String(), port))
		},
	}}
	began := time.Now()
	_, body, err := fetchPage(&web, args[1])
	if err == nil {
		fmt.Println(body, time.Since(began).Seconds())
	}
	return err
}

// TestSharedAddresses has several names for each address, which are told apart
// by what real clients say first.
func TestSharedAddresses(t *testing.T) {
	needs(t, "unshare", "mount", "nginx", "curl", "python3", "initdb", "postgres", "psql")
	const delay = 700 * time.Millisecond
	// The answers of this test are heard by the agents of others, too.
	server := newServerAt(t, netip.MustParseAddr("192.0.2.110"), netip.MustParseAddr("2001:db8::110"))
	for _, a := range []string{"192.0.2.111/32", "192.0.2.112/32", "192.0.2.120/32", "192.0.2.121/32", "192.0.2.122/32", "192.0.2.123/32", "198.51.100.7/32"} {
		if err := server.ns.AddAddr("lo", netip.MustParsePrefix(a)); err != nil {
			t.Fatal(err)
		}
	}
	server.serveIdentity(t)
	server.servePostgres(t)
	greeter := server.serveEcho(t, netip.AddrPortFrom(server.v4, 7000).String())
	h := newClient(t, server)

	addrs := func(texts ...string) (all []netip.Addr) {
		for _, text := range texts {
			all = append(all, netip.MustParseAddr(text))
		}
		return all
	}
	rotating := addrs("192.0.2.120", "192.0.2.121", "192.0.2.122", "192.0.2.123")
	h.serveNames(t, "127.0.0.1:53", func(name string) []netip.Addr {
		switch name {
		case "api.shared.test.", "www.shared.test.":
			return []netip.Addr{server.v4, server.v6}
		case "some.wild.test.", "not.wild.test.":
			return addrs("192.0.2.111")
		case "rotating.test.":
			return rotating[time.Now().Unix()%4:][:1]
		case "steady.test.":
			return rotating
		case "in.range.test.", "out.range.test.":
			return addrs("198.51.100.7")
		}
		return nil
	})
	resolver := h.resolving(t, "192.0.2.112 api.file.test\n192.0.2.112 www.file.test\n192.0.2.112 down.known.test\n")
	path, flag := eventsFile(t)
	a := h.runs(t, resolver(fault("run", flag, "--upstream", "api.shared.test,api.file.test,*.known.test,*.wild.test,!not.wild.test,rotating.test,198.51.100.0/24,!out.range.test",
		"--with-latency", "--latency-mean", strconv.FormatInt(delay.Milliseconds(), 10), "--latency-stddev", "0")))

	clients := map[string]func(args ...string) *exec.Cmd{
		"curl": func(args ...string) *exec.Cmd {
			return program(t, "curl", append([]string{"-sSk", "--http1.1", "--max-time", "20", "-w", " %{time_total}"}, args...)...)
		},
		"curl of HTTP/2": func(args ...string) *exec.Cmd {
			return program(t, "curl", append([]string{"-sS", "--http2-prior-knowledge", "--max-time", "20", "-w", " %{time_total}"}, args...)...)
		},
		"Python": func(args ...string) *exec.Cmd {
			return script(t, "python3", "named.py", namedPython, args...)
		},
		"Go in small segments": func(args ...string) *exec.Cmd { return role(t, "reach", args...) },
	}
	// ask has a client ask for an identity, and says whether it took so long that
	// it may have been delayed.
	ask := func(t *testing.T, client string, args ...string) (identity string, long bool) {
		t.Helper()
		said := strings.Fields(answer(t, h, resolver(clients[client](args...))))
		if len(said) != 2 {
			t.Fatalf("%s said %q", client, said)
		}
		seconds, err := strconv.ParseFloat(said[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return said[0], time.Duration(seconds*float64(time.Second)) >= delay
	}
	// Before, so that it is known which names have an address.
	for _, name := range []string{"www.shared.test", "some.wild.test", "not.wild.test", "steady.test", "in.range.test", "out.range.test"} {
		answer(t, h, resolver(program(t, "python3", "-c", "import socket,sys; socket.getaddrinfo(sys.argv[1], 80)", name)))
	}

	type flow struct{ name, by, verdict string }
	var mu sync.Mutex
	want := make(map[flow]int)
	expects := func(f flow) {
		mu.Lock()
		defer mu.Unlock()
		want[f]++
	}
	t.Run("clients", func(t *testing.T) {
		for _, tc := range []struct {
			client, scheme, by string
			families           []string
		}{
			{"curl", "https://", "sni", []string{"-4", "-6"}},
			{"curl", "http://", "host", []string{"-4", "-6"}},
			{"Python", "https://", "sni", []string{"-4", "-6"}},
			{"Python", "http://", "host", []string{"-4", "-6"}},
			{"Go in small segments", "https://", "sni", []string{"-4", "-6"}},
			{"curl of HTTP/2", "http://", "host", []string{"-4"}},
		} {
			for name, meant := range map[string]bool{
				"api.shared.test": true, "www.shared.test": false, "some.wild.test": true, "not.wild.test": false,
				"in.range.test": true, "out.range.test": false,
				"api.file.test": true, "www.file.test": false, "down.known.test": true,
			} {
				for _, family := range tc.families {
					if family == "-6" && !strings.HasSuffix(name, ".shared.test") {
						continue
					}
					t.Run(tc.client+" "+tc.scheme+name+family, func(t *testing.T) {
						t.Parallel()
						url := tc.scheme + name + "/"
						if tc.client == "curl of HTTP/2" {
							url = tc.scheme + name + ":8080/"
						}
						verdict := map[bool]string{true: "matched", false: "passed"}[meant]
						expects(flow{name, tc.by, verdict})
						if _, long := ask(t, tc.client, family, url); meant && !long {
							t.Error("not delayed")
						}
					})
				}
			}
		}
		t.Run("rotating", func(t *testing.T) {
			t.Parallel()
			met := make(map[string]bool)
			for end := time.Now().Add(2500 * time.Millisecond); time.Now().Before(end); {
				expects(flow{"rotating.test", "host", "matched"})
				identity, long := ask(t, "curl", "-4", "http://rotating.test/")
				met[identity] = true
				if !long {
					t.Errorf("%s is not delayed", identity)
				}
				expects(flow{"steady.test", "host", "passed"})
				ask(t, "curl", "--resolve", "steady.test:80:"+identity, "http://steady.test/")
			}
			if len(met) < 2 {
				t.Errorf("the name has rotated among %v", slices.Collect(maps.Keys(met)))
			}
		})
		t.Run("a server that speaks first", func(t *testing.T) {
			t.Parallel()
			expects(flow{greeter, "ambiguous", "passed"})
			if met := (visitor{network: "tcp", address: greeter}).visit(t, h); met.direct {
				t.Error("it has met nobody on its way")
			}
		})
		t.Run("psql", func(t *testing.T) {
			t.Parallel()
			expects(flow{netip.AddrPortFrom(server.v4, 5432).String(), "ambiguous", "passed"})
			if said := answer(t, h, resolver(program(t, "psql", "-XAtq", "-h", "api.shared.test", "-U", "postgres", "-c", "select 1"))); said != "1" {
				t.Errorf("psql said %q", said)
			}
		})
	})
	s := a.stop(t)
	got := make(map[flow]int)
	for _, f := range readEvents(t, path).flows {
		if f.State != "ended" {
			continue
		}
		name := f.Upstream.Host
		if name == "" {
			name = net.JoinHostPort(f.Upstream.IP, strconv.Itoa(int(f.Upstream.Port)))
		}
		got[flow{name, f.Upstream.MatchedBy, f.Verdict}]++
		if (f.Verdict == "matched") != (len(f.Faults) > 0) {
			t.Errorf("a flow to %s was %s, and what was done is %+v", name, f.Verdict, f.Faults)
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("flows %v\nwant %v", got, want)
	}
	if passed := parts(t, a.stdout.String(), "passed"); passed["ambiguous name"] != 2 || s.passed != passed["ambiguous name"]+passed["upstream not matched"] {
		t.Errorf("the summary has %v of %d passed", passed, s.passed)
	}
}
