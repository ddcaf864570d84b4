// Package mapping is the grammar of --proxy LISTEN=TARGET: a place where
// clients connect, and where they get to.
//
//	9090=example.com:80             bytes, from any address of this host
//	127.0.0.1:9090=10.0.0.1:80      bytes, from this host only
//	9090=https://example.com        the same in TLS to the target, port 443
//	http:9090=https://example.com   requests, each with the target as its Host
//	35432=psqls://db                PostgreSQL, port 5432, asked for TLS first
//	udp:5353=8.8.8.8:53             datagrams
//
// What clients send to us is never TLS of ours: it is plain, or passed through.
package mapping

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Mapping is one parsed mapping.
type Mapping struct {
	// Network is "tcp" or "udp".
	Network string
	// HTTP says that the client's side speaks plain HTTP/1, whose requests
	// are carried one by one, for the target's name; otherwise bytes are.
	HTTP bool
	// Listen is where clients connect, host:port, as [net.Listen] takes it.
	// The host is an address or "localhost"; port 0 takes a free one.
	Listen string
	// Host and Port are the target; the host is a name or an address without
	// brackets.
	Host string
	Port uint16
	// Scheme is what the target speaks, in lower case: that of the target, or
	// else that of the clients, or else tcp.
	Scheme string
	// TLS is how the connection to the target is secured.
	TLS TLS

	text string
}

// TLS is a way to secure a connection.
type TLS uint8

const (
	// NoTLS is what a client sends, as it is.
	NoTLS TLS = iota
	// DirectTLS begins with the handshake.
	DirectTLS
	// PostgresTLS asks a PostgreSQL server whether it has TLS, first.
	PostgresTLS
)

// String is the mapping as it was written.
func (m Mapping) String() string { return m.text }

// Target is host:port, with brackets around an IPv6 address.
func (m Mapping) Target() string { return net.JoinHostPort(m.Host, strconv.Itoa(int(m.Port))) }

// targets says which schemes clients can come by, and to which each can go.
// Who comes by none can go anywhere.
var targets = map[string][]string{
	"tcp":   {"tcp", "tls", "http", "https", "psql", "psqls"},
	"http":  {"tcp", "tls", "http", "https"},
	"https": {"tcp", "tls", "http", "https"},
	"psql":  {"tcp", "tls", "psql", "psqls"},
	"psqls": {"tcp", "tls", "psql", "psqls"},
	"udp":   {"udp"},
}

// ports are the default ports of the schemes of targets, 0 for none.
var ports = map[string]uint16{"tcp": 0, "tls": 0, "udp": 0, "http": 80, "https": 443, "psql": 5432, "psqls": 5432}

// Parse parses a mapping. Its errors go on from the text, as in "has no `=`".
func Parse(text string) (Mapping, error) {
	left, right, ok := strings.Cut(text, "=")
	if !ok {
		return Mapping{}, errors.New("has no `=`; write for instance 9090=https://example.com")
	}
	m := Mapping{Network: "tcp", text: text}
	from, err := m.setListen(left)
	if err != nil {
		return Mapping{}, err
	}
	to, err := m.setTarget(right)
	if err != nil {
		return Mapping{}, err
	}
	if can := targets[from]; from != "" && to != "" && !slices.Contains(can, to) {
		return Mapping{}, fmt.Errorf("maps `%s` to `%s`; the target of `%s` must be %s", from, to, from, list(can))
	}
	m.HTTP = from == "http" || from == "https"
	m.Scheme = cmp.Or(to, from, "tcp")
	switch m.Scheme {
	case "udp":
		m.Network = "udp"
	case "https", "tls":
		m.TLS = DirectTLS
	case "psqls":
		m.TLS = PostgresTLS
	}
	return m, nil
}

// setListen parses where clients connect, and returns the scheme that they
// come by, "" if there is none.
func (m *Mapping) setListen(text string) (scheme string, err error) {
	before, rest, ok := strings.Cut(text, "://")
	if scheme = strings.ToLower(before); ok && targets[scheme] == nil {
		return "", fmt.Errorf("has the scheme `%s` before the `=`; it must be tcp, http, https, psql, psqls or udp", before)
	}
	if !ok {
		before, rest, _ = strings.Cut(text, ":")
		if scheme = strings.ToLower(before); targets[scheme] == nil {
			scheme, rest = "", text
		}
	}
	if !strings.Contains(rest, ":") {
		rest = ":" + rest
	}
	host, port, _, err := cut(rest)
	if err != nil {
		return "", err
	}
	if port == "" {
		return "", errors.New("has no port to listen at before the `=`; write for instance 9090=https://example.com")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return "", fmt.Errorf("has the port `%s` before the `=`; it must be 0 to 65535, and 0 takes a free one", port)
	}
	if strings.EqualFold(host, "localhost") {
		host = "localhost"
	} else if _, err := netip.ParseAddr(host); err != nil && host != "" {
		return "", fmt.Errorf("has the host `%s` before the `=`; clients can connect to an address of this host, to localhost, or without a host to all of them", host)
	}
	m.Listen = net.JoinHostPort(cmp.Or(host, "0.0.0.0"), strconv.FormatUint(n, 10))
	return scheme, nil
}

// setTarget parses where clients get to, and returns the scheme, "" if there
// is none.
func (m *Mapping) setTarget(text string) (scheme string, err error) {
	before, rest, ok := strings.Cut(text, "://")
	if !ok {
		before, rest = "", text
	}
	scheme = strings.ToLower(before)
	if _, known := ports[scheme]; ok && !known {
		return "", fmt.Errorf("has the scheme `%s` behind the `=`; it must be tcp, tls, http, https, psql, psqls or udp", before)
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		if rest[i:] != "/" {
			return "", fmt.Errorf("goes to the path `%s`; a mapping goes to a host, not to a path", rest[i:])
		}
		rest = rest[:i]
	}
	if strings.Contains(rest, "@") {
		return "", errors.New("names a user of the target; a mapping goes to a host, and its clients say who they are")
	}
	host, port, bare, err := cut(rest)
	if err != nil {
		return "", err
	}
	if host == "" {
		return "", errors.New("names no host behind the `=`; write for instance 9090=https://example.com")
	}
	if _, err := netip.ParseAddr(host); err != nil && !isName(host) {
		return "", fmt.Errorf("goes to the host `%s`, which is neither a name (in its xn-- form if it is not ASCII) nor an address", host)
	}
	m.Host, m.Port = host, ports[scheme]
	if bare {
		if m.Port == 0 {
			return "", fmt.Errorf("has no port behind the host `%s`; only http, https, psql and psqls have a default", host)
		}
		return scheme, nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("goes to the port `%s`; a port is 1 to 65535", port)
	}
	m.Port = uint16(n)
	return scheme, nil
}

// cut splits host:port; bare says that there is a host only. The host has no
// brackets then.
func cut(text string) (host, port string, bare bool, err error) {
	if inner, ok := strings.CutPrefix(text, "["); ok {
		host, rest, ok := strings.Cut(inner, "]")
		if !ok || rest != "" && rest[0] != ':' {
			return "", "", false, fmt.Errorf("has `%s`, which is not [address]:port", text)
		}
		// A zone is for link-local addresses, which no name and no upstream
		// pattern is about.
		if addr, err := netip.ParseAddr(host); err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", "", false, fmt.Errorf("has `[%s]`; in brackets goes an IPv6 address, without a zone", host)
		}
		return host, strings.TrimPrefix(rest, ":"), rest == "", nil
	}
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return text, "", true, nil
	}
	host, port = text[:i], text[i+1:]
	if strings.Contains(host, ":") {
		if isIPv6(text) || isIPv6(host) {
			return "", "", false, fmt.Errorf("has an IPv6 address without brackets in `%s`; write it like [2001:db8::1]:5432", text)
		}
		return "", "", false, fmt.Errorf("has `%s`, which is not host:port", text)
	}
	return host, port, false, nil
}

func isIPv6(text string) bool {
	addr, err := netip.ParseAddr(text)
	return err == nil && addr.Is6()
}

// isName says whether a host name can be asked for. Underscores are not in the
// standard, but in use. A last label of digits is a mistyped address: no name
// of the public DNS ends so, and some resolvers would take it for one.
func isName(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if len(name) > 253 {
		return false
	}
	digits := false
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		digits = true
		for _, r := range label {
			digit := r >= '0' && r <= '9'
			if !(digit || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '-' || r == '_') {
				return false
			}
			digits = digits && digit
		}
	}
	return !digits
}

// list is words as a sentence has them: "a, b or c".
func list(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
