package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"reflect"
	"slices"
	"testing"
)

// dialogue is what a client and a server say to each other: the same each time,
// byte for byte.
type dialogue struct {
	name string
	// hold runs both to their end.
	hold func(t *testing.T, l *line) exchange
	// shows is what is said in it if it is what its name says.
	shows string
	// web says that it is HTTP/1, which a forward proxy can take.
	web bool
	// secret says that the bytes are not the same, and are held by TLS.
	secret bool
}

var dialogues = []dialogue{
	{name: "server-sent events", hold: serverSentEvents, shows: "data: event 4\n", web: true},
	{name: "chunked upload", hold: chunkedUpload, shows: "\r\nTransfer-Encoding: chunked\r\n", web: true},
	{name: "100-continue", hold: continued, shows: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", web: true},
	{name: "100-continue refused", hold: notContinued, shows: "HTTP/1.1 403 Forbidden\r\n", web: true},
	{name: "early hints", hold: earlyHints, shows: "HTTP/1.1 103 Early Hints\r\n", web: true},
	{name: "trailers", hold: trailers, shows: "0\r\nX-Sent: all\r\nX-Sum: 42\r\nX-Sum: 43\r\n\r\n", web: true},
	{name: "many Set-Cookies", hold: manyCookies, shows: "Set-Cookie: c63=99; Path=/\r\n", web: true},
	{name: "redirect", hold: redirect, shows: "HTTP/1.1 302 Found\r\n", web: true},
	{name: "redirect followed", hold: redirectFollowed, shows: "POST /there HTTP/1.1\r\n", web: true},
	{name: "not modified", hold: notModified, shows: "HTTP/1.1 304 Not Modified\r\n", web: true},
	{name: "gzip", hold: compressed("Accept-Encoding: gzip"), shows: "\x1f\x8b\x08", web: true},
	{name: "gzip unasked", hold: compressed("Accept-Encoding:"), shows: "\x1f\x8b\x08", web: true},
	{name: "WebSocket", hold: webSocket, shows: "\x10\xe1enough said", web: true}, // 4321, the code
	{name: "gRPC h2c", hold: gRPC, shows: "PRI * HTTP/2.0\r\n"},
	{name: "gRPC TLS", hold: gRPCOverTLS, shows: "\x02h2", secret: true}, // in ALPN
}

// exchange is what a client and a server have put on their connections and taken
// from them.
type exchange struct {
	client clientEnd
	server []transcript
}

// clientEnd is the connection of a client. Of curl's only what it got is
// known.
type clientEnd struct {
	transcript
	// Results is what the client made of it.
	Results []string
}

// TestIdentical holds that an agent is invisible whose faults do not hit: what two programs say to
// each other is the same with it and without. On its way through a tunnel, a
// mapping or an intercepted connection no byte may change; through the forward
// proxy heads may be spelled another way, but have to say the same.
func TestIdentical(t *testing.T) {
	needs(t, "curl")
	bare, lines := newLines(t)
	flows := make(map[*line]int)
	for _, d := range dialogues {
		t.Run(d.name, func(t *testing.T) {
			want := d.hold(t, bare)
			if !want.shows(d.shows) {
				t.Fatalf("nobody said %q in\n%+v", d.shows, want)
			}
			for _, l := range lines {
				if l.way == forwarded && !d.web {
					continue
				}
				flows[l] += want.flows(t, l)
				t.Run(fmt.Sprintf("%s faults=%t", l.way, l.faults), func(t *testing.T) {
					t.Parallel()
					d.isTheSame(t, l, want)
				})
			}
		})
	}
	for l, n := range flows {
		s := l.agent.stop(t)
		// Over TLS both ends say goodbye, and who has closed by then answers with
		// a reset: without the agent, too.
		delete(s.errors, "connection reset")
		if s.flows != n || s.matched != n || len(s.errors) > 0 {
			t.Errorf("%s: %+v, want %d flows, all matched", l.way, s, n)
		}
	}
}

// isTheSame holds that a dialogue is on a line what it is without an agent.
func (d dialogue) isTheSame(t *testing.T, l *line, want exchange) {
	t.Helper()
	got := d.hold(t, l)
	if !reflect.DeepEqual(got.client.Results, want.client.Results) {
		t.Errorf("the client made of it\n%q\ninstead of\n%q", got.client.Results, want.client.Results)
	}
	if len(got.server) != len(want.server) {
		t.Fatalf("the server got %d connections, want %d", len(got.server), len(want.server))
	}
	switch {
	case d.secret:
	case l.way == forwarded:
		haveTheSameMessages(t, got, want)
	default:
		haveTheSameBytes(t, got, want)
	}
}

// shows says whether something was said on a connection.
func (e exchange) shows(said string) bool {
	return slices.ContainsFunc(e.server, func(s transcript) bool {
		return bytes.Contains(s.Got, []byte(said)) || bytes.Contains(s.Sent, []byte(said))
	})
}

// flows is how many flows an exchange is for the agent of a line.
func (e exchange) flows(t *testing.T, l *line) int {
	t.Helper()
	if l.way != forwarded {
		return len(e.server)
	}
	n := 0
	for _, s := range e.server {
		n += len(readRequests(t, s.Got).Messages)
	}
	return n
}

// haveTheSameBytes holds that nothing at all differs.
func haveTheSameBytes(t *testing.T, got, want exchange) {
	t.Helper()
	sameBytes(t, "the client got", got.client.Got, want.client.Got)
	sameBytes(t, "the client sent", got.client.Sent, want.client.Sent)
	for i, s := range got.server {
		sameBytes(t, "the server got", s.Got, want.server[i].Got)
		sameBytes(t, "the server sent", s.Sent, want.server[i].Sent)
		if s.End != want.server[i].End {
			t.Errorf("for the server it ended by %q, want %q", s.End, want.server[i].End)
		}
	}
}

// haveTheSameMessages holds that the readers of HTTP cannot tell a difference.
func haveTheSameMessages(t *testing.T, got, want exchange) {
	t.Helper()
	sameMessages(t, "the client heard", readResponses(t, got.client.Got), readResponses(t, want.client.Got))
	for i, s := range got.server {
		sameMessages(t, "the server heard", readRequests(t, s.Got), readRequests(t, want.server[i].Got))
	}
}

func sameMessages(t *testing.T, what string, got, want heard) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s\n%.3000s\ninstead of\n%.3000s", what, fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", want))
	}
}

func sameBytes(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	t.Errorf("%s %d bytes, want %d, and from byte %d on\n%.500q\ninstead of\n%.500q",
		what, len(got), len(want), at, got[at:], want[at:])
}

// serveRecorded serves on a line.
func (l *line) serveRecorded(t *testing.T, serve func(*recordings)) *recordings {
	t.Helper()
	server := &recordings{Listener: l.server.listen(t, serverAddress)}
	go serve(server)
	return server
}

// serveHTTP serves on a line what has the same date each time.
func (l *line) serveHTTP(t *testing.T, handler http.HandlerFunc) *recordings {
	t.Helper()
	return l.serveRecorded(t, func(server *recordings) {
		_ = http.Serve(server, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", "Tue, 01 Sep 2026 12:00:00 GMT")
			handler(w, r)
		}))
	})
}

// hold lets a client talk to a server to its end.
func hold(t *testing.T, l *line, server *recordings, client *exec.Cmd) exchange {
	t.Helper()
	return conclude(t, server, start(t, l.client, client))
}

// conclude waits for the end of what a client and a server have to say.
func conclude(t *testing.T, server *recordings, client *process) exchange {
	t.Helper()
	if code := client.await(t); code != 0 {
		t.Fatalf("the client ended by exit %d\n%s", code, tail(&client.stderr))
	}
	return exchange{clientEnd{transcript: transcript{Got: []byte(client.stdout.String())}}, server.transcripts(t)}
}

// holdRecorded is hold for a client that says what it has recorded.
func holdRecorded(t *testing.T, l *line, server *recordings, client *exec.Cmd) exchange {
	t.Helper()
	e := hold(t, l, server, client)
	said := e.client.Got
	e.client = clientEnd{}
	if err := json.Unmarshal(said, &e.client); err != nil {
		t.Fatal(err)
	}
	return e
}
