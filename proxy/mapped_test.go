package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy/mapping"
)

// mapTo runs a proxy with one TCP mapping, and gives it with the address where
// that is.
func mapTo(t *testing.T, s *Server, from, target string) *running {
	t.Helper()
	p := run(t, s)
	p.addr = serveMapping(t, s, from, target)
	return p
}

// serveMapping serves a TCP mapping until the test ends, and gives its address.
func serveMapping(t *testing.T, s *Server, from, target string) string {
	t.Helper()
	ln, m := listen(t), parsed(t, from+"0="+target)
	served := make(chan error, 1)
	addr := ln.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	go func() { served <- s.ServeMapping(ctx, ln, m) }()
	t.Cleanup(func() {
		cancel()
		if err := next(t, served); err != nil {
			t.Error(err)
		}
	})
	return addr
}

func parsed(t *testing.T, text string) mapping.Mapping {
	t.Helper()
	m, err := mapping.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// kind is a way for a mapping to speak to its target.
type kind struct {
	scheme  string
	tls     mapping.TLS
	opening string // what a client says first, where it has to
}

var kinds = []kind{
	{"tcp", mapping.NoTLS, ""},
	{"tls", mapping.DirectTLS, ""},
	{"https", mapping.DirectTLS, "GET "},
	{"psqls", mapping.PostgresTLS, startup},
}

// mappedFlow is a flow of a mapping as its two ends have it: the server under
// its TLS, if there is one, is a connection, too.
type mappedFlow struct {
	flow
	peer stream // the server, above its TLS
	host string
	said int64 // by the client
}

// openMapped opens a flow, and lets the client say what it has to.
func openMapped(t *testing.T, plan *faults.Plan, k kind) mappedFlow {
	t.Helper()
	a, ln := newAuthority(t), listen(t)
	f := mappedFlow{host: "localhost:" + strconv.Itoa(int(loopback(ln).Port())), said: int64(len(k.opening))}
	f.proxy = mapTo(t, &Server{Plan: plan, TLS: a.trusted()}, "", k.scheme+"://"+f.host)
	f.client = dial(t, f.proxy.addr)
	if k.tls == mapping.PostgresTLS {
		send(t, f.client, askTLS)
		expect(t, f.client, "N")
	}
	send(t, f.client, k.opening)
	f.server = accept(t, ln)
	f.peer = f.server
	if k.tls != mapping.NoTLS {
		theirs := next(t, shakeHands(f.server, a.issue(t, "localhost"), k.tls))
		if theirs.err != nil {
			t.Fatal(theirs.err)
		}
		f.peer = theirs
	}
	expect(t, f.peer, k.opening)
	return f
}

// inEachMapping runs a test with each kind of mapping, also with faults.
func inEachMapping(t *testing.T, test func(t *testing.T, f mappedFlow)) {
	for _, k := range kinds {
		for name, plan := range map[string]*faults.Plan{
			"null": nil, "latency once": delayed(short, false, 1), "latency per piece": delayed(short, true, 1),
			"answers": planOf(faults.HTTPResponse{Status: 503, Probability: 1}),
		} {
			if name == "answers" && k.scheme == "https" {
				continue // its opening may become a request
			}
			t.Run(k.scheme+" "+name, func(t *testing.T) {
				noLeaks(t)
				test(t, openMapped(t, plan, k))
			})
		}
	}
}

// endedMapped checks what the proxy saw of a flow that ended as its ends
// wanted.
func endedMapped(t *testing.T, f mappedFlow, toServer, toClient int64, by End) {
	t.Helper()
	got := next(t, f.proxy.ended)
	if got.Err != nil || got.Entry != EntryMapping || got.Host != f.host || got.Bytes != [2]int64{f.said + toServer, toClient} ||
		got.Upstream != addrPort(f.server.LocalAddr()) || got.Client != addrPort(f.client.LocalAddr()) || !got.Matched || got.EndedBy != by {
		t.Errorf("the flow ended as %+v", got)
	}
}

func TestMapping(t *testing.T) {
	inEachMapping(t, func(t *testing.T, f mappedFlow) {
		for range 3 {
			send(t, f.client, "ping")
			expect(t, f.peer, "ping")
			send(t, f.peer, "pong!")
			expect(t, f.client, "pong!")
		}
		send(t, f.client, "last")
		closeWrite(t, f.client)
		expectEnd(t, f.peer, "last")
		expectEnd(t, f.server, "") // who takes no notice of TLS's end sees TCP's
		send(t, f.peer, "answer")
		send(t, f.peer, ", at length")
		f.peer.Close()
		expectEnd(t, f.client, "answer, at length")
		endedMapped(t, f, 16, 32, EndClient)
	})
}

func TestMappingHalfCloseByServer(t *testing.T) {
	inEachMapping(t, func(t *testing.T, f mappedFlow) {
		send(t, f.peer, "greeting")
		if err := f.peer.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		expectEnd(t, f.client, "greeting")
		send(t, f.client, "reply")
		expect(t, f.peer, "reply")
		send(t, f.client, ", at length")
		f.client.Close()
		expectEnd(t, f.peer, ", at length")
		f.peer.Close()
		endedMapped(t, f, 16, 8, EndUpstream)
	})
}

func TestMappingReset(t *testing.T) {
	for _, who := range []string{"client", "server"} {
		t.Run(who, func(t *testing.T) {
			inEachMapping(t, func(t *testing.T, f mappedFlow) {
				send(t, f.client, "x")
				expect(t, f.peer, "x")
				one, other := sides(f.flow)[who][0], sides(f.flow)[who][1]
				reset(one)
				expectReset(t, other)
				endedWith(t, f.flow, "reset")
			})
		})
	}
}

// In some protocols the server speaks first, also within TLS.
func TestMappingServerSpeaksFirst(t *testing.T) {
	for _, k := range kinds[:2] {
		t.Run(k.scheme, func(t *testing.T) {
			noLeaks(t)
			f := openMapped(t, nil, k)
			send(t, f.peer, "220 ready\r\n")
			expect(t, f.client, "220 ready\r\n")
		})
	}
}

// Many servers leave out the end of TLS, which then shows as that of TCP does.
// An end within a record is none that the server can have meant.
func TestMappingTLSBreaksOff(t *testing.T) {
	for _, k := range kinds[1:] {
		for _, plan := range []*faults.Plan{nil, delayed(short, true, 1)} {
			t.Run(k.scheme+" between records", func(t *testing.T) {
				noLeaks(t)
				f := openMapped(t, plan, k)
				send(t, f.peer, "answer")
				f.server.Close()
				expectEnd(t, f.client, "answer")
				f.client.Close()
				endedMapped(t, f, 0, 6, EndUpstream)
			})
			t.Run(k.scheme+" within a record", func(t *testing.T) {
				noLeaks(t)
				f := openMapped(t, plan, k)
				send(t, f.peer, "answer")
				send(t, f.server, "\x17\x03\x03\x01\x00part")
				f.server.Close()
				expect(t, f.client, "answer")
				expectReset(t, f.client)
				if got := next(t, f.proxy.ended); Failure(got.Err) != "tls" || !errors.Is(got.Err, io.ErrUnexpectedEOF) || got.Bytes[faults.ToClient] != 6 {
					t.Errorf("%+v", got)
				}
			})
			t.Run(k.scheme+" with what is no record", func(t *testing.T) {
				noLeaks(t)
				f := openMapped(t, plan, k)
				send(t, f.peer, "answer")
				send(t, f.server, "\x17\x03\x03\x00\x20"+strings.Repeat("x", 32))
				expect(t, f.client, "answer")
				expectReset(t, f.client)
				endedWith(t, f.flow, "tls")
			})
		}
	}
}

func TestMappingBulk(t *testing.T) {
	const size = 4 << 20
	for _, k := range kinds {
		t.Run(k.scheme, func(t *testing.T) {
			noLeaks(t)
			f := openMapped(t, delayed(short, true, 1), k)
			got := make(chan string, 2)
			carry := func(from, to stream, seed uint64) {
				go func() {
					_, _ = io.Copy(from, noise(seed, size))
					_ = from.CloseWrite()
				}()
				go func() {
					d, err := digestOf(to, make([]byte, 1000))
					got <- fmt.Sprint(d, err)
				}()
				d, err := digestOf(noise(seed, size), make([]byte, 1<<16))
				want := fmt.Sprint(d, err)
				if d := next(t, got); d != want {
					t.Errorf("got %s, want %s", d, want)
				}
			}
			carry(f.client, f.peer, 1)
			carry(f.peer, f.client, 2)
			endedMapped(t, f, size, size, EndClient)
		})
	}
}

// unreachable is a target that a mapping does not get to, and why.
type unreachable struct {
	name, target string
	server       *Server
	failure      string
}

func unreachables(t *testing.T, scheme string, kind mapping.TLS) []unreachable {
	t.Helper()
	nameless := func(string, string, syscall.RawConn) error { return errors.New("no name server here") }
	all := []unreachable{
		{"refused", nobody(t), &Server{}, "refused"},
		// Asking must not leave the host, nor wait for anybody.
		{"unresolvable", "no-such-name.invalid:1", &Server{Exempt: nameless}, "dns"},
	}
	if kind != mapping.NoTLS {
		a := newAuthority(t)
		another, hangsUp := handshakes(t, a.issue(t, "another.internal"), kind), hangingUp(t)
		all = append(all,
			unreachable{"wrong name", another, &Server{TLS: a.trusted()}, "tls"},
			unreachable{"unknown authority", another, &Server{}, "tls"},
			unreachable{"no TLS", hangsUp, &Server{TLS: a.trusted()}, "tls"},
		)
	}
	for i := range all {
		all[i].target = scheme + "://" + all[i].target
	}
	return all
}

// handshakes is the address of a server that does no more than that.
func handshakes(t *testing.T, config *tls.Config, kind mapping.TLS) string {
	return serveEach(t, func(c *net.TCPConn) { <-shakeHands(c, config, kind) })
}

// hangingUp is the address of a server that has nothing to say.
func hangingUp(t *testing.T) string {
	return serveEach(t, func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 1))
		_ = c.CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	})
}

// serveEach serves connections until the end of the test, and closes each.
func serveEach(t *testing.T, serve func(*net.TCPConn)) string {
	t.Helper()
	ln := listen(t)
	go func() {
		for {
			c, err := ln.AcceptTCP()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(patience))
				serve(c)
			}()
		}
	}()
	return "localhost:" + strconv.Itoa(int(loopback(ln).Port()))
}

// A client hears of a target that cannot be reached what it would from that:
// its connection is reset.
func TestMappingUnreachable(t *testing.T) {
	for _, k := range kinds {
		for _, tc := range unreachables(t, k.scheme, k.tls) {
			t.Run(k.scheme+" "+tc.name, func(t *testing.T) {
				noLeaks(t)
				p := mapTo(t, tc.server, "", tc.target)
				if k.opening == "" {
					expectResetAtOnce(t, p.addr)
				} else {
					c := dial(t, p.addr)
					send(t, c, k.opening)
					expectReset(t, c)
				}
				f := next(t, p.ended)
				if Failure(f.Err) != tc.failure || f.Entry != EntryMapping || f.Upstream.IsValid() || !strings.HasSuffix(tc.target, "/"+f.Host) {
					t.Errorf("%+v (%s), want %s", f, Failure(f.Err), tc.failure)
				}
				if unverified := is[*tls.CertificateVerificationError](f.Err); unverified != (tc.name == "wrong name" || tc.name == "unknown authority") {
					t.Errorf("%v: about the certificate: %v", f.Err, unverified)
				}
			})
		}
	}
}

// Whichever of our listeners a mapping leads to, it does not go round.
func TestMappingToTheProxy(t *testing.T) {
	for _, from := range []string{"", "http:"} {
		for _, target := range []string{"itself", "the proxy"} {
			t.Run(from+target, func(t *testing.T) {
				noLeaks(t)
				s, ln := &Server{}, listen(t)
				p := run(t, s)
				to := map[string]string{"itself": ln.Addr().String(), "the proxy": p.addr}[target]
				served := make(chan error, 1)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go func() { served <- s.ServeMapping(ctx, ln, parsed(t, from+"0="+to)) }()
				if !within(func() bool { return s.isSelf(to) }) {
					t.Fatal("it does not serve")
				}
				if from == "" {
					expectResetAtOnce(t, ln.Addr().String())
				} else if got, text := status(t, ln.Addr().String(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); got != http.StatusMisdirectedRequest {
					t.Errorf("%d %q", got, text)
				}
				if f := next(t, p.ended); Failure(f.Err) != "self" || f.ID != 1 {
					t.Errorf("%+v", f)
				}
				cancel()
				next(t, served)
			})
		}
	}
}

// A client that leaves before it has said what is for the target has no use for
// one: PostgreSQL's with sslmode=require does, and so do those that only look
// whether a port is open.
func TestMappingClientHasNothingToSay(t *testing.T) {
	for _, tc := range []struct{ scheme, says, hears, failure string }{
		{"psqls", "", "", ""},
		{"psqls", askTLS, "N", ""},
		{"psqls", askGSS + askTLS, "NN", ""},
		{"https", "", "", ""},
		{"psqls", askTLS, "N", "reset"},
	} {
		t.Run(fmt.Sprintf("%s %q %s", tc.scheme, tc.says, tc.failure), func(t *testing.T) {
			noLeaks(t)
			p := mapTo(t, &Server{Exempt: func(_, to string, _ syscall.RawConn) error {
				t.Errorf("dialled %s", to)
				return nil
			}}, "", tc.scheme+"://127.0.0.1:1")
			c := dial(t, p.addr)
			send(t, c, tc.says)
			expect(t, c, tc.hears)
			by := EndClient
			if tc.failure == "" {
				closeWrite(t, c)
				expectEnd(t, c, "")
			} else {
				reset(c)
				by = ""
			}
			if f := next(t, p.ended); Failure(f.Err) != tc.failure || f.EndedBy != by || f.Upstream.IsValid() || f.Entry != EntryMapping {
				t.Errorf("%+v", f)
			}
		})
	}
}

// What a client says before it ends is for the target, be it as little as it
// may.
func TestMappingClientSaysHalfAWord(t *testing.T) {
	for scheme, says := range map[string]string{"psqls": "abc", "https": "PRI"} {
		t.Run(scheme, func(t *testing.T) {
			noLeaks(t)
			a, ln := newAuthority(t), listen(t)
			target := "localhost:" + strconv.Itoa(int(loopback(ln).Port()))
			p := mapTo(t, &Server{TLS: a.trusted()}, "", scheme+"://"+target)
			c := dial(t, p.addr)
			send(t, c, says)
			closeWrite(t, c)
			theirs := next(t, shakeHands(accept(t, ln), a.issue(t, "localhost"), parsed(t, "0="+scheme+"://"+target).TLS))
			if theirs.err != nil {
				t.Fatal(theirs.err)
			}
			expectEnd(t, theirs, says)
			send(t, theirs, "what?")
			theirs.Close()
			expectEnd(t, c, "what?")
			if f := next(t, p.ended); f.Err != nil || f.Bytes != [2]int64{3, 5} {
				t.Errorf("%+v", f)
			}
		})
	}
}

// What the target negotiates is what the client speaks, and its name is what
// the mapping calls it.
func TestMappingNegotiates(t *testing.T) {
	const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	for _, tc := range []struct{ scheme, says, protocol string }{
		{"https", "GET / HTTP/1.1\r\n", "http/1.1"}, {"https", preface, "h2"}, {"tls", preface, ""},
	} {
		t.Run(tc.scheme+" "+tc.protocol, func(t *testing.T) {
			noLeaks(t)
			a, ln := newAuthority(t), listen(t)
			config := a.issue(t, "localhost")
			config.NextProtos = []string{"h2", "http/1.1"}
			p := mapTo(t, &Server{TLS: a.trusted()}, "", tc.scheme+"://localhost:"+strconv.Itoa(int(loopback(ln).Port())))
			send(t, dial(t, p.addr), tc.says)
			theirs := next(t, shakeHands(accept(t, ln), config, mapping.DirectTLS))
			if theirs.err != nil {
				t.Fatal(theirs.err)
			}
			if got := theirs.ConnectionState(); got.NegotiatedProtocol != tc.protocol || got.ServerName != "localhost" {
				t.Errorf("negotiated %q with %q", got.NegotiatedProtocol, got.ServerName)
			}
			expect(t, theirs, tc.says)
		})
	}
}

// waitings are what a flow of a mapping can wait for before it has an upstream:
// its client has sent what says says, and its server, if that is reached,
// answered answers.
var waitings = []struct{ name, scheme, says, hears, answers string }{
	{"the client", "psqls", askTLS, "N", "unreached"},
	{"the client's rest", "https", "PRI * ", "", "unreached"},
	{"the handshake", "tls", "", "", ""},
	{"the server's yes", "psqls", startup, "", ""},
	{"the handshake behind the yes", "psqls", startup, "", "S"},
}

func inEachWaiting(t *testing.T, test func(t *testing.T, p *running, client, server *net.TCPConn)) {
	for _, w := range waitings {
		t.Run(w.name, func(t *testing.T) {
			noLeaks(t)
			ln := listen(t)
			p := mapTo(t, &Server{}, "", w.scheme+"://"+ln.Addr().String())
			c := dial(t, p.addr)
			send(t, c, w.says)
			expect(t, c, w.hears)
			next(t, p.begun)
			var server *net.TCPConn
			if w.answers != "unreached" {
				server = accept(t, ln)
				expect(t, server, map[bool]string{true: askTLS, false: "\x16\x03"}[w.scheme == "psqls"])
				send(t, server, w.answers)
				if w.answers != "" {
					expect(t, server, "\x16\x03")
				}
			}
			test(t, p, c, server)
		})
	}
}

// A client that leaves is not connected any more.
func TestMappingClientLeavesWhileWaiting(t *testing.T) {
	inEachWaiting(t, func(t *testing.T, p *running, client, server *net.TCPConn) {
		reset(client)
		if server != nil {
			if _, err := io.Copy(io.Discard, server); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the server was not told")
			}
		}
		if f := next(t, p.ended); Failure(f.Err) != "client-gone" && Failure(f.Err) != "reset" {
			t.Errorf("%+v", f)
		}
	})
}

func TestMappingRunEndsWhileWaiting(t *testing.T) {
	inEachWaiting(t, func(t *testing.T, p *running, client, server *net.TCPConn) {
		p.stop()
		next(t, draining(expired, p))
		expectReset(t, client)
		if server != nil {
			if _, err := io.Copy(io.Discard, server); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the server was not told")
			}
		}
		if f := next(t, p.ended); f.Err != ErrEnded {
			t.Errorf("%+v", f)
		}
	})
}

func TestMappingToIPv6(t *testing.T) {
	ln, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip(err)
	}
	defer ln.Close()
	a := newAuthority(t)
	for _, scheme := range []string{"tcp", "tls"} {
		t.Run(scheme, func(t *testing.T) {
			noLeaks(t)
			p := mapTo(t, &Server{TLS: a.trusted()}, "", scheme+"://"+ln.Addr().String())
			c := dial(t, p.addr)
			var server stream = accept(t, ln.(*net.TCPListener))
			if scheme == "tls" {
				server = next(t, shakeHands(server.(*net.TCPConn), a.issue(t, "::1"), mapping.DirectTLS))
			}
			send(t, c, "ping")
			expect(t, server, "ping")
			c.Close()
			server.Close()
			if f := next(t, p.ended); f.Err != nil || f.Host != ln.Addr().String() || f.Upstream != loopback(ln) {
				t.Errorf("%+v", f)
			}
		})
	}
}

// Whether faults apply is asked of the target.
func TestMappingMatches(t *testing.T) {
	for _, from := range []string{"", "http:", "udp:"} {
		t.Run(from, func(t *testing.T) {
			noLeaks(t)
			asked := make(chan string, 1)
			s := &Server{Plan: delayed(constant(faults.Never/2), true, 1)}
			s.Matches = func(host string, port uint16, addrs func() []netip.Addr) bool {
				loops := false
				for _, a := range addrs() {
					loops = loops || a.IsLoopback()
				}
				asked <- fmt.Sprint(host, port, loops)
				return false
			}
			if from == "udp:" {
				u := mapDatagrams(t, s, "localhost", nil)
				u.question(t, u.client, "hi")
				if got, want := next(t, asked), fmt.Sprint("localhost", u.port(), true); got != want {
					t.Errorf("asked about %s, want %s", got, want)
				}
				return
			}
			w := serveWeb(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hi") })
			port := loopback(w.server.Listener).Port()
			p := mapTo(t, s, from, "localhost:"+strconv.Itoa(int(port)))
			if got, text := status(t, p.addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); got != http.StatusOK || text != "hi" {
				t.Errorf("%d %q", got, text)
			}
			if got, want := next(t, asked), fmt.Sprint("localhost", port, true); got != want {
				t.Errorf("asked about %s, want %s", got, want)
			}
			if f := next(t, p.ended); f.Matched || f.Injected != nil {
				t.Errorf("%+v", f)
			}
		})
	}
}

// Faults are those of the bytes that the client and the server mean, not of
// the TLS that carries them.
func TestMappingShapes(t *testing.T) {
	noLeaks(t)
	f := openMapped(t, delayed(constant(10*ms), true, 1), kinds[1])
	send(t, f.client, "ping")
	expect(t, f.peer, "ping")
	send(t, f.peer, "pong")
	expect(t, f.client, "pong")
	f.client.Close()
	expectEnd(t, f.peer, "")
	f.peer.Close()
	got := next(t, f.proxy.ended)
	for _, link := range []faults.Link{faults.ToServer, faults.ToClient} {
		if in := injectedInto(t, got, link); in.Pieces != 2 || in.Sum < 20*ms { // the word and the end
			t.Errorf("%v: %+v", link, in)
		}
	}
}

// Plain HTTP is answered wherever it is seen, also before TLS hides it.
func TestMappingAnswers(t *testing.T) {
	for _, target := range []string{"127.0.0.1:1", "http://127.0.0.1:1", "https://127.0.0.1:1"} {
		for _, from := range []string{"", "http:"} {
			t.Run(from+target, func(t *testing.T) {
				noLeaks(t)
				p := mapTo(t, &Server{
					Plan: planOf(faults.HTTPResponse{Status: http.StatusTeapot, Body: "short and stout", Probability: 1}),
					Exempt: func(_, to string, _ syscall.RawConn) error {
						t.Errorf("dialled %s", to)
						return nil
					},
				}, from, target)
				c := dial(t, p.addr)
				r := bufio.NewReader(c)
				for range 2 {
					send(t, c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
					resp, err := http.ReadResponse(r, nil)
					if err != nil || resp.StatusCode != http.StatusTeapot {
						t.Fatal(resp, err)
					}
					expectEnd(t, resp.Body, "short and stout")
				}
				c.Close()
				f := next(t, p.ended)
				if f.Answered != http.StatusTeapot || f.Entry != EntryMapping || f.Err != nil || f.Upstream.IsValid() {
					t.Errorf("%+v", f)
				}
			})
		}
	}
}

// inEachHTTPMapping runs a test with a server of HTTP behind a mapping, also
// over TLS and with faults.
func inEachHTTPMapping(t *testing.T, handler http.HandlerFunc, test func(t *testing.T, w web, host string)) {
	for _, scheme := range []string{"http", "https"} {
		for name, plan := range map[string]*faults.Plan{
			"null": nil, "latency once": delayed(short, false, 1), "latency per piece": delayed(short, true, 1),
		} {
			t.Run(scheme+" "+name, func(t *testing.T) {
				noLeaks(t)
				a := newAuthority(t)
				w := serveTarget(t, handler, map[string]*tls.Config{"https": a.issue(t, "localhost")}[scheme])
				host := "localhost:" + strconv.Itoa(int(loopback(w.server.Listener).Port()))
				w.proxy = mapTo(t, &Server{Plan: plan, TLS: a.trusted()}, "http:", scheme+"://"+host)
				test(t, w, host)
			})
		}
	}
}

// serveTarget serves HTTP, over TLS if there is a config for it.
func serveTarget(t *testing.T, handler http.HandlerFunc, config *tls.Config) web {
	t.Helper()
	w := web{server: httptest.NewUnstartedServer(handler), accepts: new(atomic.Int64)}
	w.server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			w.accepts.Add(1)
		}
	}
	w.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.server.Config.DisableGeneralOptionsHandler = true
	if w.server.TLS = config; config != nil {
		w.server.StartTLS()
	} else {
		w.server.Start()
	}
	transport := &http.Transport{}
	w.client = &http.Client{Transport: transport, Timeout: patience}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		w.server.CloseClientConnections()
		w.server.Close()
	})
	return w
}

// Requests are for the target, whomever their client takes it for.
func TestHTTPMapping(t *testing.T) {
	inEachHTTPMapping(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s at %s: %s %v", r.Method, r.RequestURI, r.Host, body, err)
	}, func(t *testing.T, w web, host string) {
		c := dial(t, w.proxy.addr)
		r := bufio.NewReader(c)
		for request, want := range map[string]string{
			"GET /a%2Fb?c=d HTTP/1.1\r\nHost: x\r\n\r\n":                                  "GET /a%2Fb?c=d at " + host + ":  <nil>",
			"GET http://other.invalid:99/a?b HTTP/1.1\r\nHost: x\r\n\r\n":                 "GET /a?b at " + host + ":  <nil>",
			"GET https://user@other.invalid HTTP/1.1\r\nHost: y\r\n\r\n":                  "GET / at " + host + ":  <nil>",
			"GET /x HTTP/1.1\r\nHost: " + w.proxy.addr + "\r\n\r\n":                       "GET /x at " + host + ":  <nil>",
			"GET /x HTTP/1.1\r\nHost: \r\n\r\n":                                           "GET /x at " + host + ":  <nil>",
			"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n":                           "GET /x at " + host + ":  <nil>",
			"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n":                                       "OPTIONS * at " + host + ":  <nil>",
			"POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody":               "POST /up at " + host + ": body <nil>",
			"POST /up HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": "POST /up at " + host + ":  <nil>",
		} {
			send(t, c, request)
			resp, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(request, err)
			}
			if got, err := io.ReadAll(resp.Body); string(got) != want || err != nil {
				t.Errorf("%q: the server heard %q, %v, want %q", request, got, err, want)
			}
			f := next(t, w.proxy.ended)
			if f.Err != nil || f.Entry != EntryMapping || f.Host != host || f.Upstream != loopback(w.server.Listener) ||
				f.Client != addrPort(c.LocalAddr()) || !f.Matched || f.Status != http.StatusOK {
				t.Errorf("%q: %+v", request, f)
			}
		}
		if got := w.accepts.Load(); got != 1 {
			t.Errorf("%d connections to the target", got)
		}
	})
}

// What a client uploads on one connection goes over one.
func TestHTTPMappingUploadsShareAConnection(t *testing.T) {
	noLeaks(t)
	w := serveTarget(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }, nil)
	p := mapTo(t, &Server{}, "http:", w.server.Listener.Addr().String())
	c := dial(t, p.addr)
	r := bufio.NewReader(c)
	for range 500 {
		send(t, c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		expectEnd(t, resp.Body, "body")
	}
	if got := w.accepts.Load(); got != 1 {
		t.Errorf("%d connections to the target", got)
	}
}

// The target's name is what its client would call it: without a port that
// needs no mention.
func TestHTTPMappingHost(t *testing.T) {
	for text, want := range map[string][2]string{
		"http:1=example.com:80":            {"http://example.com:80/p", "example.com"},
		"http:1=http://example.com":        {"http://example.com:80/p", "example.com"},
		"http:1=example.com:443":           {"http://example.com:443/p", "example.com:443"},
		"http:1=https://example.com":       {"https://example.com:443/p", "example.com"},
		"https:1=example.com:443":          {"https://example.com:443/p", "example.com"},
		"http:1=https://example.com:80":    {"https://example.com:80/p", "example.com:80"},
		"http:1=tls://example.com:443":     {"https://example.com:443/p", "example.com"},
		"http:1=https://example.com:8443":  {"https://example.com:8443/p", "example.com:8443"},
		"http:1=[2001:db8::1]:80":          {"http://[2001:db8::1]:80/p", "[2001:db8::1]"},
		"http:1=https://[2001:db8::1]:444": {"https://[2001:db8::1]:444/p", "[2001:db8::1]:444"},
	} {
		m := parsed(t, text)
		r := httptest.NewRequest(http.MethodGet, "http://other.invalid:81/p", nil)
		r = r.WithContext(withClient(r.Context(), &client{mapping: &m}))
		host, to, err := (&Server{Upstream: &Target{Host: "not.this", Port: 1}}).destination(r)
		if err != nil || r.URL.String() != want[0] || r.Host != want[1] || host != m.Target() ||
			to != (Target{m.Host, m.Port, m.TLS != mapping.NoTLS}) {
			t.Errorf("%s: to %v, %v for %q at %v, %v", text, to, r.URL, r.Host, host, err)
		}
	}
}

// A mapping has one target, and no other can be asked for.
func TestHTTPMappingIsNoProxy(t *testing.T) {
	for _, request := range []string{
		"CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		t.Run(request, func(t *testing.T) {
			noLeaks(t)
			p := mapTo(t, &Server{Exempt: func(_, to string, _ syscall.RawConn) error {
				t.Errorf("dialled %s", to)
				return nil
			}}, "http:", "127.0.0.1:2")
			if got, text := status(t, p.addr, request); got != http.StatusBadRequest || !strings.Contains(text, "a mapping to 127.0.0.1:2") {
				t.Errorf("%d %q", got, text)
			}
		})
	}
}

func TestHTTPMappingUnreachable(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		for _, tc := range unreachables(t, scheme, parsed(t, "http:1="+scheme+"://h").TLS) {
			t.Run(scheme+" "+tc.name, func(t *testing.T) {
				noLeaks(t)
				p := mapTo(t, tc.server, "http:", tc.target)
				got, text := status(t, p.addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
				f := next(t, p.ended)
				if got != http.StatusBadGateway || !strings.HasPrefix(text, "fault: cannot reach "+f.Host+": ") {
					t.Errorf("%d %q", got, text)
				}
				if tc.name == "wrong name" && !strings.Contains(text, "certificate is valid for another.internal, not localhost") {
					t.Errorf("%q does not say why", text)
				}
				if unverified := is[*tls.CertificateVerificationError](f.Err); unverified != (tc.name == "wrong name" || tc.name == "unknown authority") {
					t.Errorf("%v: about the certificate: %v", f.Err, unverified)
				}
				if Failure(f.Err) != tc.failure || f.Entry != EntryMapping || !strings.HasSuffix(tc.target, "/"+f.Host) {
					t.Errorf("%+v (%s), want %s", f, Failure(f.Err), tc.failure)
				}
			})
		}
	}
}

// A request may become a stream, over TLS as well.
func TestHTTPMappingUpgrade(t *testing.T) {
	inEachHTTPMapping(t, func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nX-Host: %s\r\n\r\nwelcome",
			r.Header.Get("Upgrade"), r.Host)
		_ = rw.Flush()
		_, _ = io.Copy(c, rw)
		_, _ = io.WriteString(c, " bye")
	}, func(t *testing.T, w web, host string) {
		c := dial(t, w.proxy.addr)
		send(t, c, "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		head := readHead(t, c)
		if !strings.HasPrefix(head, "HTTP/1.1 101 ") || !strings.Contains(head, "\r\nX-Host: "+host+"\r\n") {
			t.Errorf("%q", head)
		}
		expect(t, c, "welcome")
		for range 3 {
			send(t, c, "ping")
			expect(t, c, "ping")
		}
		closeWrite(t, c)
		expectEnd(t, c, " bye")
		f := next(t, w.proxy.ended)
		if f.Err != nil || f.Entry != EntryMapping || f.Host != host || f.Bytes != [2]int64{12, 23} ||
			f.Status != http.StatusSwitchingProtocols || f.Upstream != loopback(w.server.Listener) {
			t.Errorf("%+v", f)
		}
	})
}

// A request that waits for a handshake does so no longer than its client.
func TestHTTPMappingHandshakeIsAbandoned(t *testing.T) {
	for _, by := range []string{"client", "run"} {
		t.Run(by, func(t *testing.T) {
			noLeaks(t)
			ln := listen(t)
			p := mapTo(t, &Server{}, "http:", "https://"+ln.Addr().String())
			c := dial(t, p.addr)
			send(t, c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			server := accept(t, ln)
			expect(t, server, "\x16\x03")
			want := "client-gone"
			if by == "client" {
				c.Close()
			} else {
				want = "cut-off"
				p.stop()
				next(t, draining(expired, p))
				expectReset(t, c)
			}
			if _, err := io.Copy(io.Discard, server); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the server was not told")
			}
			if f := next(t, p.ended); Failure(f.Err) != want {
				t.Errorf("%+v", f)
			}
		})
	}
}
