package demo

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// ProxyError says that an environment variable holds no usable proxy.
type ProxyError struct {
	Variable string // as spelled in the environment, such as "https_proxy"
	Reason   string // never holds the value, which may contain a password
}

// Error names the variable and what it may hold.
func (e *ProxyError) Error() string {
	return fmt.Sprintf("read %s: %s; it must be host:port or a URL with http, https, socks5 or socks5h",
		e.Variable, e.Reason)
}

// proxies is what the environment says about outgoing requests.
//
// HTTP_PROXY serves http URLs and HTTPS_PROXY https ones, upper case before lower case; each is a URL or host:port.
// Unlike net/http's own reading they serve loopback too: seeing /ping/myself through a proxy is the point here.
//
// NO_PROXY is a comma-separated list of hosts asked directly: `example.com`, `.example.com` and `*.example.com` all
// mean that name and every name below it, an address means itself, `:port` narrows an entry to that port, and `*`
// means every host. Networks such as 10.0.0.0/8 are not understood.
type proxies struct {
	http, https *url.URL // nil: direct
	direct      []directHost
}

// directHost is one entry of NO_PROXY, in lower case.
type directHost struct {
	host, port string // port "" is any
}

// readProxies reads the environment once. Its errors are *ProxyError.
func readProxies(getenv func(string) string) (*proxies, error) {
	var p proxies
	var err error
	if p.http, err = readProxy(getenv, "HTTP_PROXY"); err != nil {
		return nil, err
	}
	if p.https, err = readProxy(getenv, "HTTPS_PROXY"); err != nil {
		return nil, err
	}
	_, list := lookup(getenv, "NO_PROXY")
	for entry := range strings.SplitSeq(strings.ToLower(list), ",") {
		if entry = strings.TrimSpace(entry); entry != "" {
			p.direct = append(p.direct, parseDirect(entry))
		}
	}
	return &p, nil
}

// lookup returns the variable that is set, in upper or else in lower case, and its value.
func lookup(getenv func(string) string, name string) (variable, value string) {
	for _, variable := range []string{name, strings.ToLower(name)} {
		if value := strings.TrimSpace(getenv(variable)); value != "" {
			return variable, value
		}
	}
	return name, ""
}

func readProxy(getenv func(string) string, name string) (*url.URL, error) {
	variable, value := lookup(getenv, name)
	if value == "" {
		return nil, nil
	}
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	proxy, err := url.Parse(value)
	if err != nil {
		return nil, &ProxyError{variable, "not an address"}
	}
	switch proxy.Scheme {
	case "http", "https", "socks5", "socks5h":
	default:
		return nil, &ProxyError{variable, fmt.Sprintf("scheme %q is not one of a proxy", proxy.Scheme)}
	}
	if proxy.Hostname() == "" {
		return nil, &ProxyError{variable, "no host"}
	}
	if port := proxy.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, &ProxyError{variable, fmt.Sprintf("port %s is not within 1 to 65535", port)}
		}
	}
	return proxy, nil
}

func parseDirect(entry string) directHost {
	host, port, err := net.SplitHostPort(entry)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(entry, "["), "]"), ""
	}
	if host != "*" {
		host = strings.TrimPrefix(strings.TrimPrefix(host, "*"), ".")
	}
	return directHost{host, port}
}

// pick is the http.Transport.Proxy of the demo.
func (p *proxies) pick(req *http.Request) (*url.URL, error) {
	proxy, port := p.http, "80"
	if req.URL.Scheme == "https" {
		proxy, port = p.https, "443"
	}
	if explicit := req.URL.Port(); explicit != "" {
		port = explicit
	}
	host := strings.TrimSuffix(strings.ToLower(req.URL.Hostname()), ".")
	for _, d := range p.direct {
		if d.matches(host, port) {
			return nil, nil
		}
	}
	return proxy, nil
}

func (d directHost) matches(host, port string) bool {
	if d.port != "" && d.port != port {
		return false
	}
	if d.host == "*" || d.host == host {
		return true
	}
	// The suffix of an address is no network.
	_, err := netip.ParseAddr(host)
	return err != nil && d.host != "" && strings.HasSuffix(host, "."+d.host)
}
