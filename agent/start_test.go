package agent

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/faultproxy/fault/agent/callers"
	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/agent/parent"
	"github.com/faultproxy/fault/agent/procfs"
	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
)

// scenes are starts of runs.
func scenes(t *testing.T) map[string]struct {
	cfg   *Config
	scene scene
} {
	open := &existing{left: map[existingGroup]int{
		{procfs.Process{PID: 2210, Name: "psql"}, "192.0.2.7:5432"}:     8,
		{procfs.Process{PID: 991, Name: "a\x1b[1mb"}, "192.0.2.9:9200"}: 1000,
		{procfs.Process{}, "[2001:db8::7]:443"}:                         8,
		{procfs.Process{PID: 991, Name: "node"}, "192.0.2.9:9201"}:      1,
	}}
	everywhere := scene{
		pid: 48121, intercepts: true, cgroup: "/", places: []event.Namespace{{Name: OwnNetns, Netns: 4026531840}},
		proxy: netip.MustParseAddrPort("127.0.0.1:3180"), existing: open, took: 84 * milli,
	}
	all := everything(t)

	mapped := everything(t)
	mapped.NoProxy, mapped.Duration, mapped.Upstreams = true, 0, nil
	mapped.Mappings, mapped.StartedBy = nil, parent.Process{PID: 48120, Name: "a\x1b[1mb"}
	mappings := scene{pid: 48121}
	for _, text := range []string{"9090=example.com:80", "http:9091=https://example.com", "udp:5353=8.8.8.8:53", "35432=psqls://db"} {
		m := mappingOf(t, text)
		mappings.mappings = append(mappings.mappings, listening{m, netip.MustParseAddrPort("0.0.0.0:40000")})
	}

	narrow := everything(t)
	narrow.Upstreams = upstreamsOf(t, "*", "!10.0.0.0/8")
	narrow.Callers = callersOf(t, "process psql", "pid 4711", "unit foo.service", "container web", "exclude-process /usr/bin/curl")
	narrow.Faults, narrow.StartedBy = nil, parent.Process{PID: 48120, Name: "chaos"}
	one := everywhere
	one.cgroup, one.ipv6, one.existing, one.proxy = "/system.slice", errors.New("cap_perfmon is missing"), nil, netip.AddrPort{}
	narrow.Netns = []string{"red", "4711", "/proc/4712/ns/net"}
	one.places = []event.Namespace{{Name: "red", Netns: 4026532001}, {Name: "4711", Netns: 4026532002}, {Name: "/proc/4712/ns/net", Netns: 4026532003}}
	for n, c := range narrow.Callers {
		one.callers = append(one.callers, callers.Match{Selector: c, Processes: n - 1, Present: n == 2 || n == 4})
	}
	one.follows = errors.New("this kernel has no BTF")
	one.accepts = errors.New("cap_net_raw is missing")

	alone := everything(t)
	alone.Callers, alone.StartedBy = callersOf(t, "pid 4711"), parent.Process{PID: 48120}
	alone.Netns = []string{"blue", OwnNetns}
	alone.HTTPUpstream = &proxy.Target{Host: "svc", Port: 80}
	alone.Faults = []faults.Planned{{Fault: faults.Latency{Delay: faults.Pareto{Scale: 20 * milli, Shape: 1}, On: toServer | toClient, PerReadWrite: true}}}
	explicit := scene{
		pid: 48121, explicit: "cap_bpf is missing (uid 1000)", hint: "use sudo",
		proxy: netip.MustParseAddrPort("0.0.0.0:3180"), took: 3 * milli,
	}
	afresh := everything(t)
	afresh.Netns = []string{"blue", OwnNetns}
	afresh.ResetExisting, afresh.BlockQUIC, afresh.Faults, afresh.Callers = true, true, nil, callersOf(t, "process psql")
	reset := everywhere
	reset.callers = []callers.Match{{Selector: afresh.Callers[0], Processes: 2, Present: true}}
	reset.places = []event.Namespace{{Name: "blue", Netns: 4026532001}, {Name: OwnNetns, Netns: 4026531840}}
	reset.existing = &existing{
		left:  map[existingGroup]int{{procfs.Process{PID: 2210, Name: "psql"}, "192.0.2.7:5432"}: 2},
		reset: 1015, unsure: 2,
	}
	return map[string]struct {
		cfg   *Config
		scene scene
	}{
		"reset":      {afresh, reset},
		"everything": {all, everywhere},
		"mappings":   {mapped, mappings},
		"narrow":     {narrow, one},
		"explicit":   {alone, explicit},
	}
}

// TestStartPage holds what is said at the start, to people and to programs.
func TestStartPage(t *testing.T) {
	for name, tc := range scenes(t) {
		golden(t, "start-"+name+".txt", startPage(tc.cfg, &tc.scene, style.Style{}))
		golden(t, "start-"+name+".json", event.Line(startEvent(event.NewHead(event.OfStart, when, 0), tc.cfg, &tc.scene)))
	}
}

// TestWarnings holds what the user must know at the start.
func TestWarnings(t *testing.T) {
	for name, want := range map[string][]string{
		"everything": nil,
		"reset":      nil,
		"narrow": {
			"ipv6-left-alone: IPv6 is left alone: cap_perfmon is missing",
			"accepts-first: connect(2) succeeds before the upstream is reached: cap_net_raw is missing",
			"callers-looked-for: children of --pid and cgroups of --unit and --container may be noticed up to 1 s late: this kernel has no BTF",
		},
		"explicit": {
			"not-intercepting: nothing is intercepted: cap_bpf is missing (uid 1000)",
			"no-meaning: --pid 4711 means nothing: no connections are intercepted",
			"no-meaning: --netns blue,self means nothing: no connections are intercepted",
		},
		"mappings": {
			"no-meaning: http-response answers no datagrams: it means nothing for --proxy udp:5353=8.8.8.8:53",
			"no-meaning: reset does nothing to datagrams: it means nothing for --proxy udp:5353=8.8.8.8:53",
			"no-meaning: truncate does nothing to datagrams: it means nothing for --proxy udp:5353=8.8.8.8:53",
			"no-meaning: slice does nothing to datagrams: it means nothing for --proxy udp:5353=8.8.8.8:53",
			"no-meaning: slow-close does nothing to datagrams: it means nothing for --proxy udp:5353=8.8.8.8:53",
		},
	} {
		tc := scenes(t)[name]
		got := tc.scene.warnings(tc.cfg)
		if len(got) != len(want) {
			t.Errorf("%s: %+v, want %q", name, got, want)
			continue
		}
		for i, w := range got {
			if text := w.code + ": " + w.text; text != want[i] {
				t.Errorf("%s: %q, want %q", name, text, want[i])
			}
		}
	}
}
