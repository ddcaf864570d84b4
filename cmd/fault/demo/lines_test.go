package demo

import (
	"errors"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
)

var lineForm = regexp.MustCompile(`^\d\d:\d\d:\d\d\.\d{3}  (GET |asks)  \S+ +\d{3} +[\d.]+ ms\n$`)

func TestLine(t *testing.T) {
	at := time.Date(2026, 11, 23, 11, 4, 12, 381e6, time.UTC)
	for _, c := range []struct {
		e    exchange
		want string
	}{
		{exchange{at, "GET", "/ping", 200, 412 * time.Millisecond, nil},
			"11:04:12.381  GET   /ping       200   412 ms\n"},
		{exchange{at, "POST", "/uppercase", 413, 260 * time.Microsecond, nil},
			"11:04:12.381  POST  /uppercase  413  0.26 ms\n"},
		{exchange{at, "GET", "/", 200, 7260 * time.Microsecond, nil},
			"11:04:12.381  GET   /           200   7.3 ms\n"},
		{exchange{at, "asks", "http://h/", 0, 30 * time.Second, errors.New("no\x1b[31m")},
			"11:04:12.381  asks  http://h/   -   30000 ms  no?[31m\n"},
	} {
		if got := c.e.String(); got != c.want {
			t.Errorf("line %q, want %q", got, c.want)
		}
	}
}

// sendRaw sends a request that no client library would, and returns the status line.
func sendRaw(t *testing.T, url, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request+"\r\nHost: h\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	status, _, _ := strings.Cut(string(all), "\r\n")
	return status
}

func TestHostileRequests(t *testing.T) {
	demo := start(t, Config{})
	for _, c := range []struct{ request, status, line string }{
		{"GET /%1b%5b31m%0a%e2%80%ae%ff HTTP/1.1", "404", "  GET   /?[31m???   404 "},
		{"GET /\u202e\u009b HTTP/1.1", "404", "  GET   /??         404 "},
		{"GET /" + strings.Repeat("x", 5000) + " HTTP/1.1", "404", "  GET   /xxx"},
		{strings.Repeat("M", 5000) + " / HTTP/1.1", "405", "  MMMMMMMM…MMMMMMM  / "},
		{"OPTIONS * HTTP/1.1", "400", "  OPTIONS  *           400 "},
		{"CONNECT h:443 HTTP/1.1", "405", "  CONNECT  h:443       405 "},
		{"GET http://elsewhere/ HTTP/1.1", "200", "  GET   /           200 "},
	} {
		if got := sendRaw(t, demo.url, c.request); !strings.HasPrefix(got, "HTTP/1.1 "+c.status+" ") {
			t.Errorf("%.40q: %q, want %s", c.request, got, c.status)
		}
		t.Cleanup(func() {
			if text := demo.stop(); !strings.Contains(text, c.line) {
				t.Errorf("no line with %q:\n%s", c.line, text)
			}
		})
	}
	for line := range strings.Lines(demo.stop()) {
		if len(line) > 160 {
			t.Errorf("line of %d bytes: %q", len(line), line)
		}
	}
}
