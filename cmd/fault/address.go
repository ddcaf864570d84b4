package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/faultproxy/fault/proxy"
	"github.com/faultproxy/fault/proxy/upstream"
)

// listenAddress is a flag value: where to listen.
type listenAddress struct {
	text, host string
	port       uint16
}

func (a *listenAddress) String() string { return a.text }
func (a *listenAddress) Type() string   { return "ADDRESS" }
func (a *listenAddress) takes() string {
	return "such as 127.0.0.1:3180, localhost:3180 or 0.0.0.0:0"
}

func (a *listenAddress) Set(text string) error {
	host, port, err := splitListenAddress(text)
	if err != nil {
		return usage(fmt.Sprintf("`%s` %v", text, err), "it must be like 127.0.0.1:3180, localhost:3180 or http://127.0.0.1:3180")
	}
	*a = listenAddress{text, host, port}
	return nil
}

// splitListenAddress takes host:port, with a name or an address, or a URL of
// them: the Chaos Toolkit extension hands on the variable as one.
func splitListenAddress(text string) (host string, port uint16, err error) {
	if strings.Contains(text, "://") {
		u, err := url.Parse(text)
		if err != nil {
			return "", 0, errors.New("is not a URL")
		}
		text = u.Host
	}
	host, number, err := net.SplitHostPort(text)
	if err != nil || host == "" {
		return "", 0, errors.New("is not host:port")
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil {
		return "", 0, errors.New("has a port that is not 0 to 65535")
	}
	if addr, err := netip.ParseAddr(host); err == nil && !addr.Unmap().Is4() {
		return "", 0, errors.New("is not IPv4, which callers of both families can reach")
	}
	return host, uint16(n), nil
}

// resolve gives the address, which is IPv4.
func (a *listenAddress) resolve(ctx context.Context) (netip.AddrPort, error) {
	host := a.host
	if host == "localhost" { // known without asking anybody
		host = "127.0.0.1"
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return netip.AddrPortFrom(addr.Unmap(), a.port), nil
	}
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
	if err != nil || len(addrs) == 0 {
		return netip.AddrPort{}, fmt.Errorf("`%s` names a host without an IPv4 address", a.text)
	}
	return netip.AddrPortFrom(addrs[0].Unmap(), a.port), nil
}

// target is a flag value: where requests go instead of where they are for.
type target struct {
	text string
	to   *proxy.Target
}

func (t *target) String() string { return t.text }
func (t *target) Type() string   { return "TARGET" }
func (t *target) takes() string  { return "host:port, http://host or https://host" }

func (t *target) Set(text string) error {
	to, err := parseTarget(text)
	if err != nil {
		return usage(fmt.Sprintf("`%s` %v", text, err), "it must be like example.com:8080, http://10.1.2.3 or https://example.com:8443")
	}
	*t = target{text, &to}
	return nil
}

// parseTarget takes [scheme://]host[:port]. Without a scheme, port 443 is
// https; without a port, it is the scheme's.
func parseTarget(text string) (proxy.Target, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if scheme = strings.ToLower(scheme); !ok {
		scheme, rest = "", text
	} else if scheme != "http" && scheme != "https" {
		return proxy.Target{}, fmt.Errorf("has the scheme `%s`; it must be http or https", scheme)
	}
	u, err := url.Parse("http://" + rest)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return proxy.Target{}, errors.New("is not [scheme://]host:port")
	}
	// What names one host as an upstream is one.
	names, err := upstream.Parse([]string{u.Hostname()})
	if err != nil || len(names) != 1 || names[0].Exclude || names[0].Host == "" && !names[0].Prefix.IsSingleIP() {
		return proxy.Target{}, fmt.Errorf("has the host `%s`, which is neither a name nor an address", u.Hostname())
	}
	port := u.Port()
	if port == "" {
		if port = map[string]string{"http": "80", "https": "443"}[scheme]; port == "" {
			return proxy.Target{}, errors.New("has neither a port nor a scheme that says which")
		}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return proxy.Target{}, fmt.Errorf("has the port `%s`; a port is 1 to 65535", port)
	}
	return proxy.Target{Host: u.Hostname(), Port: uint16(n), TLS: scheme == "https" || scheme == "" && n == 443}, nil
}
