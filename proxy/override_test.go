package proxy

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/faultproxy/fault/faults"
)

// targetOf is where a listener is, by its name.
func targetOf(ln net.Listener, secured bool) *Target {
	return &Target{Host: "localhost", Port: loopback(ln).Port(), TLS: secured}
}

// echoHost answers with what a request asks for and of whom.
func echoHost(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s at %s", r.Method, r.RequestURI, r.Host)
}

// Whatever clients ask for, it is asked of the one upstream, which hears whom
// they mean.
func TestOverride(t *testing.T) {
	for _, secured := range []bool{false, true} {
		t.Run(fmt.Sprint("TLS=", secured), func(t *testing.T) {
			noLeaks(t)
			a := newAuthority(t)
			w := serveTarget(t, echoHost, map[bool]*tls.Config{true: a.issue(t, "localhost")}[secured])
			p := run(t, &Server{Upstream: targetOf(w.server.Listener, secured), TLS: a.trusted()})
			c := dial(t, p.addr)
			r := bufio.NewReader(c)
			for _, tc := range []struct{ request, heard, host string }{
				{"GET http://one.invalid/a?b HTTP/1.1\r\nHost: x\r\n\r\n", "GET /a?b at one.invalid", "one.invalid:80"},
				{"GET http://two.invalid:8080/ HTTP/1.1\r\nHost: x\r\n\r\n", "GET / at two.invalid:8080", "two.invalid:8080"},
				{"GET https://three.invalid/ HTTP/1.1\r\nHost: x\r\n\r\n", "GET / at three.invalid", "three.invalid:443"},
				{"GET https://four.invalid:80/ HTTP/1.1\r\nHost: x\r\n\r\n", "GET / at four.invalid:80", "four.invalid:80"},
				{"GET /origin HTTP/1.1\r\nHost: five.invalid\r\n\r\n", "GET /origin at five.invalid", "five.invalid:80"},
				{"GET http://[2001:db8::1]:81/ HTTP/1.1\r\nHost: x\r\n\r\n", "GET / at [2001:db8::1]:81", "[2001:db8::1]:81"},
				{"OPTIONS http://six.invalid HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS * at six.invalid", "six.invalid:80"},
			} {
				send(t, c, tc.request)
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(resp.Body); string(got) != tc.heard || err != nil {
					t.Errorf("%q: the upstream heard %q, %v", tc.request, got, err)
				}
				f := next(t, p.ended)
				if f.Err != nil || f.Entry != EntryHTTP || f.Host != tc.host || f.Upstream != loopback(w.server.Listener) || !f.Matched {
					t.Errorf("%q: %+v", tc.request, f)
				}
			}
			if got := w.accepts.Load(); got != 1 {
				t.Errorf("%d connections to the upstream", got)
			}
		})
	}
}

// A tunnel goes there, too, as it is: what runs in it is the client's.
func TestOverrideOfCONNECT(t *testing.T) {
	for _, secured := range []bool{false, true} {
		t.Run(fmt.Sprint("TLS=", secured), func(t *testing.T) {
			noLeaks(t)
			ln := listen(t)
			p := run(t, &Server{Upstream: targetOf(ln, secured)})
			c := tunnelled(t, p.addr, "one.invalid:443")
			server := accept(t, ln)
			send(t, c, "ping")
			expect(t, server, "ping")
			c.Close()
			server.Close()
			if f := next(t, p.ended); f.Err != nil || f.Entry != EntryConnect || f.Host != "one.invalid:443" || f.Upstream != loopback(ln) || f.Bytes[faults.ToServer] != 4 {
				t.Errorf("%+v", f)
			}
		})
	}
}

// Whether faults apply is asked of where requests go.
func TestOverrideMatches(t *testing.T) {
	for _, matched := range []bool{false, true} {
		noLeaks(t)
		var asked atomic.Int64
		w := serveTarget(t, echoHost, nil)
		to := targetOf(w.server.Listener, false)
		p := run(t, &Server{
			Plan: delayed(constant(ms), true, 1), Upstream: to,
			Matches: func(host string, port uint16, addrs func() []netip.Addr) bool {
				asked.Add(1)
				if got := addrs(); host != to.Host || port != to.Port || len(got) == 0 || !got[0].IsLoopback() {
					t.Errorf("asked about %s:%d at %v", host, port, got)
				}
				return matched
			},
		})
		if got, text := status(t, p.addr, "GET http://one.invalid/ HTTP/1.1\r\nHost: x\r\n\r\n"); got != http.StatusOK || text != "GET / at one.invalid" {
			t.Errorf("%d %q", got, text)
		}
		tunnelled(t, p.addr, "two.invalid:80").Close()
		for range 2 {
			if f := next(t, p.ended); f.Matched != matched || (f.Injected != nil) != matched {
				t.Errorf("%+v", f)
			}
		}
		if asked.Load() != 2 {
			t.Errorf("asked %d times", asked.Load())
		}
	}
}

// A request for an override may become a stream.
func TestOverrideUpgrade(t *testing.T) {
	for _, secured := range []bool{false, true} {
		noLeaks(t)
		a := newAuthority(t)
		w := serveTarget(t, func(w http.ResponseWriter, r *http.Request) {
			c, rw, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_, _ = io.WriteString(c, switched+r.Host)
			_, _ = io.Copy(c, rw)
		}, map[bool]*tls.Config{true: a.issue(t, "localhost")}[secured])
		p := run(t, &Server{Upstream: targetOf(w.server.Listener, secured), TLS: a.trusted()})
		c := dial(t, p.addr)
		send(t, c, "GET http://one.invalid/chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
		readHead(t, c)
		expect(t, c, "one.invalid")
		send(t, c, "ping")
		expect(t, c, "ping")
		closeWrite(t, c)
		expectEnd(t, c, "")
		if f := next(t, p.ended); f.Err != nil || f.Host != "one.invalid:80" || f.Upstream != loopback(w.server.Listener) || f.Bytes != [2]int64{4, 15} {
			t.Errorf("%+v", f)
		}
	}
}

func TestOverrideIsUnreachable(t *testing.T) {
	a := newAuthority(t)
	refused := &Target{Host: "127.0.0.1", Port: netip.MustParseAddrPort(nobody(t)).Port()}
	wrong := serveTarget(t, echoHost, a.issue(t, "another.internal"))
	plain := serveTarget(t, echoHost, nil)
	for _, tc := range []struct {
		name    string
		to      *Target
		failure string
		says    string
		connect bool // fails as well
	}{
		{"refused", refused, "refused", "connection refused", true},
		{"certificate", targetOf(wrong.server.Listener, true), "tls", "certificate is valid for another.internal, not localhost", false},
		{"no TLS", targetOf(plain.server.Listener, true), "tls", "first record does not look like a TLS handshake", false},
		{"unresolvable", &Target{Host: "no-such-name.invalid", Port: 1}, "dns", "no-such-name.invalid", true},
	} {
		for how, request := range asking("one.invalid:81") {
			if how == "CONNECT" && !tc.connect {
				continue
			}
			t.Run(tc.name+" "+how, func(t *testing.T) {
				noLeaks(t)
				p := run(t, &Server{Upstream: tc.to, TLS: a.trusted(), Exempt: func(network, to string, _ syscall.RawConn) error {
					if strings.HasPrefix(network, "udp") || strings.HasSuffix(to, ":53") {
						return errors.New("no name server here") // asking must not leave the host
					}
					return nil
				}})
				got, text := status(t, p.addr, request)
				if got != http.StatusBadGateway || !strings.HasPrefix(text, "fault: cannot reach one.invalid:81: ") || !strings.Contains(text, tc.says) {
					t.Errorf("%d %q", got, text)
				}
				if f := next(t, p.ended); Failure(f.Err) != tc.failure || f.Host != "one.invalid:81" {
					t.Errorf("%+v (%s), want %s", f, Failure(f.Err), tc.failure)
				}
			})
		}
	}
}

// An override that is the proxy itself is an answer, and no loop.
func TestOverrideIsTheProxy(t *testing.T) {
	noLeaks(t)
	ln := listen(t)
	s := &Server{Upstream: &Target{Host: "127.0.0.1", Port: loopback(ln).Port()}}
	p := runOn(t, s, ln)
	for how, request := range asking("one.invalid:81") {
		if got, text := status(t, p.addr, request); got != http.StatusMisdirectedRequest {
			t.Errorf("%s: %d %q", how, got, text)
		}
		if f := next(t, p.ended); Failure(f.Err) != "self" {
			t.Errorf("%s: %+v", how, f)
		}
	}
}

// A request is answered instead of the override as instead of any upstream.
func TestOverrideAnswers(t *testing.T) {
	noLeaks(t)
	p := run(t, &Server{
		Upstream: &Target{Host: "127.0.0.1", Port: 1, TLS: true},
		Plan:     planOf(faults.HTTPResponse{Status: http.StatusTeapot, Probability: 1}),
		Exempt: func(_, to string, _ syscall.RawConn) error {
			t.Errorf("dialled %s", to)
			return nil
		},
	})
	if got, text := status(t, p.addr, "GET http://one.invalid/ HTTP/1.1\r\nHost: x\r\n\r\n"); got != http.StatusTeapot {
		t.Errorf("%d %q", got, text)
	}
	if f := next(t, p.ended); f.Answered != http.StatusTeapot || f.Host != "one.invalid:80" {
		t.Errorf("%+v", f)
	}
}

// What cannot be asked for cannot with an override either.
func TestOverrideOfBadTargets(t *testing.T) {
	for _, request := range []string{
		"GET ftp://one.invalid/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://one.invalid:0/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n",
		"CONNECT one.invalid HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		noLeaks(t)
		p := run(t, &Server{Upstream: &Target{Host: "127.0.0.1", Port: 1}})
		if got, text := status(t, p.addr, request); got != http.StatusBadRequest {
			t.Errorf("%q: %d %q", request, got, text)
		}
	}
}

// It is what clients ask for that is overridden; a connection that was diverted
// goes where it was going.
func TestOverrideLeavesTheDivertedAlone(t *testing.T) {
	noLeaks(t)
	ln := listen(t)
	p := run(t, &Server{Origin: divertedTo(ln), Upstream: &Target{Host: "127.0.0.1", Port: 1}})
	c := dial(t, p.addr)
	server := accept(t, ln)
	send(t, c, "ping")
	expect(t, server, "ping")
}

// Without clients there are still connections that were diverted, and those of
// mappings.
func TestNoClients(t *testing.T) {
	noLeaks(t)
	ln := listen(t)
	var diverted atomic.Bool
	origin := divertedTo(ln)
	s := &Server{NoClients: true, Origin: func(c net.Conn) (Intercepted, bool, error) {
		if diverted.Load() {
			return origin(c)
		}
		return Intercepted{}, false, nil
	}}
	p := run(t, s)
	bytes, requests := serveMapping(t, s, "", ln.Addr().String()), serveMapping(t, s, "http:", ln.Addr().String())
	expectResetAtOnce(t, p.addr)
	if len(p.begun) > 0 {
		t.Errorf("a flow: %+v", next(t, p.begun))
	}
	diverted.Store(true)
	for _, addr := range []string{p.addr, bytes, requests} {
		c := dial(t, addr)
		send(t, c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		server := accept(t, ln)
		readHead(t, server)
		send(t, server, ok)
		expect(t, c, "HTTP/1.1 200 OK\r\n")
		c.Close()
		server.Close()
	}
}
