package proxy

import (
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/faultproxy/fault/faults"
)

// inShared is a connection to an address that several names have, of which
// faults are for api.test.
func inShared(t *testing.T, s *Server, by MatchedBy) flow {
	t.Helper()
	ln := listen(t)
	s.Origin = func(net.Conn) (Intercepted, bool, error) {
		return Intercepted{Destination: loopback(ln), MatchedBy: by, Shared: true}, true, nil
	}
	s.Matches = func(host string, _ uint16, addrs func() []netip.Addr) bool {
		return host == "api.test" || host == "public.test" || slices.Contains(addrs(), netip.MustParseAddr("192.0.2.1"))
	}
	p := run(t, s)
	c := dial(t, p.addr)
	return flow{c, accept(t, ln), p}
}

// gets checks that the server gets what the client sent, and the client an
// answer.
func (f flow) gets(t *testing.T, want []byte) {
	t.Helper()
	expect(t, f.server, string(want))
	send(t, f.server, "answer")
	expect(t, f.client, "answer")
}

// end ends a flow and says how it was matched.
func (f flow) end(t *testing.T) (matched bool, by MatchedBy, name string) {
	t.Helper()
	f.server.Close()
	f.client.Close()
	ended := next(t, f.proxy.ended)
	if ended.Err != nil {
		t.Error(ended.Err)
	}
	return ended.Matched, ended.MatchedBy, ended.Name
}

// wants checks how a flow was matched.
func (f flow) wants(t *testing.T, matched bool, by MatchedBy, name string) {
	t.Helper()
	if m, b, n := f.end(t); m != matched || b != by || n != name {
		t.Errorf("matched %v by %s %q, want %v by %s %q", m, b, n, matched, by, name)
	}
}

// TestNamed tells names of one address apart by what clients say first, of
// which nothing is lost.
func TestNamed(t *testing.T) {
	slow(t, time.Hour)
	for name, tc := range greetings(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := inShared(t, &Server{Plan: delayed(constant(time.Millisecond), false, 1)}, ByDNS)
			send(t, f.client, string(tc.bytes))
			f.gets(t, tc.bytes)
			f.wants(t, tc.name != "", tc.by, tc.name)
			did := len(f.proxy.injected(faults.ToClient)) > 0
			if did != (tc.name != "") {
				t.Errorf("faults applied: %v", did)
			}
		})
	}
}

// TestNamedOtherwise is names that faults are not for.
func TestNamedOtherwise(t *testing.T) {
	t.Parallel()
	for _, b := range [][]byte{
		clientHelloOf(t, &tls.Config{ServerName: "www.test"}),
		[]byte("GET / HTTP/1.1\r\nHost: www.test\r\n\r\n"),
	} {
		f := inShared(t, &Server{Plan: delayed(constant(time.Hour), false, 1)}, ByDNS)
		send(t, f.client, string(b))
		f.gets(t, b)
		f.wants(t, false, readHello(b).by, "www.test")
		if named := next(t, f.proxy.named); named.Name != "www.test" {
			t.Errorf("the observer was told %q", named.Name)
		}
	}
}

// TestVeiledByAddress is a name that may hide the one that is excluded from a
// range of addresses.
func TestVeiledByAddress(t *testing.T) {
	t.Parallel()
	f, b := inShared(t, &Server{}, ByAddress), veiledHello(t)
	send(t, f.client, string(b))
	f.gets(t, b)
	f.wants(t, false, ByAmbiguous, "")
}

// TestNamedInPieces has a hello come in many segments, which takes a while.
func TestNamedInPieces(t *testing.T) {
	t.Parallel()
	f := inShared(t, &Server{}, ByDNS)
	b := split(clientHelloOf(t, &tls.Config{ServerName: "api.test"}), 200)
	for piece := range slices.Chunk(b, 137) {
		send(t, f.client, string(piece))
		time.Sleep(100 * time.Microsecond) // a segment of its own
	}
	f.gets(t, b)
	f.wants(t, true, BySNI, "api.test")
}

// TestUnnamedServerSpeaksFirst does not wait for a client that says nothing, nor for
// one whose beginning could be anything.
func TestUnnamedServerSpeaksFirst(t *testing.T) {
	slow(t, time.Hour)
	for name, begins := range map[string]string{"alone": "", "at the same time": "GET"} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			f := inShared(t, &Server{}, ByDNS)
			send(t, f.client, begins)
			send(t, f.server, "hello")
			expect(t, f.client, "hello")
			send(t, f.client, " IT")
			f.gets(t, []byte(begins+" IT"))
			f.wants(t, false, ByAmbiguous, "")
		})
	}
}

// slow sets how long clients may take to name what they mean.
func slow(t *testing.T, d time.Duration) {
	t.Helper()
	hello, rest := helloTime, restTime
	helloTime, restTime = d, d
	t.Cleanup(func() { helloTime, restTime = hello, rest })
}

// TestUnfinished is clients that begin as if they would give a name, and wait.
func TestUnfinished(t *testing.T) {
	hello := clientHelloOf(t, &tls.Config{ServerName: "api.test"})
	for name, b := range map[string][]byte{
		"TLS": hello[:len(hello)-1], "HTTP": []byte("GET / HTTP/1.1\r\n"), "a byte": {22},
		"HTTP/2": http2Of(t, false), "a preface": []byte(http2.ClientPreface[:20]),
	} {
		t.Run(name, func(t *testing.T) {
			f := inShared(t, &Server{}, ByDNS)
			send(t, f.client, string(b))
			f.gets(t, b)
			f.wants(t, false, ByAmbiguous, "")
		})
	}
}

// TestUnnamedEnds has one end leave before the client has given a name.
func TestUnnamedEnds(t *testing.T) {
	slow(t, time.Hour)
	for name, begins := range map[string]string{"silent": "", "begun": "GET / HT"} {
		t.Run("a "+name+" client", func(t *testing.T) {
			noLeaks(t)
			f := inShared(t, &Server{}, ByDNS)
			send(t, f.client, begins)
			closeWrite(t, f.client)
			expectEnd(t, f.server, begins)
			send(t, f.server, "answer")
			f.server.Close()
			expectEnd(t, f.client, "answer")
			f.wants(t, false, ByAmbiguous, "")
		})
		t.Run("a "+name+" client resets", func(t *testing.T) {
			f := inShared(t, &Server{}, ByDNS)
			send(t, f.client, begins)
			reset(f.client)
			_, err := f.server.Read(make([]byte, 100))
			ended := next(t, f.proxy.ended)
			if ended.MatchedBy != ByAmbiguous {
				t.Errorf("matched by %s", ended.MatchedBy)
			}
			switch how := Failure(ended.Err); {
			case how == "client-gone": // while it was dialled, which was given up
			case how != "reset":
				t.Errorf("ended by %v", ended.Err)
			case begins == "" && !isReset(err):
				t.Errorf("the server reads %v", err)
			}
		})
		t.Run("the server of a "+name+" client", func(t *testing.T) {
			f := inShared(t, &Server{}, ByDNS)
			send(t, f.client, begins)
			closeWrite(t, f.server)
			expectEnd(t, f.client, "")
			closeWrite(t, f.client)
			expectEnd(t, f.server, begins)
			f.wants(t, false, ByAmbiguous, "")
		})
		t.Run("the run of a "+name+" client", func(t *testing.T) {
			noLeaks(t)
			f := inShared(t, &Server{}, ByDNS)
			send(t, f.client, begins)
			next(t, f.proxy.begun)
			f.proxy.stop()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			f.proxy.Drain(ctx)
			if ended := next(t, f.proxy.ended); Failure(ended.Err) != "cut-off" {
				t.Errorf("ended by %v", ended.Err)
			}
		})
	}
}

// TestNamedIsAnswered has requests for one of two names be answered.
func TestNamedIsAnswered(t *testing.T) {
	t.Parallel()
	f := inShared(t, &Server{Plan: answering(1, 1)}, ByDNS)
	send(t, f.client, "GET / HTTP/1.1\r\nHost: api.test\r\n\r\n")
	if head := readHead(t, f.client); head[:12] != "HTTP/1.1 503" {
		t.Errorf("answered %q", head)
	}
	expect(t, f.client, "not today")
	f.wants(t, true, ByHost, "api.test")
}

// TestHeldNamed has a connection be held that no fault of connecting is for:
// nobody knows yet whom it means.
func TestHeldNamed(t *testing.T) {
	t.Parallel()
	ln := listen(t)
	plan := delayed(constant(50*time.Millisecond), false, 1)
	plan.Faults = append(plan.Faults, faults.Planned{Fault: faults.ConnectError{Kind: faults.Refused, Probability: 1}})
	s := &Server{Plan: plan, Matches: func(host string, _ uint16, _ func() []netip.Addr) bool { return host == "api.test" }}
	p, w := holdOrigin(t, s, Intercepted{Destination: loopback(ln), MatchedBy: ByDNS, Shared: true})
	server := accept(t, ln)
	client := bounded(t, next(t, w.conn).(*net.TCPConn))
	f := flow{client, server, p}
	request := "GET / HTTP/1.1\r\nHost: api.test\r\n\r\n"
	send(t, client, request)
	f.gets(t, []byte(request))
	f.wants(t, true, ByHost, "api.test")
	if len(p.injected(faults.ToClient)) == 0 {
		t.Error("no fault applied")
	}
}

func isReset(err error) bool { return Failure(err) == "reset" }
