package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// curlSays runs curl, and gives what it wrote, why it failed, its exit status
// and how long it took.
func (h *host) curlSays(t *testing.T, args ...string) (stdout, stderr string, code int, took time.Duration) {
	t.Helper()
	began := time.Now()
	stdout, stderr, code = finish(t, h, program(t, "curl", append([]string{"-sS", "--max-time", "20"}, args...)...))
	return stdout, stderr, code, time.Since(began)
}

// TestCutShort measures how much of a page arrives before a connection is cut,
// and how curl hears of it.
func TestCutShort(t *testing.T) {
	needs(t, "curl")
	t.Parallel()
	const limit, partial, reset = 100_000, 18, 56
	server := newServer(t)
	m := server.serveMeasurer(t)
	for fault, want := range map[string]int{"reset": reset, "truncate": partial} {
		h := newClient(t, server)
		a := h.run(t, append(m.mappings(), "--with-"+fault, "--"+fault+"-after-bytes", fmt.Sprint(limit), "--upstream", "*")...)
		t.Run(fault, func(t *testing.T) {
			for _, by := range a.paths(m) {
				// Of the forward proxy it is the body that counts.
				args := append(by.args, "--suppress-connect-headers", m.url("http", "bytes/300000"))
				if by.name != "forward" {
					args = append(args, "-i")
				}
				stdout, stderr, code, _ := h.curlSays(t, args...)
				if code != want || len(stdout) != limit {
					t.Errorf("%s: exit %d after %d bytes, want %d after %d: %s", by.name, code, len(stdout), want, limit, stderr)
				}
			}
			if s := a.stop(t); s.matched != 4 || s.cutOff != 0 || len(s.errors) != 0 {
				t.Errorf("the summary has %+v", s)
			}
		})
	}
}

// TestResetAfter has connections that say nothing be reset in time.
func TestResetAfter(t *testing.T) {
	needs(t, "initdb", "postgres", "psql")
	t.Parallel()
	const age = time.Second
	server := newServer(t)
	server.servePostgres(t)
	h := newClient(t, server)
	h.run(t, "--with-reset", "--reset-after", "1s", "--upstream", "*:5432")
	began := time.Now()
	_, stderr, code := finish(t, h, program(t, "psql", "-XAtq", "-h", server.v4.String(), "-U", "postgres", "-c", "SELECT pg_sleep(10)"))
	if took := time.Since(began); code != 2 || !strings.Contains(stderr, "server closed the connection unexpectedly") || took < age || took > 2*age {
		t.Errorf("exit %d after %v: %s", code, took, stderr)
	}
}

// TestSliced measures how long a page takes that comes in pieces, and how long
// an end takes that comes late.
func TestSliced(t *testing.T) {
	needs(t, "curl")
	t.Parallel()
	const size, pause, late, usual = 100, 20 * time.Millisecond, 700 * time.Millisecond, 300 * time.Millisecond
	server := newServer(t)
	server.greets(t, 7001, false)
	m := server.serveMeasurer(t)

	h := newClient(t, server)
	h.run(t, "--with-slice", "--slice-size", fmt.Sprint(size), "--slice-delay", fmt.Sprint(pause.Milliseconds()), "--upstream", "*")
	stdout, stderr, code, took := h.curlSays(t, "-i", m.url("http", "bytes/2000"))
	want := time.Duration((len(stdout)-1)/size) * pause // between the pieces
	if code != 0 || len(stdout) < 2000 || took < want || took > want+usual {
		t.Errorf("exit %d, %d bytes in %v, want %v: %s", code, len(stdout), took, want, stderr)
	}

	h = newClient(t, server)
	h.run(t, "--with-slow-close", "--slow-close-delay", fmt.Sprint(late.Milliseconds()), "--upstream", "*")
	stdout, stderr, code, took = h.curlSays(t, "--http0.9", fmt.Sprintf("http://%v:7001/", server.v4))
	if code != 0 || stdout != "hello" || took < late || took > late+usual {
		t.Errorf("exit %d, %q after %v, want the end after %v: %s", code, stdout, took, late, stderr)
	}
}

// TestConnectErrors has connects fail in each way, and clients say why.
func TestConnectErrors(t *testing.T) {
	needs(t, "curl", "psql")
	t.Parallel()
	server := newServer(t)
	m := server.serveMeasurer(t)
	for kind, want := range map[string]struct {
		curl, psql string // what they say
		status     string // of CONNECT
	}{
		"refused":          {`Connection refused\n(?s:.*)\(7\)`, "Connection refused", "502"},
		"host-unreachable": {`No route to host\n(?s:.*)\(7\)`, "No route to host", "502"},
		"net-unreachable":  {`Network is unreachable\n(?s:.*)\(7\)`, "Network is unreachable", "502"},
		"timeout":          {`\(28\)`, "timeout expired", "504"},
		"reset":            {`\(7|55|56\)`, "reset by peer|server closed the connection unexpectedly", "200"}, // by when they look
	} {
		h := newClient(t, server)
		a := h.run(t, "--with-connect-error", "--connect-error-kind", kind, "--upstream", "*")
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			_, stderr, _, _ := h.curlSays(t, "-v", "--connect-timeout", "1", m.url("http", "page"))
			if !regexp.MustCompile(want.curl).MatchString(stderr) {
				t.Errorf("curl: %s, want %s", stderr, want.curl)
			}
			stdout, stderr, code, _ := h.curlSays(t, "--proxytunnel", "-x", "http://"+a.proxy, "-w", "%{http_connect}", m.url("http", "page"))
			if code == 0 || stdout != want.status {
				t.Errorf("curl by CONNECT: exit %d; answered %s, want %s: %s", code, stdout, want.status, stderr)
			}
			_, stderr, code = finish(t, h, program(t, "psql", "-c", "", fmt.Sprintf("host=%v user=u dbname=d sslmode=disable connect_timeout=2", server.v4)))
			if code != 2 || !regexp.MustCompile(want.psql).MatchString(stderr) {
				t.Errorf("psql: exit %d, want %q: %s", code, want.psql, stderr)
			}
			if s := a.stop(t); s.matched != 3 || s.errors["failed by a fault"] != 3 {
				t.Errorf("the summary has %+v", s)
			}
		})
	}
	if n := m.accepted.Load(); n != 0 {
		t.Errorf("%d connections got to the server", n)
	}
}
