// Package upstream is the --upstream patterns: which destinations are meant.
//
//	host, host:port         a name, on every port or on one
//	*                       everything
//	*.example.com           every name below example.com
//	10.0.0.0/8, 10.1.2.3    addresses; [2001:db8::1]:443 with a port
//	*:5432                  a port, wherever it is
//	https://host/path       host:443; of a URL only host and port count
//	!pattern                what pattern names is not meant, whatever else says
package upstream

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Pattern is one parsed pattern. Exactly one of Any, Host, Domain and Prefix
// says which hosts it names.
type Pattern struct {
	text string

	// Exclude says that the pattern began with `!`.
	Exclude bool
	// Any names every host.
	Any bool
	// Host is a name in lower case.
	Host string
	// Domain names every host below it: "example.com" for `*.example.com`.
	Domain string
	// Prefix is a range of addresses, IPv4 ones unmapped.
	Prefix netip.Prefix
	// Port is the destination port; 0 is every port.
	Port uint16
}

// String is the pattern as it was written.
func (p Pattern) String() string { return p.text }

// Set is the patterns of a run.
type Set []Pattern

// Parse parses patterns; each may be several, separated by commas.
func Parse(patterns []string) (Set, error) {
	var set Set
	for _, list := range patterns {
		for text := range strings.SplitSeq(list, ",") {
			p, err := parse(strings.TrimSpace(text))
			if err != nil {
				return nil, fmt.Errorf("`%s` %w", text, err)
			}
			set = append(set, p)
		}
	}
	return set, nil
}

func parse(text string) (Pattern, error) {
	p := Pattern{text: text}
	text, p.Exclude = strings.CutPrefix(text, "!")
	host, port, err := hostAndPort(text)
	if err != nil {
		return p, err
	}
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return p, fmt.Errorf("has the port `%s`; a port is 1 to 65535", port)
		}
		p.Port = uint16(n)
	}
	return p, p.setHost(host)
}

// hostAndPort splits a pattern; the port is empty if there is none. The host
// may still be a prefix, and has no brackets.
func hostAndPort(text string) (host, port string, err error) {
	if scheme, rest, ok := strings.Cut(text, "://"); ok {
		u, err := url.Parse(scheme + "://" + rest)
		if err != nil || u.Host == "" {
			return "", "", fmt.Errorf("is not a URL with a host")
		}
		port := u.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443"}[strings.ToLower(scheme)]
		}
		if port == "" {
			return "", "", fmt.Errorf("has no port, and the scheme `%s` no default", scheme)
		}
		return u.Hostname(), port, nil
	}
	if inner, ok := strings.CutPrefix(text, "["); ok {
		host, rest, ok := strings.Cut(inner, "]")
		if !ok || rest != "" && !strings.HasPrefix(rest, ":") {
			return "", "", fmt.Errorf("is not [address]:port")
		}
		return host, strings.TrimPrefix(rest, ":"), nil
	}
	if strings.Count(text, ":") == 1 {
		host, port, _ := strings.Cut(text, ":")
		if port == "" {
			return "", "", fmt.Errorf("has an empty port")
		}
		return host, port, nil
	}
	return text, "", nil // a host, or an IPv6 address without brackets
}

func (p *Pattern) setHost(host string) error {
	if host == "" {
		return fmt.Errorf("names no host; it must be *, host, host:port, *.domain, an address, a CIDR or !pattern")
	}
	if host == "*" {
		p.Any = true
		return nil
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" {
			return fmt.Errorf("has a zone; link-local addresses cannot be told apart by it")
		}
		addr = addr.Unmap()
		p.Prefix = netip.PrefixFrom(addr, addr.BitLen())
		return nil
	}
	if strings.Contains(host, "/") {
		prefix, err := netip.ParsePrefix(host)
		if err != nil {
			return fmt.Errorf("is not a CIDR such as 10.0.0.0/8")
		}
		p.Prefix = prefix.Masked()
		return nil
	}
	name, domain := strings.CutPrefix(strings.TrimSuffix(strings.ToLower(host), "."), "*.")
	if !isName(name) {
		return fmt.Errorf("is not *, host, host:port, *.domain, an address, a CIDR or !pattern")
	}
	if domain {
		p.Domain = name
	} else {
		p.Host = name
	}
	return nil
}

// isName says whether a host name can be asked for. Underscores are not in the
// standard, but in use.
func isName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, r := range label {
			if !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r >= 0x80) {
				return false
			}
		}
	}
	return true
}

// Match says whether a destination is meant: a host name or address as the
// client put it, and a port. addrs gives the addresses of a name; it is asked
// at most once, and only if a pattern is about addresses. It may be nil. A set
// that includes nothing means everything.
func (s Set) Match(host string, port uint16, addrs func() []netip.Addr) bool {
	d := destination{name: strings.TrimSuffix(strings.ToLower(host), "."), port: port, ask: addrs}
	if addr, err := netip.ParseAddr(d.name); err == nil {
		d.addrs, d.ask = []netip.Addr{addr.Unmap()}, nil
	}
	included, includes := false, false
	for _, p := range s {
		if p.Exclude && p.names(&d) {
			return false
		}
		if !p.Exclude {
			includes = true
			included = included || p.names(&d)
		}
	}
	return included || !includes
}

type destination struct {
	name  string
	port  uint16
	ask   func() []netip.Addr
	addrs []netip.Addr
}

func (p Pattern) names(d *destination) bool {
	if p.Port != 0 && p.Port != d.port {
		return false
	}
	switch {
	case p.Any:
		return true
	case p.Host != "":
		return p.Host == d.name
	case p.Domain != "":
		return strings.HasSuffix(d.name, "."+p.Domain)
	}
	if d.ask != nil {
		d.addrs, d.ask = d.ask(), nil
	}
	for _, a := range d.addrs {
		if p.Prefix.Contains(a.Unmap()) {
			return true
		}
	}
	return false
}

// Intercepts says whether the set includes anything: whether there is
// something to intercept.
func (s Set) Intercepts() bool {
	for _, p := range s {
		if !p.Exclude {
			return true
		}
	}
	return false
}

// String is the patterns as they were written, separated by commas.
func (s Set) String() string {
	texts := make([]string, len(s))
	for i, p := range s {
		texts[i] = p.text
	}
	return strings.Join(texts, ",")
}
