package proxy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
)

// connect answers CONNECT: first it connects, then it says so.
func (s *Server) connect(w http.ResponseWriter, r *http.Request) {
	host, port, err := splitHostPort(r.Host, "")
	if err != nil {
		http.Error(w, fmt.Sprintf("fault: CONNECT wants host:port, not %q", r.Host), http.StatusBadRequest)
		return
	}
	f := s.open(&Flow{Entry: EntryConnect, Client: clientOf(r), Host: net.JoinHostPort(host, strconv.Itoa(int(port)))})
	defer s.end(f)
	// The request's context ends when the client goes away.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	upstream, err := s.dial(ctx, f.Host, netip.Addr{})
	if err != nil {
		f.Err = err
		refuse(w, f.Host, err)
		return
	}
	f.Upstream = addrPort(upstream.RemoteAddr())
	f.Matched = s.matches(host, port, func() []netip.Addr { return []netip.Addr{f.Upstream.Addr()} })
	c, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		upstream.Close()
		f.Err = err
		return
	}
	client := c.(*net.TCPConn)
	early, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	if _, err := client.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		reset(client)
		reset(upstream)
		f.Err = err
		return
	}
	f.Err = s.carry(f, client, upstream, early)
}

// refuse answers for an upstream that could not be reached.
func refuse(w http.ResponseWriter, host string, err error) {
	status := http.StatusBadGateway
	switch Failure(err) {
	case "timeout":
		status = http.StatusGatewayTimeout
	case "self":
		status = http.StatusMisdirectedRequest
	}
	http.Error(w, fmt.Sprintf("fault: cannot reach %s: %v", host, err), status)
}

func clientOf(r *http.Request) netip.AddrPort {
	ap, _ := netip.ParseAddrPort(r.RemoteAddr)
	return ap
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
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || host == "" || n == 0 {
		return "", 0, fmt.Errorf("not host:port: %q", hostport)
	}
	return host, uint16(n), nil
}

func trimBrackets(host string) string {
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		return host[1 : len(host)-1]
	}
	return host
}
