package mapping

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	type want struct {
		network string
		http    bool
		listen  string
		target  string
		scheme  string
		tls     TLS
	}
	for text, want := range map[string]want{
		// As the original documents them.
		"35432=psql://db:5432":            {"tcp", false, "0.0.0.0:35432", "db:5432", "psql", NoTLS},
		"9098=https://www.google.com:443": {"tcp", false, "0.0.0.0:9098", "www.google.com:443", "https", DirectTLS},
		"9090=https://www.google.com":     {"tcp", false, "0.0.0.0:9090", "www.google.com:443", "https", DirectTLS},
		"3180=http://127.0.0.1:8080":      {"tcp", false, "0.0.0.0:3180", "127.0.0.1:8080", "http", NoTLS},

		// Where clients connect.
		"9090=h:1":                 {"tcp", false, "0.0.0.0:9090", "h:1", "tcp", NoTLS},
		":9090=h:1":                {"tcp", false, "0.0.0.0:9090", "h:1", "tcp", NoTLS},
		"0=h:1":                    {"tcp", false, "0.0.0.0:0", "h:1", "tcp", NoTLS},
		"09090=h:1":                {"tcp", false, "0.0.0.0:9090", "h:1", "tcp", NoTLS},
		"65535=h:1":                {"tcp", false, "0.0.0.0:65535", "h:1", "tcp", NoTLS},
		"127.0.0.1:9090=h:1":       {"tcp", false, "127.0.0.1:9090", "h:1", "tcp", NoTLS},
		"tcp:127.0.0.1:9090=h:1":   {"tcp", false, "127.0.0.1:9090", "h:1", "tcp", NoTLS},
		"tcp://127.0.0.1:9090=h:1": {"tcp", false, "127.0.0.1:9090", "h:1", "tcp", NoTLS},
		"tcp:9090=h:1":             {"tcp", false, "0.0.0.0:9090", "h:1", "tcp", NoTLS},
		"tcp::9090=h:1":            {"tcp", false, "0.0.0.0:9090", "h:1", "tcp", NoTLS},
		"tcp://9090=h:1":           {"tcp", false, "0.0.0.0:9090", "h:1", "tcp", NoTLS},
		"localhost:9090=h:1":       {"tcp", false, "localhost:9090", "h:1", "tcp", NoTLS},
		"TCP:LocalHost:9090=h:1":   {"tcp", false, "localhost:9090", "h:1", "tcp", NoTLS},
		"[::1]:9090=h:1":           {"tcp", false, "[::1]:9090", "h:1", "tcp", NoTLS},
		"http:[::1]:9090=h:1":      {"tcp", true, "[::1]:9090", "h:1", "http", NoTLS},
		"http://[::]:9090=h:1":     {"tcp", true, "[::]:9090", "h:1", "http", NoTLS},

		// Where they get to.
		"1=10.0.0.1:80":          {"tcp", false, "0.0.0.0:1", "10.0.0.1:80", "tcp", NoTLS},
		"1=h:65535":              {"tcp", false, "0.0.0.0:1", "h:65535", "tcp", NoTLS},
		"1=h:080/":               {"tcp", false, "0.0.0.0:1", "h:80", "tcp", NoTLS},
		"1=tcp://h:80/":          {"tcp", false, "0.0.0.0:1", "h:80", "tcp", NoTLS},
		"1=[::1]:80":             {"tcp", false, "0.0.0.0:1", "[::1]:80", "tcp", NoTLS},
		"1=http://h":             {"tcp", false, "0.0.0.0:1", "h:80", "http", NoTLS},
		"1=http://[2001:db8::1]": {"tcp", false, "0.0.0.0:1", "[2001:db8::1]:80", "http", NoTLS},
		"1=HTTPS://Www.Example.com./": {"tcp", false, "0.0.0.0:1", "Www.Example.com.:443", "https",
			DirectTLS},
		"1=https://[::1]/":       {"tcp", false, "0.0.0.0:1", "[::1]:443", "https", DirectTLS},
		"1=https://10.0.0.1":     {"tcp", false, "0.0.0.0:1", "10.0.0.1:443", "https", DirectTLS},
		"1=psql://db":            {"tcp", false, "0.0.0.0:1", "db:5432", "psql", NoTLS},
		"1=psqls://db":           {"tcp", false, "0.0.0.0:1", "db:5432", "psqls", PostgresTLS},
		"1=psqls://db_1.x-y:1":   {"tcp", false, "0.0.0.0:1", "db_1.x-y:1", "psqls", PostgresTLS},
		"1=tls://h:853":          {"tcp", false, "0.0.0.0:1", "h:853", "tls", DirectTLS},
		"1=udp://h:53":           {"udp", false, "0.0.0.0:1", "h:53", "udp", NoTLS},
		"1=3com.example:80":      {"tcp", false, "0.0.0.0:1", "3com.example:80", "tcp", NoTLS},
		"1=xn--bcher-kva.de:80":  {"tcp", false, "0.0.0.0:1", "xn--bcher-kva.de:80", "tcp", NoTLS},
		"1=localhost:5432":       {"tcp", false, "0.0.0.0:1", "localhost:5432", "tcp", NoTLS},
		"1=http:80":              {"tcp", false, "0.0.0.0:1", "http:80", "tcp", NoTLS}, // a host of that name
		"1=[::ffff:10.0.0.1]:80": {"tcp", false, "0.0.0.0:1", "[::ffff:10.0.0.1]:80", "tcp", NoTLS},

		// Both sides.
		"http:1=h:80":                        {"tcp", true, "0.0.0.0:1", "h:80", "http", NoTLS},
		"http:1=http://h":                    {"tcp", true, "0.0.0.0:1", "h:80", "http", NoTLS},
		"http:1=tcp://h:80":                  {"tcp", true, "0.0.0.0:1", "h:80", "tcp", NoTLS},
		"http:1=https://h":                   {"tcp", true, "0.0.0.0:1", "h:443", "https", DirectTLS},
		"http:1=tls://h:443":                 {"tcp", true, "0.0.0.0:1", "h:443", "tls", DirectTLS},
		"https:1=h:443":                      {"tcp", true, "0.0.0.0:1", "h:443", "https", DirectTLS},
		"https:1=http://h":                   {"tcp", true, "0.0.0.0:1", "h:80", "http", NoTLS},
		"https:1=tcp://h:80":                 {"tcp", true, "0.0.0.0:1", "h:80", "tcp", NoTLS},
		"https:1=https://h":                  {"tcp", true, "0.0.0.0:1", "h:443", "https", DirectTLS},
		"tcp:1=http://h":                     {"tcp", false, "0.0.0.0:1", "h:80", "http", NoTLS},
		"tcp:1=https://h":                    {"tcp", false, "0.0.0.0:1", "h:443", "https", DirectTLS},
		"tcp:1=psqls://h":                    {"tcp", false, "0.0.0.0:1", "h:5432", "psqls", PostgresTLS},
		"psql:1=h:5432":                      {"tcp", false, "0.0.0.0:1", "h:5432", "psql", NoTLS},
		"psql:1=psqls://h":                   {"tcp", false, "0.0.0.0:1", "h:5432", "psqls", PostgresTLS},
		"psqls:1=h:5432":                     {"tcp", false, "0.0.0.0:1", "h:5432", "psqls", PostgresTLS},
		"psqls:1=psql://h":                   {"tcp", false, "0.0.0.0:1", "h:5432", "psql", NoTLS},
		"psqls:1=tls://h:5432":               {"tcp", false, "0.0.0.0:1", "h:5432", "tls", DirectTLS},
		"udp:1=h:53":                         {"udp", false, "0.0.0.0:1", "h:53", "udp", NoTLS},
		"UDP:1=udp://h:53":                   {"udp", false, "0.0.0.0:1", "h:53", "udp", NoTLS},
		"udp://127.0.0.1:5353=8.8.8.8:53":    {"udp", false, "127.0.0.1:5353", "8.8.8.8:53", "udp", NoTLS},
		"http:127.0.0.1:9090=https://h:8443": {"tcp", true, "127.0.0.1:9090", "h:8443", "https", DirectTLS},
	} {
		m, err := Parse(text)
		if err != nil {
			t.Errorf("Parse(%q): %v", text, err)
			continue
		}
		if got := (struct {
			network string
			http    bool
			listen  string
			target  string
			scheme  string
			tls     TLS
		}{m.Network, m.HTTP, m.Listen, m.Target(), m.Scheme, m.TLS}); got != want {
			t.Errorf("Parse(%q) = %+v, want %+v", text, got, want)
		}
		if m.String() != text {
			t.Errorf("%q prints as %q", text, m)
		}
	}
}

// The host is one to dial and to ask a certificate for: without brackets.
func TestHostAndPort(t *testing.T) {
	for text, want := range map[string]string{
		"1=https://[2001:db8::1]": "2001:db8::1",
		"1=[::1]:443":             "::1",
		"1=db:443":                "db",
	} {
		if m, err := Parse(text); err != nil || m.Host != want || m.Port != 443 {
			t.Errorf("Parse(%q): host %q, port %d, %v", text, m.Host, m.Port, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	long := strings.Repeat("a", 64)
	for text, want := range map[string]string{
		"":                    "has no `=`",
		"9090":                "has no `=`; write for instance 9090=https://example.com",
		"https://example.com": "has no `=`",

		// Where clients connect.
		"=h:1":                   "no port to listen at",
		":=h:1":                  "no port to listen at",
		"http=h:1":               "no port to listen at",
		"http:=h:1":              "no port to listen at",
		"http://=h:1":            "no port to listen at",
		"127.0.0.1:=h:1":         "no port to listen at",
		"[::1]=h:1":              "no port to listen at",
		"[::1]:=h:1":             "no port to listen at",
		"65536=h:1":              "has the port `65536` before the `=`; it must be 0 to 65535",
		"-1=h:1":                 "has the port `-1`",
		"+1=h:1":                 "has the port `+1`",
		"127.0.0.1=h:1":          "has the port `127.0.0.1`",
		"localhost=h:1":          "has the port `localhost`",
		"http://127.0.0.1:1/=h:": "has the port `1/`",
		" 1=h:1":                 "has the port ` 1`",
		"tls://9090=h:1":         "has the scheme `tls` before the `=`; it must be tcp, http, https, psql, psqls or udp",
		"ws://9090=h:1":          "has the scheme `ws`",
		"://9090=h:1":            "has the scheme ``",
		"tls:9090=h:1":           "has the host `tls` before the `=`",
		"example.com:9090=h:1":   "has the host `example.com` before the `=`",
		"127.1:9090=h:1":         "has the host `127.1`",
		"*:9090=h:1":             "has the host `*`",
		"tls:127.0.0.1:1=h:1":    "has `tls:127.0.0.1:1`, which is not host:port",
		"tcp:http:9090=h:1":      "has the host `http`",
		"::1:9090=h:1":           "IPv6 address without brackets in `::1:9090`",
		"tcp:::1:9090=h:1":       "IPv6 address without brackets in `::1:9090`",
		"[127.0.0.1]:9090=h:1":   "in brackets goes an IPv6 address",
		"[fe80::1%eth0]:90=h:1":  "without a zone",
		"[::1:9090=h:1":          "not [address]:port",
		"[::1]9090=h:1":          "not [address]:port",

		// Where they get to.
		"1=":                                     "names no host",
		"1=:80":                                  "names no host",
		"1=/":                                    "names no host",
		"1=http://":                              "names no host",
		"1=https:///":                            "names no host",
		"1=h":                                    "has no port behind the host `h`; only http, https, psql and psqls have a default",
		"1=h/":                                   "has no port behind the host `h`",
		"1=tcp://h":                              "has no port",
		"1=tls://h":                              "has no port",
		"1=udp://h":                              "has no port",
		"https:1=h":                              "has no port",
		"1=[::1]":                                "has no port behind the host `::1`",
		"1=h:":                                   "goes to the port ``; a port is 1 to 65535",
		"1=https://h:":                           "goes to the port ``",
		"1=h:0":                                  "goes to the port `0`",
		"1=h:65536":                              "goes to the port `65536`",
		"1=h:http":                               "goes to the port `http`",
		"1=https:h":                              "goes to the port `h`",
		"1=ftp://h:21":                           "has the scheme `ftp` behind the `=`; it must be tcp, tls, http, https, psql, psqls or udp",
		"1=postgres://h":                         "has the scheme `postgres`",
		"1=://h:80":                              "has the scheme ``",
		"1=http://h/x":                           "goes to the path `/x`; a mapping goes to a host, not to a path",
		"1=http://h//":                           "goes to the path `//`",
		"1=h:80/x":                               "goes to the path `/x`",
		"1=https://h?a=b":                        "goes to the path `?a=b`",
		"1=https://h/#":                          "goes to the path `/#`",
		"1=psql://db/name":                       "goes to the path `/name`",
		"1=psql://me@db":                         "names a user",
		"1=psql://me:pw@db":                      "names a user",
		"1=::1":                                  "without brackets in `::1`; write it like [2001:db8::1]:5432",
		"1=2001:db8::1:5432":                     "without brackets",
		"1=http://::1":                           "without brackets",
		"1=https:h:443":                          "has `https:h:443`, which is not host:port",
		"1=h:80:90":                              "has `h:80:90`, which is not host:port",
		"1=[h]:80":                               "in brackets goes an IPv6 address",
		"1=[]:80":                                "in brackets goes an IPv6 address",
		"1=[10.0.0.1]:80":                        "in brackets goes an IPv6 address",
		"1=[fe80::1%a]:80":                       "without a zone",
		"1=[::1":                                 "not [address]:port",
		"1=[::1]80":                              "not [address]:port",
		"1=10.0.0.256:80":                        "goes to the host `10.0.0.256`, which is neither",
		"1=10.1:80":                              "neither a name",
		"1=5432:80":                              "neither a name",
		"1=*:80":                                 "neither a name",
		"1=a..b:80":                              "neither a name",
		"1=.:80":                                 "neither a name",
		"1=a b:80":                               "neither a name",
		"1=a\r\n:80":                             "neither a name",
		"1= h:80":                                "neither a name",
		"1=h=2:80":                               "neither a name",
		"1=bücher.de:80":                         "xn--",
		"1=" + long + ":80":                      "neither a name",
		"1=" + strings.Repeat("a.", 128) + ":80": "neither a name",

		// Both sides.
		"http:1=psql://h":       "maps `http` to `psql`; the target of `http` must be tcp, tls, http or https",
		"http:1=psqls://h":      "maps `http` to `psqls`",
		"https:1=psql://h":      "maps `https` to `psql`",
		"psql:1=http://h":       "maps `psql` to `http`; the target of `psql` must be tcp, tls, psql or psqls",
		"psqls:1=https://h":     "maps `psqls` to `https`",
		"udp:1=tcp://h:53":      "maps `udp` to `tcp`; the target of `udp` must be udp",
		"udp:1=tls://h:53":      "maps `udp` to `tls`",
		"udp:1=https://h":       "maps `udp` to `https`",
		"udp:1=psqls://h":       "maps `udp` to `psqls`",
		"tcp:1=udp://h:53":      "maps `tcp` to `udp`",
		"http:1=udp://h:53":     "maps `http` to `udp`",
		"HTTPS://1=UDP://h:53/": "maps `https` to `udp`",
	} {
		m, err := Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q): %v, want an error with %q", text, err, want)
		}
		if m != (Mapping{}) {
			t.Errorf("Parse(%q) fails, and returns %+v", text, m)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"9090=https://example.com", "tcp:127.0.0.1:9090=h:80", "udp://[::1]:5353=[2001:db8::1]:53", "http:1=tls://h:443/",
		"psqls:1=db:5432", "1=psql://me@db/name", "9090", "[::1=[]=://",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse(text)
		if err != nil {
			if m != (Mapping{}) {
				t.Fatalf("%q fails, and parses as %+v", text, m)
			}
			return
		}
		if again, err := Parse(m.String()); err != nil || again != m {
			t.Fatalf("%q prints as %q, which parses as %+v, %v", text, m, again, err)
		}
		host, port, err := net.SplitHostPort(m.Target())
		if err != nil || host != m.Host || port != strconv.Itoa(int(m.Port)) || m.Port == 0 {
			t.Fatalf("%q goes to %q, host %q and port %d", text, m.Target(), m.Host, m.Port)
		}
		if _, err := netip.ParseAddr(m.Host); err != nil && !isName(m.Host) {
			t.Fatalf("%q goes to the host %q", text, m.Host)
		}
		listen, port, err := net.SplitHostPort(m.Listen)
		if _, bad := netip.ParseAddr(listen); err != nil || bad != nil && listen != "localhost" {
			t.Fatalf("%q listens at %q", text, m.Listen)
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
			t.Fatalf("%q listens at %q", text, m.Listen)
		}
		valid := map[string][]Mapping{
			"tcp":   {{Network: "tcp"}, {Network: "tcp", HTTP: true}},
			"http":  {{Network: "tcp"}, {Network: "tcp", HTTP: true}},
			"https": {{Network: "tcp", TLS: DirectTLS}, {Network: "tcp", TLS: DirectTLS, HTTP: true}},
			"tls":   {{Network: "tcp", TLS: DirectTLS}, {Network: "tcp", TLS: DirectTLS, HTTP: true}},
			"psql":  {{Network: "tcp"}},
			"psqls": {{Network: "tcp", TLS: PostgresTLS}},
			"udp":   {{Network: "udp"}},
		}
		if !slices.Contains(valid[m.Scheme], Mapping{Network: m.Network, TLS: m.TLS, HTTP: m.HTTP}) {
			t.Fatalf("%q parses as %+v", text, m)
		}
	})
}
