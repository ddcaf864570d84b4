package bpf

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

func TestFindCgroup2(t *testing.T) {
	const other = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n" +
		"40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n"
	for name, tc := range map[string]struct{ mountinfo, want string }{
		"none":     {other, ""},
		"unified":  {"35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n", "/sys/fs/cgroup"},
		"hybrid":   {other + "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup/unified"},
		"the root": {"50 1 0:38 /docker/x /mnt/part rw - cgroup2 c rw\n51 1 0:38 / /mnt/all rw - cgroup2 c rw\n", "/mnt/all"},
		"a part":   {"50 1 0:38 /docker/x /mnt/part rw - cgroup2 c rw\n", "/mnt/part"},
		"blanks":   {`50 1 0:38 / /mnt/a\040b\134c rw - cgroup2 c rw` + "\n", `/mnt/a b\c`},
		"options":  {"50 1 0:38 / /mnt/all rw shared:1 master:2 propagate_from:3 - cgroup2 c rw\n", "/mnt/all"},
		"garbage":  {"\n - cgroup2 \n1 2 3 - cgroup2 c rw\n", ""},
	} {
		got, err := findCgroup2(strings.NewReader(tc.mountinfo))
		if err != nil || got != tc.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, tc.want)
		}
	}
}

// TestRuleTable holds the table against the meaning of the patterns: a
// destination is excluded if any exclusion names it, else included if any
// inclusion does, whatever their order and lengths.
func TestRuleTable(t *testing.T) {
	if testing.Short() {
		t.Skip("no kernel makes a difference to it")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	prefixes := []netip.Prefix{{}}
	for _, s := range []string{"0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "10.1.2.4/32", "::/0", "::/64", "2001:db8::/32", "2001:db8::1/128"} {
		prefixes = append(prefixes, netip.MustParsePrefix(s))
	}
	ports := []uint16{0, 53, 443}
	var addrs []netip.Addr
	for _, s := range []string{"10.1.2.3", "10.1.2.4", "10.1.9.9", "10.9.9.9", "192.0.2.1", "2001:db8::1", "2001:db8::2", "2001:db9::1", "::5:0:0:1"} {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	for range 2000 {
		var rules []Rule
		for range 1 + rng.IntN(5) {
			rules = append(rules, Rule{
				Prefix:   prefixes[rng.IntN(len(prefixes))],
				Port:     ports[rng.IntN(len(ports))],
				Exclude:  rng.IntN(3) == 0,
				Loopback: false,
			})
		}
		table := ruleTable(rules)
		for _, addr := range addrs {
			for _, port := range []uint16{53, 443, 80} {
				if got, want := decide(table, addr, port), meant(rules, addr, port); got != want {
					t.Fatalf("%+v: %v port %d is %s, want %s", rules, addr, port, got, want)
				}
			}
		}
	}
}

// decide does with the table what the program does with the trie.
func decide(table ruleMap, addr netip.Addr, port uint16) string {
	flags := table.flags(netip.AddrPortFrom(addr, port))
	switch {
	case flags&interceptRuleFlagsRULE_EXCLUDE != 0:
		return "excluded"
	case flags&interceptRuleFlagsRULE_INTERCEPT != 0:
		return "included"
	}
	return "not matched"
}

func meant(rules []Rule, addr netip.Addr, port uint16) string {
	included := false
	for _, r := range rules {
		names := (r.Port == 0 || r.Port == port) && (!r.Prefix.IsValid() || r.Prefix.Contains(addr))
		if names && r.Exclude {
			return "excluded"
		}
		included = included || names
	}
	if included {
		return "included"
	}
	return "not matched"
}

func TestJoinWords(t *testing.T) {
	for want, words := range map[string][]string{"": nil, "a": {"a"}, "a and b": {"a", "b"}, "a, b and c": {"a", "b", "c"}} {
		if got := joinWords(words); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestMissingErrorNamesWhatAndWhy(t *testing.T) {
	cause := fmt.Errorf("the kernel's words")
	err := &MissingError{What: "cap_bpf is missing", Err: cause}
	if got := err.Error(); got != "cap_bpf is missing: the kernel's words" {
		t.Error(got)
	}
	if got := (&MissingError{What: "cap_bpf is missing"}).Error(); got != "cap_bpf is missing" {
		t.Error(got)
	}
}

func TestTargetNames(t *testing.T) {
	for name, want := range map[string]string{
		"curl": "", "a b": "", "naïve": "", strings.Repeat("long", 99): "",
		"": "is blank", " ": "is blank", "\n\t": "is blank", "a\x00b": "has a NUL", "\x00": "has a NUL",
	} {
		for _, targets := range []Targets{{Names: []string{name}}, {CgroupNames: []string{name}}, {ExceptNames: []string{name}}} {
			err := targets.check()
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, want %q", name, err, want)
			}
		}
	}
	for name, want := range map[string]string{"": "", "curl": "curl", strings.Repeat("x", 63): strings.Repeat("x", 63), strings.Repeat("y", 64): strings.Repeat("y", 63)} {
		key := inKernel(name)
		if got := strings.TrimRight(string(key.Name[:]), "\x00"); got != want || key.Name[63] != 0 {
			t.Errorf("%q is kept as %q, want %q", name, got, want)
		}
	}
	targets := Targets{Names: []string{"sixteen are here", "curl"}, ExceptNames: []string{"curl"}}
	want := map[interceptTargetName]interceptNameMeans{
		inKernel("sixteen are here"): {File: interceptSelectorSaysSAYS_TARGET},
		inKernel("sixteen are her"):  {Process: interceptSelectorSaysSAYS_TARGET},
		inKernel("curl"): {
			File:    interceptSelectorSaysSAYS_TARGET | interceptSelectorSaysSAYS_EXCEPT,
			Process: interceptSelectorSaysSAYS_TARGET | interceptSelectorSaysSAYS_EXCEPT,
		},
	}
	if got := targets.nameMeans(); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestOrder is that what an attacher is told arrives as it was meant: names that
// are not UTF-8, and selectors that select nobody yet.
func TestOrder(t *testing.T) {
	cfg := Config{Cgroup: "/\xff", Targets: Targets{
		Names: []string{"\xff\xfe", "curl"}, CgroupNames: []string{}, ExceptNames: nil, PIDs: []uint32{}, Users: []uint32{7},
		Files: []File{{Dev: 1<<20 | 2, Ino: 1 << 60}},
	}}
	text, err := json.Marshal(newOrder(cfg))
	if err != nil {
		t.Fatal(err)
	}
	var o order
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatal(err)
	}
	if got := o.config(); !reflect.DeepEqual(got, cfg) {
		t.Errorf("%+v, want %+v", got, cfg)
	}
}

func TestFileInfo(t *testing.T) {
	for text, want := range map[string][2]uint64{
		"pos:\t0\nflags:\t012100000\nmnt_id:\t34\nino:\t5023\n": {34, 5023},
		"pos:\t0\nflags:\t012100000\nmnt_id:\t34\n":             {34, 0},
		"": {},
	} {
		mount, ino := fileInfo(strings.NewReader(text))
		if got := [2]uint64{uint64(mount), ino}; got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	const mounts = "22 27 0:21 / /proc rw - proc proc rw\n34 27 254:3 / /mnt rw - ext4 d rw\nbad\n"
	for mount, want := range map[int]uint32{22: 21, 34: 254<<20 | 3, 27: 0} {
		got, ok := deviceOf(strings.NewReader(mounts), mount)
		if got != want || ok != (want != 0) {
			t.Errorf("mount %d: %#x, %v, want %#x", mount, got, ok, want)
		}
	}
}
