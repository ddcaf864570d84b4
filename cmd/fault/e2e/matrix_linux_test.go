package e2e

import (
	"fmt"
	"maps"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// matrix is a server with many addresses, and clients of it in namespaces of
// their own: in one is an agent, another is asked for, and in the last is none.
type matrix struct {
	server, ours, asked, without *host
	resolver                     func(*exec.Cmd) *exec.Cmd

	timing   sync.Mutex // one at a time, as others would take its processors
	baseline *conversation
}

// matrixNames are the names of the server's addresses; what has none is a
// database. No other test gives these names or addresses: agents hear its answers.
var matrixNames = map[string]string{"api": "api.matrix.test", "www": "www.matrix.test", "sub": "sub.below.test", "apex": "below.test"}

// matrixHosts are the addresses, by host and family.
var matrixHosts = map[string]netip.Addr{
	"api4": netip.MustParseAddr("192.0.2.21"), "api6": netip.MustParseAddr("2001:db8::21"),
	"www4": netip.MustParseAddr("192.0.2.22"), "www6": netip.MustParseAddr("2001:db8::22"),
	"sub4": netip.MustParseAddr("203.0.113.7"), "sub6": netip.MustParseAddr("2001:db8:1::7"),
	"apex4": netip.MustParseAddr("203.0.113.8"), "apex6": netip.MustParseAddr("2001:db8:1::8"),
	"db4": netip.MustParseAddr("192.0.2.10"), "db6": netip.MustParseAddr("2001:db8::10"),
}

// matrixed is one of them with a port, as "api4:443".
type matrixed struct {
	key     string
	address netip.AddrPort
	family  string // the flag for it
	named   string // a URL; empty for a database
	literal string
}

// destinations are all that there are.
func (m *matrix) destinations() (all []matrixed) {
	for host, at := range matrixHosts {
		name, family := host[:len(host)-1], "-"+host[len(host)-1:]
		if name == "db" {
			all = append(all, matrixed{host + ":5432", netip.AddrPortFrom(at, 5432), family, "", ""})
			continue
		}
		for scheme, port := range map[string]uint16{"http": 80, "https": 443} {
			all = append(all, matrixed{
				fmt.Sprintf("%s:%d", host, port), netip.AddrPortFrom(at, port), family,
				scheme + "://" + matrixNames[name] + "/", pageURL(scheme, at),
			})
		}
	}
	return all
}

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	server := newServer(t)
	m := &matrix{server: server, ours: newClient(t, server), asked: newClient(t, server), without: newClient(t, server)}
	for host, at := range matrixHosts {
		if strings.HasPrefix(host, "db") {
			continue // has it
		}
		if err := server.ns.AddAddr("lo", netip.PrefixFrom(at, at.BitLen())); err != nil {
			t.Fatal(err)
		}
	}
	server.serveIdentity(t)
	server.servePostgres(t)
	m.ours.serveNames(t, "127.0.0.1:53", func(asked string) (found []netip.Addr) {
		for host, name := range matrixNames {
			if asked == name+"." {
				found = append(found, matrixHosts[host+"4"], matrixHosts[host+"6"])
			}
		}
		return found
	})
	m.resolver = m.ours.resolving(t, "")
	m.baseline = converse(t, m.without, script(t, "/usr/bin/python3", "named.py", namedPython))
	return m
}

// TestMatrix holds for each kind of pattern which connections of real clients are
// delayed, in two namespaces, and that no others are: those meet no agent, and
// take as long as where there is none.
func TestMatrix(t *testing.T) {
	needs(t, "unshare", "mount", "nginx", "curl", "/usr/bin/python3", "initdb", "postgres", "psql")
	m := newMatrix(t)
	for name, tc := range map[string]struct {
		upstream string
		delayed  string // of destinations, as filepath.Match has it
		flags    []string
		never    string // a client that is not meant
	}{
		"all":                        {upstream: "*", delayed: "*"},
		"name":                       {upstream: "api.matrix.test", delayed: "api?:*"},
		"name and port":              {upstream: "api.matrix.test:443", delayed: "api?:443"},
		"below a domain":             {upstream: "*.below.test", delayed: "sub?:*"},
		"below a domain, and a port": {upstream: "*.matrix.test:80", delayed: "api?:80 www?:80"},
		"IPv4 range":                 {upstream: "192.0.2.0/28", delayed: "db4:*"},
		"IPv6 range":                 {upstream: "2001:db8:1::/64", delayed: "sub6:* apex6:*"},
		"range and port":             {upstream: "203.0.113.0/24:443", delayed: "sub4:443 apex4:443"},
		"IPv4 address":               {upstream: "192.0.2.22", delayed: "www4:*"},
		"IPv6 address":               {upstream: "2001:db8::22", delayed: "www6:*"},
		"IPv4 address and port":      {upstream: "192.0.2.21:80", delayed: "api4:80"},
		"IPv6 address and port":      {upstream: "[2001:db8::21]:443", delayed: "api6:443"},
		"port":                       {upstream: "*:5432", delayed: "db?:5432"},
		"URL":                        {upstream: "https://www.matrix.test/", delayed: "www?:443"},
		"address out of a range":     {upstream: "192.0.2.0/24,!192.0.2.22", delayed: "api4:* db4:*"},
		"range out of a range":       {upstream: "2001:db8::/32,!2001:db8:1::/64", delayed: "api6:* www6:* db6:*"},
		"names and ports out of all": {upstream: "*,!*.below.test,!*:443", delayed: "api?:80 www?:80 apex?:80 db?:*"},
		"one program":                {upstream: "*", delayed: "*", flags: []string{"--exclude-process", "curl"}, never: "curl"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m.holds(t, tc.upstream, func(client, key string) bool {
				for pattern := range strings.FieldsSeq(tc.delayed) {
					if is, err := filepath.Match(pattern, key); err != nil || is {
						return client != tc.never
					}
				}
				return false
			}, tc.flags...)
		})
	}
}

// holds runs an agent in a cgroup of its own, and clients there.
func (m *matrix) holds(t *testing.T, upstream string, delayed func(client, key string) bool, flags ...string) {
	const delay = 100 * time.Millisecond
	ours, asked := *m.ours, *m.asked
	ours.isolate(t)
	asked.cgroup = ours.cgroup
	events, flag := eventsFile(t)
	args := append([]string{"run", flag, "--upstream", upstream, "--with-latency", "--latency-mean", strconv.FormatInt(delay.Milliseconds(), 10),
		"--latency-stddev", "0", "--netns", "self," + asked.ns.Path(), "--proxy-address", "127.0.0.1:0", "--cgroup", ours.cgroup.Name()}, flags...)
	a := ours.runs(t, m.resolver(fault(args...)))

	type flow struct {
		to    string
		netns uint64
	}
	want := make(map[flow]int)
	met := func(client string, d matrixed, from *host, identity string, took time.Duration) {
		if identity != d.address.Addr().String() {
			t.Errorf("%s asked %s and met %s", client, d.key, identity)
		}
		if !delayed(client, d.key) {
			return
		}
		if took < delay {
			t.Errorf("%s: %s took %v, want %v more", client, d.key, took, delay)
		}
		want[flow{d.address.String(), from.ns.Inode()}]++
	}
	all := m.destinations()
	for _, family := range []string{"-4", "-6"} { // names are learnt by that, too
		args := []string{"-sSk", family, "--max-time", "20", "-w", ` %{time_total}\n`}
		var asks []matrixed
		for _, d := range all {
			switch {
			case d.family != family:
			case d.named == "":
				took, identity := psql(&asked)(t, d.address.Addr())
				met("psql", d, &asked, identity, took)
			default:
				asks, args = append(asks, d), append(args, d.named)
			}
		}
		said := strings.Split(answer(t, &ours, m.resolver(program(t, "curl", args...))), "\n")
		if len(said) != len(asks) {
			t.Fatalf("curl said %q", said)
		}
		for i, d := range asks {
			identity, took := identified(t, strings.Fields(said[i]))
			met("curl", d, &ours, identity, took)
		}
	}
	python := converse(t, &asked, script(t, "/usr/bin/python3", "named.py", namedPython))
	var untouched []matrixed
	for _, d := range all {
		if d.named == "" {
			continue
		}
		identity, took := asksIn(t, python, d)
		met("Python", d, &asked, identity, took)
		if !delayed("Python", d.key) && len(untouched) < 2 && (len(untouched) == 0 || untouched[0].family != d.family) {
			untouched = append(untouched, d)
		}
	}
	m.timing.Lock()
	for _, d := range untouched {
		m.addsNothing(t, python, d)
	}
	m.timing.Unlock()
	s := a.stop(t)
	got := make(map[flow]int)
	for _, f := range readEvents(t, events).ended() {
		got[flow{netip.AddrPortFrom(netip.MustParseAddr(f.Upstream.IP), f.Upstream.Port).String(), f.Process.Netns}]++
	}
	if !maps.Equal(got, want) {
		t.Errorf("flows %v\nwant %v", got, want)
	}
	if s.passed != 0 || s.matched != s.flows || s.errors != nil {
		t.Errorf("the summary has %+v", s)
	}
}

// identified reads an identity, and how many seconds it took.
func identified(t *testing.T, said []string) (string, time.Duration) {
	t.Helper()
	if len(said) == 2 {
		if seconds, err := strconv.ParseFloat(said[1], 64); err == nil {
			return said[0], time.Duration(seconds * float64(time.Second))
		}
	}
	t.Errorf("a client said %q", said)
	return "", 0
}

func asksIn(t *testing.T, python *conversation, d matrixed) (string, time.Duration) {
	t.Helper()
	said, err := python.ask(d.family + " " + d.literal)
	if err != nil {
		t.Fatal(err)
	}
	return identified(t, strings.Fields(said))
}

// addsNothing compares connections that the agent has nothing to do with to those
// where there is none, by turns, until the median is steady: others may use the
// processors, too.
func (m *matrix) addsNothing(t *testing.T, python *conversation, d matrixed) {
	t.Helper()
	const tolerable, few, many = 5 * time.Millisecond, 9, 99
	var added []time.Duration
	for len(added) < few || len(added) < many && median(added) >= tolerable {
		_, without := asksIn(t, m.baseline, d)
		_, with := asksIn(t, python, d)
		added = append(added, with-without)
	}
	if m := median(added); m >= tolerable {
		t.Errorf("%s takes %v longer", d.key, m)
	}
}
