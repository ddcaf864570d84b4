package proxy

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/faultproxy/fault/faults"
)

// What a client gets for a request that is answered by [answering], and for the
// last one.
const (
	notTodayHead = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 9\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
	notToday     = notTodayHead + "not today"
	notEver      = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 9\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nnot today"
	notToday10   = "HTTP/1.1 503 Service Unavailable\r\nConnection: keep-alive\r\nContent-Length: 9\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nnot today"
)

// simple is a request that says nothing.
const simple = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

// exchanged is a request, what its server says, and what we do if it is us who
// answers, as on the wire.
type exchanged struct{ name, request, response, answer string }

// dialogue are requests on one connection, which stays open.
var dialogue = []exchanged{
	{"plain", simple, ok, notToday},
	{"odd", "GET /a;b=c?d&&e=%2F HTTP/1.1\r\nhOsT:x\r\nX-Odd:   y  \r\nX-Odd:\r\n\r\n", "HTTP/1.1 200\r\nCONTENT-length:2\r\nx-odd:\r\n\r\nhi", notToday},
	{"bare line ends", "GET / HTTP/1.1\nHost: x\n\n", "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi", notToday},
	{"HEAD", "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1234567\r\n\r\n", notTodayHead},
	{"HEAD without a length", "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", notTodayHead},
	{"POST", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody", ok, notToday},
	{"requests in a body", "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 54\r\n\r\n" + simple + simple, ok, notToday},
	{"responses in a body", simple, "HTTP/1.1 200 OK\r\nContent-Length: 80\r\n\r\n" + ok + ok, notToday},
	{"no content", "DELETE / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n", notToday},
	{"not modified", simple, "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", notToday},
	{"hints", simple, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + ok, notToday},
	{"chunked response", simple, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0002;x=\"y\"\r\nde\r\n0\r\n\r\n", notToday},
	{"trailers", simple, "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 6\r\nX-More: 7\r\n\r\n", notToday},
	{"large response", simple, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", 3<<20, random(3<<20)), notToday},
	{"large chunks", simple, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
		strings.Repeat("20000\r\n"+random(0x20000)+"\r\n", 3) + "0\r\n\r\n", notToday},
	{"large head", "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X-A: "+strings.Repeat("y", 1000)+"\r\n", 200) + "\r\n",
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: "+strings.Repeat("y", 1000)+"\r\n", 200) + "Content-Length: 0\r\n\r\n", notToday},
	{"HTTP/1.0", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi", notToday10},
	{"many small chunks", simple, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\nx\r\n", 5000) + "0\r\n\r\n", notToday},
	{"chunked request", "POST / HTTP/1.1\r\nHost: x\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0005\r\nGET /\r\n0\r\nX-Sum: 6\r\n\r\n", ok, notEver},
	{"large upload", fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", 1<<20, random(1<<20)), ok, notEver},
	{"expectation", "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody", "HTTP/1.1 100 Continue\r\n\r\n" + ok, notEver},
}

// decisions are whether the requests of the first flow are answered.
func decisions(plan *faults.Plan, requests int) []bool {
	answers := plan.Answers(1)
	hits := make([]bool, requests)
	for i := range hits {
		response, _ := answers.Decide(0)
		hits[i] = response != nil
	}
	return hits
}

// deciding is a plan that answers some of the requests of the first flow, and
// not others.
func deciding(hits ...bool) *faults.Plan {
	for seed := uint64(0); ; seed++ {
		plan := answering(.5, seed)
		if fmt.Sprint(decisions(plan, len(hits))) == fmt.Sprint(hits) {
			return plan
		}
	}
}

// inEachStream runs a test with each of the routes on which a connection is a
// flow.
func inEachStream(t *testing.T, plan *faults.Plan, test func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener)) {
	t.Helper()
	inEachStreamSpeaking(t, patience, plan, test)
}

// inEachStreamSpeaking is that with some time for the client to speak.
func inEachStreamSpeaking(t *testing.T, first time.Duration, plan *faults.Plan, test func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener)) {
	t.Helper()
	inStreams(t, routes[:3], first, plan, test)
}

func inStreams(t *testing.T, routes []route, first time.Duration, plan *faults.Plan, test func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener)) {
	t.Helper()
	for _, route := range routes {
		for _, shaped := range []bool{false, true} {
			name, plan := route.name, *plan
			if shaped {
				name += " with latency"
				plan.Faults = append(plan.Faults[:1:1], delayed(short, true, 1).Faults...)
			}
			t.Run(name, func(t *testing.T) {
				taking(t, first, 3*patience)
				noLeaks(t)
				ln := listen(t)
				p, connect := route.open(t, &plan, ln.Addr().String())
				test(t, p, connect(), ln)
			})
		}
	}
}

// Each request goes to the server as it is, and its response to the client, or
// else it is answered and the server gets nothing of it; whether the client
// waits for the responses or not.
func TestConversation(t *testing.T) {
	for _, probability := range []float64{0, .5} {
		for seed := range uint64(3) {
			for _, pipelined := range []bool{false, true} {
				if probability == 0 && seed > 0 {
					continue // no draw decides anything
				}
				t.Run(fmt.Sprintf("%v, seed %d, pipelined %v", probability, seed, pipelined), func(t *testing.T) {
					plan := answering(probability, seed)
					inEachStream(t, plan, func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener) {
						converseInTurn(t, p, c, ln, decisions(plan, len(dialogue)), pipelined)
					})
				})
			}
		}
	}
}

// converseInTurn has the dialogue on a connection, with what is answered known
// before.
func converseInTurn(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener, hits []bool, pipelined bool) {
	t.Helper()
	var work sync.WaitGroup
	defer work.Wait()
	var said, heard []string // by the client, up to the last answer
	var passed []exchanged
	tried, hit, last := 0, 0, false
	for i, e := range dialogue {
		said, heard = append(said, e.request), append(heard, e.response)
		tried++
		if !hits[i] {
			passed = append(passed, e)
			continue
		}
		hit++
		heard[i] = e.answer
		if last = e.answer == notEver; last {
			break
		}
	}
	work.Go(func() { serveInTurn(t, ln, passed) })
	if pipelined {
		work.Go(func() {
			_, _ = io.WriteString(c, strings.Join(said, ""))
			_ = c.CloseWrite()
		})
		hears(t, "the client", c, strings.Join(heard, ""))
	} else {
		for i, request := range said {
			send(t, c, request)
			hears(t, "the client, for "+dialogue[i].name, c, heard[i])
		}
	}
	if !last {
		_ = c.CloseWrite()
	}
	expectEnd(t, c, "")
	c.Close()
	f := next(t, p.ended)
	in := injectedInto(t, Flow{Injected: byFault(f, 0)}, faults.ToServer)
	if f.Err != nil || f.Answered != map[bool]int{true: 503}[hit > 0] || in.Tried != tried || in.Hit != hit || (f.EndedBy == EndFault) != last {
		t.Errorf("tried %d, hit %d: %+v", tried, hit, f)
	}
	if want := [2]int64{size(passed), int64(len(strings.Join(heard, "")))}; f.Bytes != want {
		t.Errorf("%d bytes, want %d", f.Bytes, want)
	}
}

// byFault picks what one fault did.
func byFault(f Flow, fault int) (of []Injection) {
	for _, i := range f.Injected {
		if i.Fault == fault {
			of = append(of, i)
		}
	}
	return of
}

// size is that of the requests.
func size(es []exchanged) (n int64) {
	for _, e := range es {
		n += int64(len(e.request))
	}
	return n
}

// serveInTurn gets requests and answers them. If there are none nobody may
// come, but for CONNECT.
func serveInTurn(t *testing.T, ln *net.TCPListener, passed []exchanged) {
	c, err := ln.AcceptTCP()
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	for _, e := range passed {
		if !hears(t, "the server of "+e.name, c, e.request) {
			return
		}
		if _, err := io.WriteString(c, e.response); err != nil {
			t.Error(err)
			return
		}
	}
	if rest, err := io.ReadAll(c); err != nil || len(rest) > 0 {
		t.Errorf("the server heard %.1000q, %v, at the end", rest, err)
	}
}

// hears checks that exactly some text comes next.
func hears(t *testing.T, who string, r io.Reader, want string) bool {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(r, got)
	same := 0
	for same < n && got[same] == want[same] {
		same++
	}
	if err != nil || same < len(want) {
		from := max(0, same-20)
		t.Errorf("%s got %d of %d bytes, %v; from %d on %.100q, want %.100q", who, n, len(want), err, from, got[from:n], want[from:])
		return false
	}
	return true
}

// Behind some requests, and some responses, nothing is a request any more that
// could be answered. What both ends say then goes on as it is.
func TestConversationTurnsOpaque(t *testing.T) {
	for _, tc := range []exchanged{
		{name: "WebSocket", request: "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
			response: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
		{name: "upgrade that is refused", request: "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", response: ok},
		{name: "CONNECT", request: "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", response: "HTTP/1.1 200 Connection established\r\n\r\n"},
		{name: "CONNECT with a length", request: "CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", response: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{name: "the client closes", request: "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", response: ok},
		{name: "the server closes", request: simple, response: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"},
		{name: "HTTP/1.0", request: "GET / HTTP/1.0\r\n\r\n", response: "HTTP/1.0 200 OK\r\n\r\nuntil the end"},
		{name: "until the end", request: simple, response: "HTTP/1.1 200 OK\r\n\r\nuntil the end"},
		{name: "switching unasked", request: simple, response: "HTTP/1.1 101 Switching Protocols\r\n\r\n"},
		{name: "more than was asked for", request: simple, response: ok + ok},
		{name: "a greeting behind", request: simple, response: ok + "x"},
		{name: "half a response behind", request: simple, response: ok + "HT"},
		{name: "no HTTP", request: simple, response: "220 ready\r\n"},
		{name: "no line", request: simple, response: "hello?"},
		{name: "an odd status", request: simple, response: "HTTP/1.1 abc Odd\r\n\r\n"},
		{name: "a malformed chunk", request: simple, response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"},
		{name: "two lengths", request: simple, response: "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi"},
		{name: "an endless head", request: simple, response: "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 1200)},
		{name: "endless trailers", request: simple, response: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" +
			strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 100)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inEachStream(t, deciding(false, true, true), func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener) {
				send(t, c, tc.request)
				server := accept(t, ln)
				hears(t, "the server", server, tc.request)
				go func() { _, _ = io.WriteString(server, tc.response) }()
				hears(t, "the client", c, tc.response)
				for range 2 {
					send(t, c, simple)
					hears(t, "the server", server, simple)
					send(t, server, "\x00any")
					hears(t, "the client", c, "\x00any")
				}
				closeWrite(t, c)
				expectEnd(t, server, "")
				send(t, server, "bye")
				server.Close()
				expectEnd(t, c, "bye")
				if f := next(t, p.ended); f.Err != nil || f.Answered != 0 || injectedInto(t, Flow{Injected: byFault(f, 0)}, faults.ToServer).Hit != 0 {
					t.Errorf("%+v", f)
				}
			})
		})
	}
}

// Also if the client does not wait for the response before it goes on.
func TestBytesBehindAnUpgrade(t *testing.T) {
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n",
	} {
		inEachStream(t, deciding(false, true), func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener) {
			send(t, c, request+simple+"\x00any")
			closeWrite(t, c)
			server := accept(t, ln)
			expectEnd(t, server, request+simple+"\x00any")
			send(t, server, switched+"any\x00")
			server.Close()
			expectEnd(t, c, switched+"any\x00")
		})
	}
}

// An answer waits for the responses before it, and does not get into one that
// ends with the connection.
func TestAnswerWaitsItsTurn(t *testing.T) {
	inEachStream(t, deciding(false, false, true, false), func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener) {
		send(t, c, simple+simple+simple+simple)
		server := accept(t, ln)
		hears(t, "the server", server, simple+simple)
		send(t, server, ok[:len(ok)-1])
		hears(t, "the client", c, ok[:len(ok)-1])
		silent(t, c)
		send(t, server, ok[len(ok)-1:])
		hears(t, "the client", c, ok[len(ok)-1:])
		silent(t, c)
		silent(t, server) // the fourth waits, too
		send(t, server, ok)
		hears(t, "the client", c, ok+notToday)
		hears(t, "the server", server, simple)
		send(t, server, ok)
		hears(t, "the client", c, ok)
		c.Close()
		expectEnd(t, server, "")
	})
	inEachStream(t, deciding(false, true), func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener) {
		send(t, c, simple+simple)
		server := accept(t, ln)
		hears(t, "the server", server, simple)
		send(t, server, "HTTP/1.1 200 OK\r\n\r\nuntil the end")
		closeWrite(t, server)
		expectEnd(t, c, "HTTP/1.1 200 OK\r\n\r\nuntil the end")
		hears(t, "the server", server, simple)
		c.Close()
		expectEnd(t, server, "")
		if f := next(t, p.ended); f.Answered != 0 || injectedInto(t, Flow{Injected: byFault(f, 0)}, faults.ToServer).Hit != 0 {
			t.Errorf("%+v", f)
		}
	})
}

// A server may answer before it has the request, and the client go on with it.
func TestResponseBeforeTheRequestIsWhole(t *testing.T) {
	for head, rest := range map[string]string{
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf":               "other",
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf": "\r\n5\r\nother\r\n0\r\n\r\n",
	} {
		inEachStream(t, deciding(false, true, false), func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener) {
			send(t, c, head)
			server := accept(t, ln)
			hears(t, "the server", server, head)
			send(t, server, ok)
			hears(t, "the client", c, ok)
			send(t, c, rest)
			hears(t, "the server", server, rest)
			send(t, c, simple)
			hears(t, "the client", c, notToday)
			send(t, c, simple)
			hears(t, "the server", server, simple)
			send(t, server, ok)
			hears(t, "the client", c, ok)
			c.Close()
			expectEnd(t, server, "")
		})
	}
}

// A client that waits to continue is told so by the server.
func TestConversationContinues(t *testing.T) {
	inEachStream(t, deciding(false, true), func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener) {
		const head, body = "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n", "body"
		send(t, c, head)
		server := accept(t, ln)
		hears(t, "the server", server, head)
		send(t, server, "HTTP/1.1 100 Continue\r\n\r\n")
		hears(t, "the client", c, "HTTP/1.1 100 Continue\r\n\r\n")
		send(t, c, body)
		hears(t, "the server", server, body)
		send(t, server, ok)
		hears(t, "the client", c, ok)
		send(t, c, simple)
		hears(t, "the client", c, notToday)
		c.Close()
		expectEnd(t, server, "")
	})
}

// Nothing of a response waits for the rest of it, nor of a body that is sent.
func TestConversationIsStreamed(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
	inEachStream(t, answering(0, 1), func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener) {
		send(t, c, head)
		server := accept(t, ln)
		hears(t, "the server", server, head)
		for _, b := range "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n" {
			send(t, server, string(b))
			hears(t, "the client", c, string(b))
		}
		for _, part := range []string{"5\r\nhe", "l", "lo", "\r\n6\r\n world"} {
			send(t, c, part)
			hears(t, "the server", server, part)
		}
		c.Close()
		expectEnd(t, server, "")
	})
}

// notRequests is what clients say that is no request of HTTP/1, and never
// answered.
var notRequests = map[string]string{
	"TLS":                   "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + random(512),
	"SSH":                   "SSH-2.0-OpenSSH_9.9\r\n",
	"HTTP/2":                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
	"redis, inline":         "PING\r\n",
	"redis":                 "*1\r\n$4\r\nPING\r\n",
	"memcached":             "get k\r\n",
	"SMTP":                  "EHLO x\r\nMAIL FROM:<a@b>\r\n",
	"PostgreSQL":            startup,
	"HTTP/0.9":              "GET /\r\n",
	"HTTP of a later day":   "GET / HTTP/3.0\r\nHost: x\r\n\r\n",
	"small letters":         "get / HTTP/1.1\r\nHost: x\r\n\r\n",
	"a long method":         strings.Repeat("A", 33) + " / HTTP/1.1\r\nHost: x\r\n\r\n",
	"no method":             " / HTTP/1.1\r\nHost: x\r\n\r\n",
	"no target":             "GET  HTTP/1.1\r\nHost: x\r\n\r\n",
	"two targets":           "GET / / HTTP/1.1\r\nHost: x\r\n\r\n",
	"an empty line first":   "\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
	"an endless line":       "GET /" + strings.Repeat("y", 1<<20),
	"a line too long":       "GET /" + strings.Repeat("y", lineLimit) + " HTTP/1.1\r\nHost: x\r\n\r\n",
	"an endless head":       "GET / HTTP/1.1\r\nHost: x\r\n" + strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 1200),
	"an endless header":     "GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("y", 2<<20),
	"half a line":           "GET / HT",
	"half a head":           "GET / HTTP/1.1\r\nHost: x\r\nX-",
	"a bad header":          "GET / HTTP/1.1\r\nHost: x\r\nX Y\x00: \x7f\r\n\r\n",
	"two lengths":           "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
	"a negative length":     "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
	"an unknown encoding":   "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: rot13\r\n\r\n",
	"a target that is none": "GET http://[::1/%zz HTTP/1.1\r\nHost: x\r\n\r\n",
	"noise":                 random(1 << 20),
	"zeroes":                strings.Repeat("\x00", 1<<20),
	"line ends":             strings.Repeat("\r\n", 1<<16),
	"a byte":                "\x00",
	"a letter":              "G",
	"nothing":               "",
}

// brokenRequests begin as requests do.
var brokenRequests = map[string]string{
	"half a body":              "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf",
	"half a chunk":             "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
	"half the size of a chunk": "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9",
	"half a trailer":           "POST / HTTP/1.1\r\nHost: x\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y",
	"endless trailers":         "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 100),
	"no chunks":                "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnone" + random(1000),
	"a huge chunk":             "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" + random(1000),
	"a long size":              "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("0", 1<<17) + "1\r\nx\r\n",
	"length and chunks":        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"rubbish behind":           simple + "rubbish" + random(1000),
	"a line end behind":        simple + "\r\n" + simple,
	"a huge length":            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9223372036854775807\r\n\r\nx",
}

// Whatever is not answered goes on byte for byte in both directions, in one go
// or in bits, and so does its end.
func TestNotAnswered(t *testing.T) {
	for _, of := range []struct {
		texts       map[string]string
		probability float64
	}{{notRequests, 1}, {brokenRequests, 0}} {
		for name, text := range of.texts {
			for how, mode := range map[string]struct {
				first, pause time.Duration
				most         int
				routes       []route
			}{
				"in one go":   {patience, -1, math.MaxInt, routes[:3]},
				"in bits":     {patience, 0, 1 << 10, routes[:1]},
				"with pauses": {ms, 2 * ms, 50, routes[:1]},
			} {
				if len(text) > mode.most {
					continue
				}
				t.Run(name+", "+how, func(t *testing.T) {
					inStreams(t, mode.routes, mode.first, answering(of.probability, 1), func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener) {
						notAnswered(t, c, ln, text, mode.pause)
						if f := next(t, p.ended); f.Err != nil || f.Answered != 0 || f.Bytes != [2]int64{int64(len(text)), int64(len(text))} {
							t.Errorf("%+v", f)
						}
					})
				})
			}
		}
	}
}

// notAnswered has both ends say the same, in bits if the pause after each is
// not negative.
func notAnswered(t *testing.T, c *net.TCPConn, ln *net.TCPListener, text string, pause time.Duration) {
	t.Helper()
	var work sync.WaitGroup
	defer work.Wait()
	say := func(c *net.TCPConn) {
		bit := 1
		if pause < 0 {
			bit = len(text)
		}
		for rest := text; len(rest) > 0; rest = rest[bit:] {
			_, _ = io.WriteString(c, rest[:bit])
			time.Sleep(pause)
		}
		_ = c.CloseWrite()
	}
	work.Go(func() { say(c) })
	server := accept(t, ln)
	defer server.Close()
	expectAll(t, "the server", server, text)
	work.Go(func() { say(server) })
	expectAll(t, "the client", c, text)
}

// expectAll is expectEnd for what is too long to be printed.
func expectAll(t *testing.T, who string, r io.Reader, want string) {
	t.Helper()
	if got, err := io.ReadAll(r); err != nil || string(got) != want {
		t.Errorf("%s got %d bytes, %v, of %d", who, len(got), err, len(want))
	}
}

// What has no end does not wait for one.
func TestEndlessIsPassed(t *testing.T) {
	for name, text := range map[string]string{
		"line":                "GET /" + strings.Repeat("y", lineLimit),
		"line without target": "GET" + strings.Repeat("Y", 30),
		"head":                notRequests["an endless head"],
		"header":              notRequests["an endless header"],
		"trailers":            brokenRequests["endless trailers"],
	} {
		t.Run(name, func(t *testing.T) {
			inEachStream(t, answering(0, 1), func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener) {
				go func() { _, _ = io.WriteString(c, text) }()
				server := accept(t, ln)
				hears(t, "the server", server, text)
				closeWrite(t, c)
				expectEnd(t, server, "")
				server.Close()
				expectEnd(t, c, "")
			})
		})
	}
}

// A server that speaks first is heard while its client waits for that, and is
// dialled once.
func TestServerSpeaksFirstInAConversation(t *testing.T) {
	inEachStreamSpeaking(t, 10*ms, answering(1, 1), func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener) {
		server := accept(t, ln)
		send(t, server, "220 ready\r\n")
		hears(t, "the client", c, "220 ready\r\n")
		send(t, c, "EHLO x\r\n")
		hears(t, "the server", server, "EHLO x\r\n")
		send(t, c, simple) // and is no request here
		hears(t, "the server", server, simple)
		send(t, server, "250 x\r\n")
		hears(t, "the client", c, "250 x\r\n")
		server.Close()
		expectEnd(t, c, "")
		c.Close()
		if f := next(t, p.ended); f.Err != nil || f.Answered != 0 {
			t.Errorf("%+v", f)
		}
		untouched(t, ln)
	})
}

// A client that was silent at first is answered none the less.
func TestSilentClientIsAnswered(t *testing.T) {
	inEachStreamSpeaking(t, ms, answering(1, 1), func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener) {
		server := accept(t, ln)
		for range 2 {
			send(t, c, simple)
			hears(t, "the client", c, notToday)
		}
		c.Close()
		expectEnd(t, server, "")
		server.Close()
		if f := next(t, p.ended); f.Err != nil || f.Answered != 503 || f.Bytes[faults.ToServer] != 0 {
			t.Errorf("%+v", f)
		}
		untouched(t, ln)
	})
}

// A server that hangs up on a client that is silent is heard, too.
func TestServerHangsUpOnSilentClient(t *testing.T) {
	inEachStreamSpeaking(t, ms, answering(1, 1), func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener) {
		accept(t, ln).Close()
		expectEnd(t, c, "")
		c.Close()
		if f := next(t, p.ended); f.Err != nil || f.EndedBy != EndUpstream {
			t.Errorf("%+v", f)
		}
	})
}

// A request that takes its time is one, once its first line has come.
func TestSlowRequestIsAnswered(t *testing.T) {
	inEachStreamSpeaking(t, 5*ms, answering(1, 1), func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener) {
		send(t, c, "POST / HTTP/1.1\r\n")
		for _, b := range "Host: x\r\nContent-Length: 4\r\n\r\nbody" {
			send(t, c, string(b))
			time.Sleep(7 * ms)
		}
		hears(t, "the client", c, notToday)
		c.Close()
		ln.Close() // which ends what nobody accepted
	})
	inEachStream(t, answering(1, 1), func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener) {
		for range 2 {
			for _, b := range simple {
				send(t, c, string(b))
			}
			hears(t, "the client", c, notToday)
		}
		c.Close()
		ln.Close()
	})
}

// Either end's reset gets to the other, behind what was said before, wherever
// in a message it comes.
func TestResetInAConversation(t *testing.T) {
	for text, held := range map[string]bool{
		"GE": true, "GET / HTTP/1.1\r\nHo": true,
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf":              false,
		"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf": false,
		simple: false, "\x00": false,
	} {
		inEachStream(t, answering(0, 1), func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener) {
			send(t, c, text)
			if held { // until the reset tells that nothing follows
				reset(c)
			}
			server := accept(t, ln)
			hears(t, "the server", server, text)
			if !held {
				reset(c)
			}
			expectReset(t, server)
			if f := next(t, p.ended); Failure(f.Err) != "reset" {
				t.Errorf("%+v", f)
			}
		})
	}
	for _, text := range []string{
		"", "HT", "HTTP/1.1 200 OK\r\nX-", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf", "HTTP/1.1 200 OK\r\n\r\nhalf", ok, "\x00",
	} {
		inEachStream(t, answering(0, 1), func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener) {
			send(t, c, simple)
			server := accept(t, ln)
			hears(t, "the server", server, simple)
			send(t, server, text)
			hears(t, "the client", c, text)
			reset(server)
			expectReset(t, c)
			if f := next(t, p.ended); Failure(f.Err) != "reset" {
				t.Errorf("%+v", f)
			}
		})
	}
}

// A request that passes, and finds nobody, breaks the connection.
func TestPassedRequestIsRefused(t *testing.T) {
	for _, text := range []string{simple, "\x00", ""} {
		for _, route := range routes[:2] {
			t.Run(fmt.Sprintf("%s %q", route.name, text), func(t *testing.T) {
				if text != "" {
					unhurried(t)
				}
				noLeaks(t)
				p, connect := route.open(t, answering(0, 1), nobody(t))
				c := connect()
				send(t, c, text)
				expectReset(t, c)
				if f := next(t, p.ended); Failure(f.Err) != "refused" || f.Upstream.IsValid() {
					t.Errorf("%+v", f)
				}
			})
		}
	}
}

// What was answered before is not taken back by a request that finds nobody.
func TestPassedRequestIsRefusedBehindAnAnswer(t *testing.T) {
	for _, route := range routes[:2] {
		t.Run(route.name, func(t *testing.T) {
			unhurried(t)
			noLeaks(t)
			p, connect := route.open(t, deciding(true, false), nobody(t))
			c := connect()
			send(t, c, simple)
			hears(t, "the client", c, notToday)
			send(t, c, simple)
			expectReset(t, c)
			if f := next(t, p.ended); Failure(f.Err) != "refused" || f.Answered != 503 || injectedInto(t, f, faults.ToServer).Tried != 2 {
				t.Errorf("%+v", f)
			}
		})
	}
}

// The client hears that the server has closed a connection between two
// requests, and what it then sends gets no answer, ours included.
func TestServerClosesBetweenRequests(t *testing.T) {
	inEachStream(t, deciding(true, false, true), func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener) {
		send(t, c, simple)
		hears(t, "the client", c, notToday)
		send(t, c, simple)
		server := accept(t, ln)
		hears(t, "the server", server, simple)
		send(t, server, ok)
		server.Close()
		expectEnd(t, c, ok)
		_, _ = io.WriteString(c, simple)
		if n, _ := c.Read(make([]byte, 1)); n > 0 {
			t.Error("the client was answered")
		}
		c.Close()
		if f := next(t, p.ended); f.Err != nil || f.EndedBy != EndUpstream || injectedInto(t, Flow{Injected: byFault(f, 0)}, faults.ToServer).Hit != 1 {
			t.Errorf("%+v", f)
		}
	})
}

// Requests of clients that send and then only listen are answered or passed as
// any.
func TestHalfClosedConversation(t *testing.T) {
	for _, hits := range [][]bool{{true, true}, {true, false}, {false, true}, {false, false}} {
		inEachStream(t, deciding(hits...), func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener) {
			send(t, c, simple+simple)
			closeWrite(t, c)
			heard := ""
			var server *net.TCPConn
			for _, hit := range hits {
				if hit {
					heard += notToday
					continue
				}
				heard += ok
				if server == nil {
					server = accept(t, ln)
				}
				hears(t, "the server", server, simple)
				send(t, server, ok)
			}
			if f := next(t, p.begun); server == nil && f.Entry == EntryConnect {
				server = accept(t, ln)
			}
			if server != nil {
				expectEnd(t, server, "")
				server.Close()
			}
			expectEnd(t, c, heard)
		})
	}
}

// Over TLS to the server it is the same.
func TestConversationOverTLS(t *testing.T) {
	unhurried(t)
	noLeaks(t)
	plan := answering(.5, 1)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	p := mapTo(t, &Server{Plan: plan, TLS: &tls.Config{RootCAs: roots}}, "", server.URL)
	c := dial(t, p.addr)
	from := bufio.NewReader(c)
	for i, hit := range decisions(plan, 100) {
		send(t, c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
		resp, err := http.ReadResponse(from, nil)
		if err != nil {
			t.Fatal(err)
		}
		expectEnd(t, resp.Body, map[bool]string{true: "not today", false: "body"}[hit])
		if (resp.StatusCode == 503) != hit {
			t.Errorf("request %d: %s", i, resp.Status)
		}
	}
	closeWrite(t, c)
	expectEnd(t, from, "")
	if f := next(t, p.ended); f.Err != nil || f.Answered != 503 || !f.Upstream.IsValid() {
		t.Errorf("%+v", f)
	}
}

// Servers of TLS that take no notice of its own end hear that of TCP.
func TestConversationOverTLSEnds(t *testing.T) {
	unhurried(t)
	noLeaks(t)
	a, ln := newAuthority(t), listen(t)
	p := mapTo(t, &Server{Plan: answering(0, 1), TLS: a.trusted()}, "", "https://"+ln.Addr().String())
	c := dial(t, p.addr)
	send(t, c, simple)
	closeWrite(t, c)
	raw := accept(t, ln)
	server := tls.Server(raw, a.issue(t, "127.0.0.1"))
	hears(t, "the server", server, simple)
	if _, err := io.Copy(io.Discard, raw); err != nil {
		t.Error(err)
	}
	send(t, server, ok)
	raw.Close()
	expect(t, c, ok)
}

// moments are what a conversation may be at when the run ends.
var moments = map[string]func(t *testing.T, c *net.TCPConn, ln *net.TCPListener){
	"silent":    func(*testing.T, *net.TCPConn, *net.TCPListener) {},
	"in a line": func(t *testing.T, c *net.TCPConn, _ *net.TCPListener) { send(t, c, "GET") },
	"in a head": func(t *testing.T, c *net.TCPConn, _ *net.TCPListener) { send(t, c, "GET / HTTP/1.1\r\nHost") },
	"answered":  func(t *testing.T, c *net.TCPConn, _ *net.TCPListener) { send(t, c, simple); expect(t, c, notToday) },
	"lingering": func(t *testing.T, c *net.TCPConn, _ *net.TCPListener) {
		send(t, c, "GET / HTTP/1.0\r\n\r\n")
		expect(t, c, notEver)
	},
	"being answered": func(t *testing.T, c *net.TCPConn, _ *net.TCPListener) {
		send(t, c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
	},
	"being answered in chunks": func(t *testing.T, c *net.TCPConn, _ *net.TCPListener) {
		send(t, c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf")
		expect(t, c, notEver)
	},
	"passed": func(t *testing.T, c *net.TCPConn, ln *net.TCPListener) {
		send(t, c, simple)
		expect(t, c, notToday)
		send(t, c, simple)
		expect(t, accept(t, ln), simple)
	},
	"waiting for a turn": func(t *testing.T, c *net.TCPConn, ln *net.TCPListener) {
		send(t, c, simple+simple+simple)
		expect(t, c, notToday)
		expect(t, accept(t, ln), simple)
	},
	"in a response": func(t *testing.T, c *net.TCPConn, ln *net.TCPListener) {
		send(t, c, simple+simple)
		server := accept(t, ln)
		expect(t, server, simple)
		send(t, server, ok[:10])
		expect(t, c, notToday+ok[:10])
	},
	"in a tunnel": func(t *testing.T, c *net.TCPConn, ln *net.TCPListener) {
		send(t, c, "\x00")
		expect(t, accept(t, ln), "\x00")
	},
}

// Whatever a conversation is at, it ends when the run is over.
func TestDrainCutsConversations(t *testing.T) {
	for name, at := range moments {
		t.Run(name, func(t *testing.T) {
			inEachStream(t, deciding(true, false, true), func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener) {
				next(t, p.begun)
				at(t, c, ln)
				p.stop()
				next(t, draining(expired, p))
				if _, err := io.Copy(io.Discard, c); os.IsTimeout(err) || err == nil && name != "lingering" && name != "being answered in chunks" {
					t.Errorf("the client heard %v", err)
				}
				if f := next(t, p.ended); f.Err != ErrEnded {
					t.Errorf("%+v", f)
				}
			})
		})
	}
}

// A conversation between two requests is a flow that may go on.
func TestDrainWaitsForConversations(t *testing.T) {
	inEachStream(t, deciding(true, false, true), func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener) {
		send(t, c, simple)
		hears(t, "the client", c, notToday)
		p.stop()
		done := draining(t.Context(), p)
		<-p.clients.closed
		send(t, c, simple)
		server := accept(t, ln)
		hears(t, "the server", server, simple)
		send(t, server, ok)
		hears(t, "the client", c, ok)
		send(t, c, simple)
		hears(t, "the client", c, notToday)
		select {
		case <-done:
			t.Error("drained a flow that was open")
		default:
		}
		c.Close()
		expectEnd(t, server, "")
		server.Close()
		next(t, done)
	})
}
