package demo

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// screen stands in for a terminal: it keeps everything, and hands out the first text as soon as it comes.
type screen struct {
	first chan string

	mu  sync.Mutex
	all strings.Builder
}

func newScreen() *screen { return &screen{first: make(chan string, 1)} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all.Len() == 0 {
		s.first <- string(p)
	}
	return s.all.Write(p)
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// running is a demo between its page and its end.
type running struct {
	url  string
	page string
	// stop ends the demo, checks that it ends well, and returns all of its output.
	stop func() string
}

var addressLine = regexp.MustCompile(`^demo on (http://\S+)   Ctrl-C ends it\n`)

func start(t *testing.T, cfg Config) running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out := newScreen()
	cfg.Out = out
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, cfg) }()
	stop := sync.OnceValue(func() string {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run = %v, want nil", err)
		}
		return out.text()
	})
	select {
	case page := <-out.first:
		match := addressLine.FindStringSubmatch(page)
		if match == nil {
			t.Fatalf("no address in the page:\n%s", page)
		}
		t.Cleanup(func() { stop() })
		return running{url: match[1], page: page, stop: stop}
	case err := <-ended:
		t.Fatalf("Run = %v before its page", err)
	}
	panic("unreachable")
}

// stub serves a remote host on loopback.
func stub(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return srv
}

// client never reuses a connection, so none of it outlives a test.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// reply is what came back for one request.
type reply struct {
	status int
	header http.Header
	body   string
}

func send(t *testing.T, method, url, contentType, body string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(got)}
}

func get(t *testing.T, url string) reply {
	t.Helper()
	return send(t, http.MethodGet, url, "", "")
}

func TestPage(t *testing.T) {
	const want = `demo on http://127.0.0.1:7070   Ctrl-C ends it
  GET /           a page                    GET /ping         asks a remote host
  GET /multi      asks two hosts            GET /ping/myself  asks this server
  POST /uppercase {"content": "text"}
try   curl -w '%{time_total} s\n' http://127.0.0.1:7070/
slow  the same with -x http://127.0.0.1:3180 while ` + "`fault run`" + ` is up

`
	if got := page(netip.MustParseAddrPort("127.0.0.1:7070")); got != want {
		t.Errorf("page:\n%s\nwant:\n%s", got, want)
	}
}

func TestPageAddresses(t *testing.T) {
	for bound, want := range map[string][2]string{
		"0.0.0.0:80":        {"http://0.0.0.0:80", "http://127.0.0.1:80"},
		"[::]:80":           {"http://[::]:80", "http://[::1]:80"},
		"10.1.2.3:80":       {"http://10.1.2.3:80", "http://10.1.2.3:80"},
		"[fe80::1%eth0]:80": {"http://[fe80::1%25eth0]:80", "http://[fe80::1%25eth0]:80"},
	} {
		got := page(netip.MustParseAddrPort(bound))
		if !strings.HasPrefix(got, "demo on "+want[0]+" ") || !strings.Contains(got, `\n' `+want[1]+"/\n") {
			t.Errorf("page(%s) does not show %v:\n%s", bound, want, got)
		}
	}
}

func TestListensWhereAsked(t *testing.T) {
	for _, host := range []string{"", "127.0.0.1", "localhost", "0.0.0.0", "::1", "[::1]", "::"} {
		t.Run(host, func(t *testing.T) {
			if strings.Contains(host, ":") {
				probe, err := net.Listen("tcp6", "[::1]:0")
				if err != nil {
					t.Skip("no IPv6 here")
				}
				probe.Close()
			}
			demo := start(t, Config{Host: host})
			if host == "0.0.0.0" && !strings.HasPrefix(demo.url, "http://0.0.0.0:") {
				t.Errorf("bound to %s, want IPv4 only", demo.url)
			}
			// Its own address must work wherever it is bound, and only the server knows how to reach itself.
			if got := get(t, demo.url+"/ping/myself"); got.status != 200 || got.body != helloWorld {
				t.Errorf("got %d %q", got.status, got.body)
			}
		})
	}
}

func TestAddressInUse(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := ln.Addr().(*net.TCPAddr).Port
	var out strings.Builder
	err = Run(t.Context(), Config{Port: uint16(taken), Out: &out})
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("Run = %v, want EADDRINUSE", err)
	}
	if want := "listen on 127.0.0.1:" + strconv.Itoa(taken) + ": address already in use"; err.Error() != want {
		t.Errorf("Run = %q, want %q", err, want)
	}
	if out.Len() > 0 {
		t.Errorf("printed %q although nothing is served", out.String())
	}
}

func TestUnusableAddress(t *testing.T) {
	err := Run(t.Context(), Config{Host: "no such\nhost"})
	if err == nil || !strings.HasPrefix(err.Error(), "listen on ") {
		t.Errorf("Run = %v, want an error of listening", err)
	}
}

func TestEndedBeforeItBegan(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, host := range []string{"127.0.0.1", "localhost"} {
		if err := Run(ctx, Config{Host: host}); err != nil {
			t.Errorf("Run on %s = %v, want nil", host, err)
		}
	}
}
