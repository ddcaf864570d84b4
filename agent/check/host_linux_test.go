package check

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/control"
	"github.com/faultproxy/fault/bpf"
)

// good is a host that has everything.
func good() host {
	return host{
		kernel: bpf.Kernel{Release: "6.8.0-45-generic", Machine: "x86_64", CgroupLinks: true},
		cgroup: "/sys/fs/cgroup", whole: true, uid: 1000, lockdown: "none", seesAll: true, enters: true,
		trial: bpf.Trial{Programs: 8, Took: 12345 * time.Microsecond}, limit: agent.Limit{Flows: 160, Descriptors: 1024, Ports: 28232},
	}
}

// TestHosts is what is said of hosts, of which this one can be but one.
func TestHosts(t *testing.T) {
	noCaps := &bpf.MissingError{What: "cap_bpf and cap_net_admin are missing (uid 1000)", Hint: "use sudo"}
	userns := &bpf.MissingError{What: "cap_bpf and cap_net_admin are held in a user namespace only (uid 0)", Hint: "outside"}
	noCgroup := &bpf.MissingError{What: "no cgroup2 is mounted here, and mounting one privately failed", Hint: "mount it", Err: unix.EPERM}
	seccomp := &bpf.MissingError{What: "bpf(2) was refused although cap_bpf is held; a seccomp filter is active", Hint: "a profile", Cause: unix.EPERM}
	program := &bpf.ProgramError{Program: "connect4", Reason: "R0 !read_ok", Omitted: 41}
	noPerfmon := &bpf.MissingError{What: "cap_perfmon is missing", Hint: bpf.Setcap}
	cilium := []bpf.Neighbour{
		{Name: "cil_sock4_conne", Hook: "connect4", Cgroup: "/sys/fs/cgroup"}, {ID: 12, Hook: "sockops", Cgroup: "/sys/fs/cgroup"},
		{Name: "other", Hook: "egress", Cgroup: "/sys/fs/cgroup/a", Alone: true}, {Name: "other", Hook: "egress", Cgroup: "/sys/fs/cgroup/b"},
		{Name: "sd_fw_ingress", Hook: "ingress", Cgroup: "/sys/fs/cgroup/a"}, {Name: "sd_fw_egress", Hook: "egress", Cgroup: "/sys/fs/cgroup/a"},
	}
	left := []bpf.Attachment{{Link: 12, Program: "fault_connect4"}, {Link: 13, Program: "fault_sockops"}, {Link: 14, Program: "fault_connect4"}}
	for name, tc := range map[string]struct {
		change      func(*host)
		transparent string
		probes      []Probe // those that differ from a good host's
	}{
		"everything": {func(*host) {}, "yes", nil},
		"no BTF": {func(h *host) { h.kernel.BTF = fs.ErrNotExist; h.trial.IPv6 = fs.ErrNotExist }, "yes, except IPv6", []Probe{
			{"IPv6", Missing, "left alone: file does not exist; IPv4 through IPv6 sockets is intercepted", ""},
			{"kernel", Missing, "6.8.0-45-generic x86_64, no BTF: IPv6 is left alone, cgroup links", "a kernel that was built with CONFIG_DEBUG_INFO_BTF"}}},
		"old": {func(h *host) { h.kernel.CgroupLinks = false; h.trialErr = errors.New("too old") }, "no, too old", []Probe{
			{"kernel", Missing, "6.8.0-45-generic x86_64, BTF, no BPF links for cgroups (Linux 5.7 has)", "Linux 5.8, or `--transparent off`"},
			{"programs", Missing, "too old", ""}}},
		"a part": {func(h *host) { h.cgroup, h.whole = "/mnt/x", false }, "yes", []Probe{
			{"cgroup2", OK, "/mnt/x, a part of the host: processes of others are left alone", ""}}},
		"not mounted": {func(h *host) { h.cgroup = "/" }, "yes", []Probe{
			{"cgroup2", OK, "not mounted, a mount of our own will do, the whole host", ""}}},
		"no cgroup2": {func(h *host) { h.cgroupErr, h.trial.Unattached, h.neighboursErr = noCgroup, noCgroup, noCgroup }, "no, " + noCgroup.Error(), []Probe{
			{"others", Unknown, "there is no cgroup2", ""},
			{"cgroup2", Missing, "no cgroup2 is mounted here, and mounting one privately failed: operation not permitted", "mount it"},
			{"programs", Unknown, "8 loaded, not attached: there is no cgroup2", ""}}},
		"no cgroup of one's own": {func(h *host) { h.trial.Unattached = unix.EACCES }, "yes", []Probe{
			{"programs", Unknown, "8 loaded, not attached: no empty cgroup can be made (permission denied)", ""}}},
		"no capabilities": {func(h *host) {
			h.missing, h.privilege, h.leftErr = []string{"cap_bpf", "cap_net_admin", "cap_perfmon"}, noCaps, fmt.Errorf("get: %w", unix.EPERM)
			h.neighboursErr, h.enters = fmt.Errorf("ask: %w", unix.EPERM), false
		}, "no, " + noCaps.What, []Probe{
			{"capabilities", Missing, "cap_bpf, cap_net_admin, cap_perfmon: nothing is intercepted (uid 1000)", bpf.Setcap},
			{"programs", Unknown, "not tried: " + noCaps.What, ""},
			{"others", Unknown, "asking for BPF programs of others takes cap_bpf and cap_net_admin", ""},
			{"namespaces", Missing, "cap_sys_admin: `--netns` has this network namespace alone", "use sudo where others are meant"},
			{"left behind", Unknown, "cap_sys_admin is missing, which listing what is attached takes", ""}}},
		"no cap_perfmon": {func(h *host) { h.missing, h.trial.IPv6 = []string{"cap_perfmon"}, noPerfmon }, "yes, except IPv6", []Probe{
			{"IPv6", Missing, "left alone: cap_perfmon is missing; IPv4 through IPv6 sockets is intercepted", bpf.Setcap},
			{"capabilities", Missing, "cap_perfmon: IPv6 is left alone", bpf.Setcap}}},
		"no cap_perfmon on an old kernel": {func(h *host) {
			h.missing = []string{"cap_perfmon"}
			h.trialErr = &bpf.MissingError{What: "cap_perfmon is missing, without which …", Hint: "use sudo"}
		}, "no, cap_perfmon is missing, without which …", []Probe{
			{"capabilities", Missing, "cap_perfmon: before Linux 6.12 no program is taken without it", bpf.Setcap},
			{"programs", Missing, "cap_perfmon is missing, without which …", "use sudo"}}},
		"a user namespace": {func(h *host) { h.privilege = userns }, "no, " + userns.What, []Probe{
			{"capabilities", Missing, userns.What, "outside"},
			{"programs", Unknown, "not tried: " + userns.What, ""}}},
		"a filter that lets pass": {func(h *host) { h.filtered = true }, "yes", []Probe{
			{"seccomp", OK, "a filter that lets bpf(2) pass", ""}}},
		"a filter": {func(h *host) { h.filtered, h.trialErr = true, seccomp }, "no, " + seccomp.What, []Probe{
			{"seccomp", Missing, "a filter is active, and bpf(2) was refused", "in a container a profile that allows bpf (`--security-opt seccomp=PROFILE`)"},
			{"programs", Missing, seccomp.What, "a profile"}}},
		"confidentiality": {func(h *host) { h.lockdown = "confidentiality" }, "yes", []Probe{
			{"lockdown", Missing, "confidentiality: `--process` may be impossible", "`--pid`, `--user` and `--cgroup` do without"}}},
		"no lockdown": {func(h *host) { h.lockdown = "" }, "yes", []Probe{{"lockdown", OK, "not built into this kernel", ""}}},
		"lockdown unknown": {func(h *host) { h.lockdownErr = errors.New("not mounted") }, "yes", []Probe{
			{"lockdown", Unknown, "not mounted", ""}}},
		"a program": {func(h *host) { h.trialErr = program }, "no, " + program.Error(), []Probe{
			{"programs", Missing, "the kernel refused our program `connect4`: R0 !read_ok (41 lines omitted)",
				"please report this, with the log of `fault --log-level debug run …`"}}},
		"no cap_net_raw": {func(h *host) {
			h.trial.Holds = &bpf.MissingError{What: "cap_net_raw is missing", Hint: bpf.Setcap}
		}, "yes", []Probe{
			{"held SYN", Missing, "cap_net_raw is missing: a refused upstream shows as a reset", bpf.Setcap}}},
		"no names": {func(h *host) {
			h.trial.Processes = &bpf.MissingError{What: "processes cannot be told by name", Hint: "use sudo"}
			h.trial.Follows = unix.EPERM
		}, "yes", []Probe{{"callers", Missing, "processes cannot be told by name: no `--process`", "use sudo"}}},
		"no followers": {func(h *host) { h.trial.Follows = unix.EPERM }, "yes", []Probe{
			{"callers", Missing, "children, units and containers may be noticed up to 1 s late: operation not permitted", ""}}},
		"a cgroup that stays": {func(h *host) { h.trial.Left = unix.EBUSY }, "yes", []Probe{
			{"programs", Found, "8 loaded and attached, but something is left: device or resource busy", ""}}},
		"left behind": {func(h *host) { h.left = left }, "yes", []Probe{
			{"left behind", Found, "fault_connect4, fault_sockops attached, and no process holds them", "`bpftool link detach id ID` for each ID of 12, 13, 14"}}},
		"not seen": {func(h *host) { h.left, h.seesAll = left, false }, "yes", []Probe{
			{"left behind", Unknown, "fault_connect4, fault_sockops attached, by a process that is not seen from this pid namespace", ""}}},
		"an old kernel": {func(h *host) { h.kernel.Release = "5.10.0" }, "yes", []Probe{
			{"kernel", OK, "5.10.0 x86_64, BTF, cgroup links", ""},
			{"net_cls", OK, "not mounted, nor is net_prio", ""}}},
		"net_cls": {func(h *host) { h.kernel.Release, h.netCls = "5.10.0", true }, "yes", []Probe{
			{"kernel", OK, "5.10.0 x86_64, BTF, cgroup links", ""},
			{"net_cls", Unknown, "mounted, or net_prio is: once a class is set sockets leave cgroup2, and are not intercepted", "Linux 5.15, or boot with `cgroup_no_v1=net_cls,net_prio`"}}},
		"net_cls unknown": {func(h *host) { h.kernel.Release, h.netClsErr = "5.10.0", errors.New("no /proc") }, "yes", []Probe{
			{"kernel", OK, "5.10.0 x86_64, BTF, cgroup links", ""},
			{"net_cls", Unknown, "no /proc", ""}}},
		"no IPv6": {func(h *host) { h.noIPv6 = true }, "yes", []Probe{{"IPv6", OK, "this host has none", ""}}},
		"Cilium": {func(h *host) { h.neighbours = cilium }, "yes", []Probe{
			{"others", OK, "Cilium's cil_sock4_conne (connect4, /sys/fs/cgroup); program 12 (sockops, /sys/fs/cgroup); other (egress, 2 cgroups); " +
				"systemd's sd_fw_ingress (ingress, /sys/fs/cgroup/a); and 1 more program",
				"where it comes first, services are pods already: name the pods' addresses in `--upstream`, or intercept in a cgroup below with `--cgroup`"}}},
		"systemd": {func(h *host) { h.neighbours = cilium[5:] }, "yes", []Probe{
			{"others", OK, "systemd's sd_fw_egress (egress, /sys/fs/cgroup/a)",
				"a unit with IPAddressDeny= needs `IPAddressAllow=localhost`, as that is where its connections are diverted to"}}},
		"one alone": {func(h *host) {
			h.neighbours = []bpf.Neighbour{{Name: "x", Hook: "connect6", Cgroup: "/sys/fs/cgroup", Alone: true}}
		}, "yes", []Probe{
			{"others", Missing, "x (connect6, /sys/fs/cgroup); one of them lets no other be attached beside it",
				"end what has attached it, or intercept in a cgroup below with `--cgroup`"}}},
		"neighbours unknown": {func(h *host) { h.neighboursErr = unix.EIO }, "yes", []Probe{{"others", Unknown, "input/output error", ""}}},
		"agents": {func(h *host) { h.agents = []control.Peer{{PID: 4711, Own: 4711}, {PID: 4712, Own: 4712}} }, "yes", []Probe{
			{"agents", OK, "fault[4711], fault[4712]", ""}}},
	} {
		h := good()
		wants := h.result().Probes
		for _, p := range tc.probes {
			i := slices.IndexFunc(wants, func(q Probe) bool { return q.Name == p.Name })
			wants[i] = p
		}
		tc.change(&h)
		if h.trialErr != nil || h.privilege != nil {
			for _, name := range []string{"held SYN", "callers", "IPv6"} {
				i := slices.IndexFunc(wants, func(q Probe) bool { return q.Name == name })
				wants[i] = Probe{name, Unknown, "not tried", ""}
			}
		}
		got := h.result()
		if got.Transparent.String() != tc.transparent || got.Transparent.Possible != (tc.transparent[0] == 'y') || got.Explicit.String() != "yes" {
			t.Errorf("%s: transparent %v, want %v; explicit %v", name, got.Transparent, tc.transparent, got.Explicit)
		}
		for i, p := range got.Probes {
			if p != wants[i] {
				t.Errorf("%s: %+v, want\n%+v", name, p, wants[i])
			}
		}
	}
}

// TestGoodHost is the rest of what is said of it.
func TestGoodHost(t *testing.T) {
	h := good()
	want := []Probe{
		{"kernel", OK, "6.8.0-45-generic x86_64, BTF, cgroup links", ""},
		{"cgroup2", OK, "/sys/fs/cgroup, the whole host", ""},
		{"net_cls", OK, "does not matter since Linux 5.15", ""},
		{"capabilities", OK, "cap_bpf, cap_net_admin, cap_perfmon", ""},
		{"seccomp", OK, "no filter", ""},
		{"lockdown", OK, "none", ""},
		{"programs", OK, "8 loaded, attached to an empty cgroup, detached: 12 ms", ""},
		{"held SYN", OK, "connect(2) will show refused, unreachable and timeout", ""},
		{"callers", OK, "told by name and file; children, units and containers from their first connect", ""},
		{"IPv6", OK, "intercepted, but for sockets that cannot have an IPv4 peer", ""},
		{"others", OK, "no BPF program of others sees what is intercepted", ""},
		{"namespaces", OK, "`--netns` can intercept in other network namespaces", ""},
		{"left behind", OK, "nothing of an earlier run", ""},
		{"flows", OK, "160 at once are intercepted, more go direct: 1,024 descriptors, 28,232 ports", ""},
		{"agents", OK, "none runs in this network namespace", ""},
	}
	if got := h.result().Probes; !slices.Equal(got, want) {
		t.Errorf("%+v, want\n%+v", got, want)
	}
}

// TestRemains is when a host is clean.
func TestRemains(t *testing.T) {
	is := func(name string, s State) Probe { return Probe{Name: name, State: s} }
	for _, tc := range []struct {
		probes []Probe
		clean  bool
		why    string
	}{
		{[]Probe{is("programs", OK), is("agents", OK)}, true, ""},
		{[]Probe{is("programs", OK), is("agents", Found)}, false, "agents are there"},
		{[]Probe{is("programs", Unknown), is("agents", OK)}, false, "of programs it is not known"},
		{[]Probe{is("programs", Unknown), is("agents", Found)}, false, "agents are there"},
	} {
		if r := remains(tc.probes...); r.Clean != tc.clean || r.Why != tc.why {
			t.Errorf("%v: %t, %q, want %t, %q", tc.probes, r.Clean, r.Why, tc.clean, tc.why)
		}
	}
}
