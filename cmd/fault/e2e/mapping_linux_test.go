package e2e

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestMappings reaches real servers by mappings of every kind.
func TestMappings(t *testing.T) {
	needs(t, "nginx", "curl", "postgres", "psql")
	server := newServer(t)
	ca := filepath.Join(server.serveWeb(t), "ca.pem")
	pgCA := server.servePostgresTLS(t)
	server.serveEchoUDP(t, "192.0.2.10:5300")
	h := newClient(t, server)
	h.run(t, "--tls-ca", joined(t, ca, pgCA), "--transparent", "off",
		"--proxy", "9080=192.0.2.10:80",
		"--proxy", "127.0.0.1:9443=https://192.0.2.10",
		"--proxy", "http:localhost:9081=https://192.0.2.10:443",
		"--proxy", "[::1]:9082=http://[2001:db8::10]",
		"--proxy", "15432=psql://192.0.2.10", "--proxy", "15433=psqls://192.0.2.10",
		"--proxy", "udp:127.0.0.1:5301=192.0.2.10:5300",
	)
	for _, url := range []string{"http://127.0.0.1:9080/", "http://127.0.0.1:9443/", "http://127.0.0.1:9081/", "http://[::1]:9082/"} {
		if said := answer(t, h, program(t, "curl", "-sS", "--max-time", "20", url)); said != page {
			t.Errorf("%s: %q", url, said)
		}
	}
	// The server says whether it sees TLS; psql's own asking for it is refused
	// by the one mapping, and passed on by the other.
	for port, mode := range map[string]string{"15433": "prefer", "15432": "require"} {
		ask := program(t, "psql", "-XAtq", "-h", "127.0.0.1", "-p", port, "-U", "postgres",
			"-c", "select ssl from pg_stat_ssl where pid = pg_backend_pid()")
		ask.Env = append(ask.Env, "PGSSLMODE="+mode)
		if said := answer(t, h, ask); said != "t" {
			t.Errorf("port %s: %q", port, said)
		}
	}
	if met := (visitor{network: "udp", address: "127.0.0.1:5301"}).visit(t, h); met.direct {
		t.Error("datagrams did not come by the mapping")
	}
}

// TestMappingVerifies holds that a certificate is looked at, unless told not
// to.
func TestMappingVerifies(t *testing.T) {
	needs(t, "nginx", "curl")
	server := newServer(t)
	server.serveWeb(t)
	strict, lax := newClient(t, server), newClient(t, server)
	mappings := []string{"--transparent", "off", "--proxy", "9443=https://192.0.2.10", "--proxy", "http:9081=https://192.0.2.10"}
	a := strict.run(t, mappings...)
	const reset, gotNothing = 56, 52
	if _, stderr, code := finish(t, strict, program(t, "curl", "-sS", "--max-time", "20", "http://127.0.0.1:9443/")); code != reset && code != gotNothing {
		t.Errorf("exit %d, %s", code, stderr)
	}
	said := answer(t, strict, program(t, "curl", "-sS", "--max-time", "20", "-w", " %{http_code}", "http://127.0.0.1:9081/"))
	if !strings.HasSuffix(said, " 502") || !strings.Contains(said, "certificate signed by unknown authority") {
		t.Errorf("the client was told %q", said)
	}
	if s := a.stop(t); s.errors["TLS failed"] != 2 {
		t.Errorf("the summary has %+v", s)
	}
	p := start(t, lax, fault(append([]string{"run", "--tls-skip-verify"}, mappings...)...))
	p.says(t, "\nready after ")
	for _, url := range []string{"http://127.0.0.1:9443/", "http://127.0.0.1:9081/"} {
		if said := answer(t, lax, program(t, "curl", "-sS", "--max-time", "20", url)); said != page {
			t.Errorf("%s: %q", url, said)
		}
	}
	if text := p.stderr.String(); !strings.Contains(text, "warning: --tls-skip-verify") {
		t.Errorf("not warned: %s", text)
	}
	p.signal(t, syscall.SIGTERM)
}

// joined is the certificates of several files in one.
func joined(t *testing.T, files ...string) string {
	t.Helper()
	var all strings.Builder
	for _, f := range files {
		all.WriteString(readFile(t, f))
	}
	return writeFile(t, filepath.Join(sharedDir(t), "all.pem"), all.String())
}

// TestUpstreamOverride sends whatever is asked for to one place.
func TestUpstreamOverride(t *testing.T) {
	needs(t, "nginx", "curl")
	server := newServer(t)
	ca := filepath.Join(server.serveWeb(t), "ca.pem")
	plain, secure := newClient(t, server), newClient(t, server)
	a := plain.run(t, "--transparent", "off", "--http-upstream-override", "192.0.2.10:80")
	b := secure.run(t, "--transparent", "off", "--http-upstream-override", "https://192.0.2.10", "--tls-ca", ca)
	for _, tunnel := range []string{"--proxy", "--proxytunnel"} {
		args := []string{"-sS", "--max-time", "20", "--proxy", "http://" + a.proxy, "http://nowhere.invalid/"}
		if tunnel == "--proxytunnel" {
			args = append(args, tunnel)
		}
		if said := answer(t, plain, program(t, "curl", args...)); said != page {
			t.Errorf("%s: %q", tunnel, said)
		}
	}
	if said := answer(t, secure, program(t, "curl", "-sS", "--max-time", "20", "--proxy", "http://"+b.proxy, "http://nowhere.invalid/")); said != page {
		t.Errorf("over TLS: %q", said)
	}
}

// TestNoProxy opens no more than the mapping.
func TestNoProxy(t *testing.T) {
	needs(t, "nginx", "curl")
	server := newServer(t)
	server.serveWeb(t)
	h := newClient(t, server)
	p := start(t, h, fault("run", "--disable-http-proxy", "--upstream", "*", "--transparent", "off", "--proxy", "3180=192.0.2.10:80"))
	p.says(t, "\nready after ")
	if at := p.listening(); len(at) != 1 {
		t.Errorf("it listens at %v", at)
	}
	if said := answer(t, h, program(t, "curl", "-sS", "--max-time", "20", "http://127.0.0.1:3180/")); said != page {
		t.Errorf("%q", said)
	}
	p.signal(t, syscall.SIGTERM)
	p.endsWithin(t, patience, 0)
}
