package demo

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// refused is a URL where nothing listens while the test lasts: the port is that
// of a client.
func refused(t *testing.T) string {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	c, err := net.Dial("tcp4", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return "http://" + c.LocalAddr().String() + "/get"
}

// says is a host that gives everyone the same answer.
func says(t *testing.T, status int, body string) string {
	return stub(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}).URL
}

func TestRouting(t *testing.T) {
	demo := start(t, Config{})
	for _, c := range []struct {
		method, path string
		status       int
		allow        string
	}{
		{"GET", "/", 200, ""},
		{"HEAD", "/", 200, ""},
		{"POST", "/", 405, "GET, HEAD"},
		{"DELETE", "/ping", 405, "GET, HEAD"},
		{"POST", "/ping/myself", 405, "GET, HEAD"},
		{"PUT", "/multi", 405, "GET, HEAD"},
		{"GET", "/uppercase", 405, "POST"},
		{"GET", "/nothing", 404, ""},
		{"GET", "/ping/else", 404, ""},
	} {
		got := send(t, c.method, demo.url+c.path, "", "")
		if got.status != c.status || got.header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %d, Allow %q; want %d, %q",
				c.method, c.path, got.status, got.header.Get("Allow"), c.status, c.allow)
		}
	}
}

func TestHello(t *testing.T) {
	got := get(t, start(t, Config{}).url+"/")
	if kind := got.header.Get("Content-Type"); !strings.HasPrefix(kind, "text/html") {
		t.Errorf("content type %q", kind)
	}
	if got.body != "<h1>Hello, World!</h1>" {
		t.Errorf("body %q", got.body)
	}
}

// decode reads a JSON object of strings and objects, and nothing else.
func decode(t *testing.T, got reply) map[string]any {
	t.Helper()
	if kind := got.header.Get("Content-Type"); kind != "application/json" {
		t.Errorf("content type %q", kind)
	}
	var doc map[string]any
	if err := json.Unmarshal([]byte(got.body), &doc); err != nil {
		t.Fatalf("body %q: %v", got.body, err)
	}
	return doc
}

var digits = regexp.MustCompile(`^\d+$`)

func checkDuration(t *testing.T, doc map[string]any) {
	t.Helper()
	if ms, ok := doc["duration"].(string); !ok || !digits.MatchString(ms) {
		t.Errorf("duration %v, want milliseconds in a string", doc["duration"])
	}
}

func TestPing(t *testing.T) {
	demo := start(t, Config{EchoURL: says(t, 200, `{"url": "<here>"}`)})
	got := get(t, demo.url+"/ping")
	doc := decode(t, got)
	checkDuration(t, doc)
	if got.status != 200 || len(doc) != 2 || !strings.Contains(got.body, `"content":{"url":"<here>"}`) {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestPingFailures(t *testing.T) {
	for name, c := range map[string]struct{ echo, cause string }{
		"refused":   {refused(t), "connection refused"},
		"not JSON":  {says(t, 200, "<html>"), "answer is not JSON"},
		"empty":     {says(t, 200, ""), "answer is not JSON"},
		"injected":  {says(t, 503, `{}`), "status 503"},
		"too large": {says(t, 200, strings.Repeat(" ", answerLimit+1)), "exceeds"},
		"bad URL":   {"http://host:port/", "unusable URL"},
	} {
		t.Run(name, func(t *testing.T) {
			got := get(t, start(t, Config{EchoURL: c.echo}).url+"/ping")
			doc := decode(t, got)
			cause, _ := doc["error"].(string)
			if got.status != 502 || !strings.HasPrefix(cause, "get ") || !strings.Contains(cause, c.cause) {
				t.Errorf("got %d %s, want 502 and %q", got.status, got.body, c.cause)
			}
		})
	}
}

func TestErrorsHideThePassword(t *testing.T) {
	echo := strings.Replace(refused(t), "http://", "http://me:secret@", 1)
	demo := start(t, Config{EchoURL: echo, ExampleURL: echo})
	answers := get(t, demo.url+"/ping").body + get(t, demo.url+"/multi").body
	if all := answers + demo.stop(); strings.Contains(all, "secret") {
		t.Errorf("the password shows:\n%s", all)
	}
}

func TestEachFetchIsAConnection(t *testing.T) {
	var opened atomic.Int32
	echo := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, `{}`)
	}))
	echo.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	echo.Start()
	defer echo.Close()
	demo := start(t, Config{EchoURL: echo.URL})
	for range 3 {
		get(t, demo.url+"/ping")
	}
	if n := opened.Load(); n != 3 {
		t.Errorf("%d connections for 3 requests", n)
	}
}

func TestMulti(t *testing.T) {
	// Each host answers only once both were asked: the page hangs unless it asks them at the same time.
	var both sync.WaitGroup
	both.Add(2)
	host := stub(t, func(w http.ResponseWriter, _ *http.Request) {
		both.Done()
		both.Wait()
		io.WriteString(w, "anything")
	})
	demo := start(t, Config{EchoURL: host.URL + "/echo", ExampleURL: host.URL + "/example"})
	got := get(t, demo.url+"/multi")
	doc := decode(t, got)
	checkDuration(t, doc)
	if got.status != 200 || doc["content"] != "" || len(doc) != 2 {
		t.Errorf("got %d %s", got.status, got.body)
	}
	text := demo.stop()
	for _, line := range []string{
		"  asks  " + host.URL + "/echo 200 ",
		"  asks  " + host.URL + "/example 200 ",
		"  GET   /multi      200 ",
	} {
		if strings.Count(text, line) != 1 {
			t.Errorf("not one line with %q:\n%s", line, text)
		}
	}
}

func TestMultiFailure(t *testing.T) {
	for name, c := range map[string]struct{ echo, example string }{
		"echo":    {refused(t), says(t, 200, "")},
		"example": {says(t, 200, ""), refused(t)},
		"both":    {refused(t), refused(t)},
	} {
		t.Run(name, func(t *testing.T) {
			demo := start(t, Config{EchoURL: c.echo, ExampleURL: c.example})
			got := get(t, demo.url+"/multi")
			if doc := decode(t, got); got.status != 502 || doc["error"] == nil {
				t.Errorf("got %d %s", got.status, got.body)
			}
			text := demo.stop()
			if strings.Count(text, "  asks  ") != 2 || !regexp.MustCompile(`/get -  .* ms  get http`).MatchString(text) {
				t.Errorf("lines of the two hosts:\n%s", text)
			}
		})
	}
}

func TestManyAtOnce(t *testing.T) {
	demo := start(t, Config{EchoURL: says(t, 200, `{}`), ExampleURL: says(t, 200, "")})
	paths := []string{"/", "/ping", "/ping/myself", "/multi", "/nothing"}
	const rounds = 20
	var all sync.WaitGroup
	for _, path := range paths {
		for range rounds {
			all.Go(func() { get(t, demo.url+path) })
		}
	}
	all.Wait()
	text := strings.TrimPrefix(demo.stop(), demo.page)
	// One line each, one more for what /ping/myself asks of us, two more for the hosts of /multi.
	if got, want := strings.Count(text, "\n"), rounds*(len(paths)+3); got != want {
		t.Errorf("%d lines, want %d", got, want)
	}
	for line := range strings.Lines(text) {
		if !lineForm.MatchString(line) {
			t.Errorf("line %q is not whole", line)
		}
	}
}
