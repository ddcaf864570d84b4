package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"

	"github.com/faultproxy/fault/faults"
)

// established says that a tunnel is there.
const established = "HTTP/1.1 200 Connection established\r\n\r\n"

// connect answers CONNECT: first it connects, then it says so.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	host, port, err := splitHostPort(r.RequestURI, "")
	if err != nil {
		http.Error(w, fmt.Sprintf("fault: CONNECT wants host:port, not %q", r.RequestURI), http.StatusBadRequest)
		return
	}
	to := Target{Host: host, Port: port}
	f := s.open(&Flow{Entry: EntryConnect, Client: addrPort(clientOf(r).RemoteAddr()), Host: to.String()})
	if s.Upstream != nil {
		to = *s.Upstream
	}
	matched := func(addrs func() []netip.Addr) { f.Matched = s.matches(to.Host, to.Port, addrs) }
	// Whether a fault is to keep it from connecting must be known before.
	before := s.Plan.Connects(faults.Asked)
	if before {
		matched(s.addresses(r.Context(), to.Host))
	}
	// The request's context ends when the client goes away.
	upstream, err := s.reach(r.Context(), f, faults.Asked, to.String(), Socket{})
	if err != nil {
		if !before {
			matched(nil)
		}
		defer s.endWith(f, err)
		s.refuse(w, r, f.Host, err)
		return
	}
	f.Upstream = addrPort(upstream.RemoteAddr())
	if !before {
		matched(func() []netip.Addr { return []netip.Addr{f.Upstream.Addr()} })
	}
	client, early, err := hijack(w)
	if err == nil {
		_, err = io.WriteString(client, established)
	}
	if err != nil {
		defer s.endWith(f, err)
		reset(upstream)
		clientOf(r).abort()
	}
	if answers := s.answers(f); answers != nil {
		s.endWith(f, s.converse(f, answers, client, upstream, early))
	} else {
		s.carry(f, client, upstream, bytes.Clone(early)) // which is the HTTP server's buffer
	}
}

// refuse answers for an upstream that could not be reached.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, host string, err error) {
	if s.ctx.Err() != nil || errors.Is(err, ErrEnded) {
		clientOf(r).abort()
	}
	if r.Method == http.MethodConnect && failedBy(err, faults.ResetAtOnce) {
		if client, _, err := hijack(w); err == nil {
			_, _ = io.WriteString(client, established) // it is only then that it breaks
			reset(client)
		}
		return
	}
	status := http.StatusBadGateway
	switch Failure(err) {
	case "injected":
		if failedBy(err, faults.TimedOut) {
			status = http.StatusGatewayTimeout
		}
	case "timeout":
		status = http.StatusGatewayTimeout
	case "self":
		status = http.StatusMisdirectedRequest
	}
	http.Error(w, fmt.Sprintf("fault: cannot reach %s: %v", host, err), status)
}

// splitHostPort parses host:port; the port may be left out if there is a
// default. The host has no brackets.
func splitHostPort(hostport, defaultPort string) (string, uint16, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil && defaultPort != "" {
		host, port, err = net.SplitHostPort(net.JoinHostPort(trimBrackets(hostport), defaultPort))
	}
	if err != nil {
		return "", 0, err
	}
	if port == "" {
		port = defaultPort
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || host == "" || n == 0 {
		return "", 0, fmt.Errorf("not host:port: %q", hostport)
	}
	return host, uint16(n), nil
}

func hostPort(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

func trimBrackets(host string) string {
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		return host[1 : len(host)-1]
	}
	return host
}
