package demo

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/faultproxy/fault/agent/lines"
)

// forwarder is a small forward proxy that remembers what it was asked for. It carries requests for loopback and answers
// those for other hosts itself.
type forwarder struct {
	*httptest.Server

	mu    sync.Mutex
	asked []string
}

func newForwarder(t *testing.T) *forwarder {
	f := &forwarder{}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *forwarder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.asked = append(f.asked, r.Method+" "+r.RequestURI)
	f.mu.Unlock()
	switch {
	case r.Method == http.MethodConnect:
		http.Error(w, "no tunnels here", http.StatusForbidden)
	case r.URL.Hostname() == "127.0.0.1":
		resp, err := client.Get(r.RequestURI)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	default:
		io.WriteString(w, `{"from":"proxy"}`)
	}
}

func (f *forwarder) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

// environment looks variables up in pairs of name and value.
func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestFetchesThroughTheProxy(t *testing.T) {
	via := newForwarder(t)
	hostPort := strings.TrimPrefix(via.URL, "http://")
	for name, getenv := range map[string]func(string) string{
		"URL":        environment("HTTP_PROXY", via.URL, "HTTPS_PROXY", via.URL+"/"),
		"host:port":  environment("HTTP_PROXY", hostPort, "HTTPS_PROXY", hostPort),
		"lower case": environment("http_proxy", via.URL, "https_proxy", hostPort),
		"both cases": environment("HTTP_PROXY", via.URL, "http_proxy", "other:1", "HTTPS_PROXY", via.URL),
	} {
		t.Run(name, func(t *testing.T) {
			before := len(via.all())
			demo := start(t, Config{
				Getenv:  getenv,
				EchoURL: "http://echo.invalid/get", ExampleURL: "https://example.invalid/",
			})
			if got := get(t, demo.url+"/ping/myself"); got.status != 200 || got.body != helloWorld {
				t.Errorf("/ping/myself: %d %q", got.status, got.body)
			}
			if got := get(t, demo.url+"/ping"); got.status != 200 || !strings.Contains(got.body, `{"from":"proxy"}`) {
				t.Errorf("/ping: %d %q", got.status, got.body)
			}
			if got := get(t, demo.url+"/multi"); got.status != 502 || !strings.Contains(got.body, "example.invalid") {
				t.Errorf("/multi: %d %q", got.status, got.body)
			}
			asked := via.all()[before:]
			slices.Sort(asked)
			want := []string{
				"CONNECT example.invalid:443",
				"GET " + demo.url + "/",
				"GET http://echo.invalid/get", "GET http://echo.invalid/get",
			}
			if !slices.Equal(asked, want) {
				t.Errorf("the proxy was asked for %q, want %q", asked, want)
			}
		})
	}
}

func TestPingMyselfFailures(t *testing.T) {
	for name, c := range map[string]struct{ proxy, cause string }{
		"other status": {says(t, 503, ""), "status 503"},
		"refused":      {refused(t), "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			demo := start(t, Config{Getenv: environment("HTTP_PROXY", c.proxy)})
			got := get(t, demo.url+"/ping/myself")
			if got.status != 502 || !strings.Contains(got.body, "get "+demo.url+"/: ") || !strings.Contains(got.body, c.cause) {
				t.Errorf("got %d %q, want 502 and %q", got.status, got.body, c.cause)
			}
			if kind := got.header.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain") {
				t.Errorf("content type %q", kind)
			}
		})
	}
}

func TestNoProxy(t *testing.T) {
	via := newForwarder(t)
	demo := start(t, Config{Getenv: environment("HTTP_PROXY", via.URL, "no_proxy", "127.0.0.1")})
	if got := get(t, demo.url+"/ping/myself"); got.status != 200 {
		t.Errorf("got %d %q", got.status, got.body)
	}
	if asked := via.all(); len(asked) > 0 {
		t.Errorf("the proxy was asked for %q", asked)
	}
}

func TestNoProxyEntries(t *testing.T) {
	for _, c := range []struct {
		list, target string
		direct       bool
	}{
		{"", "http://example.com/", false},
		{" , ,", "http://example.com/", false},
		{"*", "http://example.com/", true},
		{"example.com", "http://example.com/", true},
		{"example.com", "http://www.EXAMPLE.com./", true},
		{".example.com", "https://www.example.com/", true},
		{"*.example.com", "http://example.com/", true},
		{"example.com", "http://badexample.com/", false},
		{"example.com", "http://example.com.org/", false},
		{"a, EXAMPLE.com", "http://example.com/", true},
		{"example.com:443", "https://example.com/", true},
		{"example.com:443", "http://example.com/", false},
		{"example.com:8080", "http://example.com:8080/", true},
		{"127.0.0.1", "http://127.0.0.1:7070/", true},
		{"0.0.1", "http://127.0.0.1:7070/", false},
		{"::1", "http://[::1]:7070/", true},
		{"[::1]:7070", "http://[::1]:7070/", true},
		{"[::1]", "http://[::1]:7070/", true},
		{".", "http://example.com/", false},
	} {
		p, err := readProxies(environment("HTTP_PROXY", "p:1", "HTTPS_PROXY", "p:1", "NO_PROXY", c.list))
		if err != nil {
			t.Fatal(err)
		}
		target, err := url.Parse(c.target)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := p.pick(&http.Request{URL: target}); (got == nil) != c.direct {
			t.Errorf("NO_PROXY %q: %s goes through %v, direct should be %t", c.list, c.target, got, c.direct)
		}
	}
}

func TestUnusableProxy(t *testing.T) {
	for _, c := range []struct{ variable, value string }{
		{"HTTP_PROXY", "ftp://me:secret@host:1"},
		{"HTTPS_PROXY", "http://"},
		{"http_proxy", ":3180"},
		{"https_proxy", "http://me:secret@host:port"},
		{"HTTP_PROXY", "host:65536"},
		{"HTTP_PROXY", "host:0"},
		{"HTTP_PROXY", "a b"},
		{"HTTP_PROXY", "http://h\x1b[31m"},
		{"HTTP_PROXY", "://host"},
	} {
		var out strings.Builder
		err := Run(t.Context(), Config{Out: &out, Getenv: environment(c.variable, c.value)})
		proxyErr, ok := errors.AsType[*ProxyError](err)
		if !ok || proxyErr.Variable != c.variable || !strings.Contains(err.Error(), c.variable) {
			t.Errorf("%s=%q: Run = %v, want a ProxyError of that variable", c.variable, c.value, err)
			continue
		}
		if strings.Contains(err.Error(), "secret") || lines.Shown(err.Error(), 1000) != err.Error() {
			t.Errorf("%s=%q: error %q shows what it must not", c.variable, c.value, err)
		}
		if out.Len() > 0 {
			t.Errorf("%s=%q: printed %q", c.variable, c.value, out.String())
		}
	}
}

func TestUsableProxy(t *testing.T) {
	for _, value := range []string{"host", "host:3180", "localhost:1", "[::1]:1", "http://u:p@h:1/path", "HTTPS://h", "socks5://h:1", "socks5h://h"} {
		if _, err := readProxies(environment("HTTP_PROXY", value)); err != nil {
			t.Errorf("HTTP_PROXY=%q: %v", value, err)
		}
	}
}
