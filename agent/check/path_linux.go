package check

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/faultproxy/fault/agent/words"
	"github.com/faultproxy/fault/bpf"
)

// netClsProbe is of what takes sockets out of cgroup2, and so away from us.
func (h *host) netClsProbe() Probe {
	p := Probe{Name: "net_cls", State: OK}
	switch {
	case h.kernel.AtLeast(5, 15):
		p.Text = "does not matter since Linux 5.15"
	case h.netClsErr != nil:
		p.State, p.Text = Unknown, h.netClsErr.Error()
	case !h.netCls:
		p.Text = "not mounted, nor is net_prio"
	default:
		p.State = Unknown
		p.Text = "mounted, or net_prio is: once a class is set sockets leave cgroup2, and are not intercepted"
		p.Fix = "Linux 5.15, or boot with `cgroup_no_v1=net_cls,net_prio`"
	}
	return p
}

func (h *host) ipv6Probe() Probe {
	p := Probe{Name: "IPv6", State: OK}
	switch {
	case h.noIPv6:
		p.Text = "this host has none"
	case h.privilege != nil || h.trialErr != nil:
		p.State, p.Text = Unknown, "not tried"
	case h.trial.IPv6 != nil:
		p.State, p.Fix = Missing, hint(h.trial.IPv6)
		p.Text = fmt.Sprintf("left alone: %v; IPv4 through IPv6 sockets is intercepted", h.trial.IPv6)
	default:
		p.Text = "intercepted, but for sockets that cannot have an IPv4 peer"
	}
	return p
}

// netnsProbe is of --netns.
func (h *host) netnsProbe() Probe {
	if h.enters {
		return Probe{Name: "namespaces", State: OK, Text: "`--netns` can intercept in other network namespaces"}
	}
	return Probe{Name: "namespaces", State: Missing, Text: "cap_sys_admin: `--netns` has this network namespace alone", Fix: "use sudo where others are meant"}
}

// shownNeighbours is how many programs of others are named.
const shownNeighbours = 4

// neighboursProbe is of programs of others that also see connections. All of them
// run; what they do may matter nevertheless.
func (h *host) neighboursProbe() Probe {
	p := Probe{Name: "others", State: OK, Text: "no BPF program of others sees what is intercepted"}
	switch {
	case h.cgroupErr != nil:
		p.State, p.Text = Unknown, "there is no cgroup2"
		return p
	case errors.Is(h.neighboursErr, fs.ErrPermission):
		p.State, p.Text = Unknown, "asking for BPF programs of others takes cap_bpf and cap_net_admin"
		return p
	case h.neighboursErr != nil:
		p.State, p.Text = Unknown, h.neighboursErr.Error()
		return p
	case len(h.neighbours) == 0:
		return p
	}
	all := grouped(h.neighbours)
	var named []string
	for _, g := range all[:min(len(all), shownNeighbours)] {
		named = append(named, g.String())
	}
	p.Text = strings.Join(named, "; ")
	if more := len(all) - shownNeighbours; more > 0 {
		p.Text += fmt.Sprintf("; and %s", words.Counted(more, "more program"))
	}
	has := func(is func(neighbour) bool) bool { return slices.ContainsFunc(all, is) }
	switch {
	case has(func(g neighbour) bool { return g.alone && slices.Contains(g.cgroups, h.cgroup) && attaches(g.hook) }):
		p.State = Missing
		p.Text += "; one of them lets no other be attached beside it"
		p.Fix = "end what has attached it, or intercept in a cgroup below with `--cgroup`"
	case has(func(g neighbour) bool { return g.owner == "Cilium" && strings.HasPrefix(g.hook, "connect") }):
		p.Fix = "where it comes first, services are pods already: name the pods' addresses in `--upstream`, or intercept in a cgroup below with `--cgroup`"
	case has(func(g neighbour) bool { return g.owner == "systemd" }):
		p.Fix = "a unit with IPAddressDeny= needs `IPAddressAllow=localhost`, as that is where its connections are diverted to"
	}
	return p
}

// attaches says whether a run attaches a program at a hook.
func attaches(hook string) bool { return hook != "egress" }

// neighbour is one program of others, wherever it is attached.
type neighbour struct {
	owner, name, hook string
	alone             bool
	cgroups           []string
}

// String is as in "Cilium's cil_sock4_connect (connect4, /sys/fs/cgroup)".
func (n neighbour) String() string {
	name := n.name
	if n.owner != "" {
		name = n.owner + "'s " + name
	}
	where := n.cgroups[0]
	if len(n.cgroups) > 1 {
		where = words.Counted(len(n.cgroups), "cgroup")
	}
	return fmt.Sprintf("%s (%s, %s)", name, n.hook, where)
}

// grouped has programs of one name at one hook together.
func grouped(all []bpf.Neighbour) []neighbour {
	var groups []neighbour
	for _, n := range all {
		name := n.Name
		if name == "" {
			name = fmt.Sprintf("program %d", n.ID)
		}
		i := slices.IndexFunc(groups, func(g neighbour) bool { return g.name == name && g.hook == n.Hook })
		if i < 0 {
			groups = append(groups, neighbour{owner: ownerOf(name), name: name, hook: n.Hook})
			i = len(groups) - 1
		}
		groups[i].cgroups = append(groups[i].cgroups, n.Cgroup)
		groups[i].alone = groups[i].alone || n.Alone
	}
	return groups
}

// ownerOf is whose a program is, as far as its name tells; empty if it does not.
func ownerOf(name string) string {
	switch {
	case strings.HasPrefix(name, "cil_"), strings.HasPrefix(name, "sock4_"), strings.HasPrefix(name, "sock6_"): // of before Cilium 1.13
		return "Cilium"
	case strings.HasPrefix(name, "sd_"):
		return "systemd"
	}
	return ""
}
