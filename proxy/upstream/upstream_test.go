package upstream

import (
	"net/netip"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	resolve := func(addrs ...string) func() []netip.Addr {
		return func() []netip.Addr {
			var out []netip.Addr
			for _, a := range addrs {
				out = append(out, netip.MustParseAddr(a))
			}
			return out
		}
	}
	for _, tc := range []struct {
		patterns string
		host     string
		port     uint16
		addrs    func() []netip.Addr
		want     bool
	}{
		{"", "example.com", 80, nil, true},
		{"!example.com", "example.com", 80, nil, false},
		{"!example.com", "example.org", 80, nil, true},
		{"*", "127.0.0.1", 80, nil, true},
		{"*:5432", "db", 5432, nil, true},
		{"*:5432", "db", 5433, nil, false},
		{"example.com", "EXAMPLE.com.", 8443, nil, true},
		{"Example.com:80", "example.com", 80, nil, true},
		{"example.com:80", "example.com", 81, nil, false},
		{"example.com", "www.example.com", 80, nil, false},
		{"*.example.com", "www.example.com", 80, nil, true},
		{"*.example.com", "a.b.example.com", 80, nil, true},
		{"*.example.com", "example.com", 80, nil, false},
		{"*.example.com", "badexample.com", 80, nil, false},
		{"https://example.com/path?q", "example.com", 443, nil, true},
		{"https://example.com/path?q", "example.com", 80, nil, false},
		{"psql://db:5432", "db", 5432, nil, true},
		{"10.0.0.0/8", "10.255.0.1", 1, nil, true},
		{"10.0.0.0/8", "11.0.0.1", 1, nil, false},
		{"10.0.0.0/8", "::ffff:10.1.2.3", 1, nil, true},
		{"10.0.0.0/8:443", "10.1.2.3", 443, nil, true},
		{"10.0.0.0/8:443", "10.1.2.3", 80, nil, false},
		{"10.1.2.3:5432", "10.1.2.3", 5432, nil, true},
		{"[2001:db8::1]:443", "2001:db8::1", 443, nil, true},
		{"[2001:db8::1]:443", "2001:db8::1", 80, nil, false},
		{"2001:db8::/32", "2001:db8::7", 80, nil, true},
		{"[2001:db8::/32]:80", "2001:db8::7", 80, nil, true},
		{"2001:db8::1", "2001:db8:0:0::1", 80, nil, true},
		{"10.0.0.0/8", "db.internal", 80, resolve("10.1.2.3"), true},
		{"10.0.0.0/8", "db.internal", 80, resolve("192.0.2.1", "10.1.2.3"), true},
		{"10.0.0.0/8", "db.internal", 80, resolve("192.0.2.1"), false},
		{"10.0.0.0/8", "db.internal", 80, nil, false},
		{"*,!10.0.0.0/8", "10.1.2.3", 80, nil, false},
		{"!10.0.0.0/8,10.1.2.3", "10.1.2.3", 80, nil, false},
		{"*, !*:22", "example.com", 22, nil, false},
		{"*, !*:22", "example.com", 23, nil, true},
	} {
		set, err := Parse(nonEmpty(tc.patterns))
		if err != nil {
			t.Errorf("Parse(%q): %v", tc.patterns, err)
			continue
		}
		if got := set.Match(tc.host, tc.port, tc.addrs); got != tc.want {
			t.Errorf("%q matches %s port %d: %v, want %v", tc.patterns, tc.host, tc.port, got, tc.want)
		}
	}
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "names no host",
		"!":                  "names no host",
		"host:":              "empty port",
		"host:0":             "1 to 65535",
		"host:65536":         "1 to 65535",
		"host:http":          "1 to 65535",
		"10.0.0.0/33":        "not a CIDR",
		"[::1":               "[address]:port",
		"[::1]x":             "[address]:port",
		"fe80::1%eth0":       "zone",
		"ftp://host/":        "no default",
		"http://":            "not a URL",
		"ex ample.com":       "is not *",
		"a..b":               "is not *",
		"**":                 "is not *",
		"api.*.com":          "is not *",
		"1:2:3":              "is not *",
		"host:80:90":         "is not *",
		"example.com,,other": "names no host",
	} {
		_, err := Parse([]string{text})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q): %v, want an error with %q", text, err, want)
		}
	}
}

func TestIntercepts(t *testing.T) {
	for text, want := range map[string]bool{"*": true, "!10.0.0.1": false, "!10.0.0.1,*": true} {
		set, err := Parse([]string{text})
		if err != nil {
			t.Fatal(err)
		}
		if set.Intercepts() != want {
			t.Errorf("%q intercepts: %v, want %v", text, !want, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"*", "!10.0.0.0/8:443", "[2001:db8::1]:443", "https://h/p", "*.example.com:80", "a:b:c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, err := Parse([]string{text})
		if err != nil {
			return
		}
		again, err := Parse([]string{set.String()})
		if err != nil || again.String() != set.String() {
			t.Fatalf("%q prints as %q, which parses as %v, %v", text, set, again, err)
		}
		set.Match("example.com", 80, nil)
		set.Match("10.0.0.1", 443, nil)
	})
}
