package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/faultproxy/fault/faults"
)

// status sends a request as it is, and returns the status of the response.
func status(t *testing.T, addr, request string) (int, string) {
	t.Helper()
	c := dial(t, addr)
	defer c.Close()
	send(t, c, request)
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// asking is the two requests that make us dial.
func asking(to string) map[string]string {
	return map[string]string{
		"http":    "GET http://" + to + "/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT": "CONNECT " + to + " HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST":    "POST http://" + to + "/ HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody",
	}
}

func TestUnreachableUpstream(t *testing.T) {
	refused := nobody(t)
	failing := func(err error) func(string, string, syscall.RawConn) error {
		return func(string, string, syscall.RawConn) error { return err }
	}
	for _, tc := range []struct {
		name, to string
		exempt   func(string, string, syscall.RawConn) error
		status   int
		failure  string
	}{
		{"refused", refused, nil, http.StatusBadGateway, "refused"},
		{"unresolvable", "no-such-name.invalid:80", nil, http.StatusBadGateway, "dns"},
		{"timeout", refused, failing(syscall.ETIMEDOUT), http.StatusGatewayTimeout, "timeout"},
		{"deadline", refused, failing(context.DeadlineExceeded), http.StatusGatewayTimeout, "timeout"},
		{"no route", refused, failing(syscall.EHOSTUNREACH), http.StatusBadGateway, "unreachable"},
		{"other", refused, failing(errors.New("odd")), http.StatusBadGateway, "other"},
	} {
		for how, request := range asking(tc.to) {
			t.Run(tc.name+" "+how, func(t *testing.T) {
				noLeaks(t)
				s := &Server{Exempt: tc.exempt}
				if tc.name == "unresolvable" {
					// Asking must not leave the host, nor wait for anybody.
					s.Exempt = failing(errors.New("no name server here"))
				}
				p := run(t, s)
				got, text := status(t, p.addr, request)
				if got != tc.status || !strings.HasPrefix(text, "fault: cannot reach "+tc.to+": ") {
					t.Errorf("%d %q, want %d", got, text, tc.status)
				}
				if f := next(t, p.ended); Failure(f.Err) != tc.failure || f.Upstream.IsValid() || f.Host != tc.to {
					t.Errorf("%+v (%s), want %s", f, Failure(f.Err), tc.failure)
				}
			})
		}
	}
}

// However a client names the proxy itself, there is an answer and no loop.
func TestUpstreamIsTheProxy(t *testing.T) {
	for _, tc := range []struct {
		listen string
		names  []string
	}{
		{"127.0.0.1:0", []string{"127.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]"}},
		{"0.0.0.0:0", []string{"127.0.0.1", "127.0.0.2", "0.0.0.0", "[::ffff:127.0.0.3]"}},
	} {
		for _, name := range tc.names {
			t.Run(tc.listen+" as "+name, func(t *testing.T) {
				noLeaks(t)
				p := runAt(t, &Server{}, tc.listen)
				_, port, _ := net.SplitHostPort(p.addr)
				requests := asking(name + ":" + port)
				requests["origin form"] = "GET / HTTP/1.1\r\nHost: " + name + ":" + port + "\r\n\r\n"
				n := uint64(0)
				for how, request := range requests {
					n++
					if got, text := status(t, "127.0.0.1:"+port, request); got != http.StatusMisdirectedRequest {
						t.Errorf("%s: %d %q", how, got, text)
					}
					if f := next(t, p.ended); Failure(f.Err) != "self" || f.ID != n {
						t.Errorf("%s: %+v, want flow %d", how, f, n)
					}
				}
			})
		}
	}
}

func TestIsSelf(t *testing.T) {
	for _, tc := range []struct {
		own, address string
		want         bool
	}{
		{"127.0.0.1:80", "127.0.0.1:80", true},
		{"127.0.0.1:80", "127.0.0.1:81", false},
		{"127.0.0.1:80", "127.0.0.2:80", false},
		{"127.0.0.1:80", "0.0.0.0:80", true},
		{"127.0.0.1:80", "[::1]:80", false},
		{"127.0.0.1:80", "[::]:80", false},
		{"127.0.0.2:80", "0.0.0.0:80", false},
		{"0.0.0.0:80", "127.9.9.9:80", true},
		{"0.0.0.0:80", "[::ffff:127.0.0.1]:80", true},
		{"0.0.0.0:80", "[::1]:80", false}, // somebody else's
		{"0.0.0.0:80", "192.0.2.1:80", false},
		{"[::]:80", "[::1]:80", true},
		{"[::]:80", "127.0.0.1:80", true},
		{"[::]:80", "[::]:80", true},
		{"[::]:80", "[2001:db8::1]:80", false},
		{"127.0.0.1:80", "not an address", false},
	} {
		s := &Server{listens: []netip.AddrPort{netip.MustParseAddrPort(tc.own)}}
		if got := s.isSelf(tc.address); got != tc.want {
			t.Errorf("listening at %s, %s is self: %v", tc.own, tc.address, got)
		}
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{listens: []netip.AddrPort{netip.MustParseAddrPort("[::]:80")}}
	for _, a := range addrs {
		ip := a.(*net.IPNet).IP.String()
		if !s.isSelf(net.JoinHostPort(ip, "80")) {
			t.Errorf("%s is an address of this host", ip)
		}
	}
}

func TestBadTargets(t *testing.T) {
	for _, request := range []string{
		"CONNECT example.com HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT example.com: HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT example.com:0 HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT example.com:65536 HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT example.com:http HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT :80 HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT / HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n",
		"CONNECT 127.0.0.1:1/x HTTP/1.1\r\nHost: x\r\n\r\n",
		"CONNECT http://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET ftp://example.com/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET ws://127.0.0.1:1/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http:///x HTTP/1.1\r\nHost:\r\n\r\n",
		"GET http:x HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://:80/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://127.0.0.1:0/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://127.0.0.1:99999/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.0\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n",
		"GET * HTTP/1.1\r\nHost: \r\n\r\n",
	} {
		t.Run(request, func(t *testing.T) {
			noLeaks(t)
			p := run(t, &Server{Exempt: func(_, to string, _ syscall.RawConn) error {
				t.Errorf("dialled %s", to)
				return nil
			}})
			if got, text := status(t, p.addr, request); got != http.StatusBadRequest {
				t.Errorf("%d %q", got, text)
			}
		})
	}
}

func TestSplitHostPort(t *testing.T) {
	for _, tc := range []struct {
		text, fallback, host string
		port                 uint16
	}{
		{"example.com:8080", "", "example.com", 8080},
		{"example.com:8080", "80", "example.com", 8080},
		{"example.com", "80", "example.com", 80},
		{"example.com:", "443", "example.com", 443},
		{"192.0.2.1", "80", "192.0.2.1", 80},
		{"[2001:db8::1]:8080", "", "2001:db8::1", 8080},
		{"[2001:db8::1]", "80", "2001:db8::1", 80},
		{"[fe80::1%eth0]:1", "", "fe80::1%eth0", 1},
	} {
		host, port, err := splitHostPort(tc.text, tc.fallback)
		if host != tc.host || port != tc.port || err != nil {
			t.Errorf("%q: %q, %d, %v", tc.text, host, port, err)
		}
	}
}

func TestFailure(t *testing.T) {
	dialling := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	for _, tc := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{ErrOrigin, "origin-unknown"},
		{dialling(ErrSelf), "self"},
		{ErrEnded, "cut-off"},
		{fmt.Errorf("wrapped: %w", &FaultError{"connect-error", faults.Refused}), "injected"},
		{dialling(&net.DNSError{Err: "no such host", IsNotFound: true}), "dns"},
		{dialling(&net.DNSError{Err: "i/o timeout", IsTimeout: true}), "dns"},
		{dialling(syscall.ECONNREFUSED), "refused"},
		{dialling(syscall.EHOSTUNREACH), "unreachable"},
		{dialling(syscall.ENETUNREACH), "unreachable"},
		{dialling(syscall.ETIMEDOUT), "timeout"},
		{context.DeadlineExceeded, "timeout"},
		{fmt.Errorf("wrapped: %w", context.Canceled), "client-gone"},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, "reset"},
		{&net.OpError{Op: "write", Err: syscall.EPIPE}, "reset"},
		{io.ErrUnexpectedEOF, "other"},
	} {
		if got := Failure(tc.err); got != tc.want {
			t.Errorf("%v is %q, want %q", tc.err, got, tc.want)
		}
	}
}
