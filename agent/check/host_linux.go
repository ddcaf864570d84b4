package check

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/control"
	"github.com/faultproxy/fault/bpf"
)

// host is what was found out. Where there is an error, what stands before it is
// not known.
type host struct {
	kernel bpf.Kernel

	cgroup    string
	whole     bool
	cgroupErr error

	missing   []string // capabilities
	uid       int
	privilege error // why nothing could be tried

	filtered    bool
	filteredErr error
	lockdown    string
	lockdownErr error

	netCls    bool // is mounted
	netClsErr error
	noIPv6    bool

	neighbours    []bpf.Neighbour
	neighboursErr error
	enters        bool // other network namespaces

	trial    bpf.Trial
	trialErr error

	left    []bpf.Attachment
	leftErr error
	seesAll bool // processes

	limit     agent.Limit
	agents    []control.Peer
	agentsErr error
}

func (h *host) result() Result {
	return Result{
		Transparent: h.transparent(),
		Explicit:    Verdict{Possible: true},
		Probes: []Probe{
			h.kernelProbe(), h.cgroupProbe(), h.netClsProbe(), h.capabilitiesProbe(), h.seccompProbe(), h.lockdownProbe(),
			h.programsProbe(), h.heldSYNProbe(), h.callersProbe(), h.ipv6Probe(), h.neighboursProbe(), h.netnsProbe(),
			h.leftProbe(), h.flowsProbe(), h.agentsProbe(),
		},
	}
}

func (h *host) transparent() Verdict {
	for _, err := range []error{h.privilege, h.cgroupErr, h.trialErr} {
		if err != nil {
			return Verdict{Why: err.Error()}
		}
	}
	v := Verdict{Possible: true}
	if h.trial.IPv6 != nil {
		v.Except = "IPv6"
	}
	return v
}

// tried says that the programs were loaded, and that the kernel took them.
func (h *host) tried() bool { return h.privilege == nil && h.trialErr == nil }

func (h *host) kernelProbe() Probe {
	p := Probe{Name: "kernel", State: OK}
	has := []string{h.kernel.Release + " " + h.kernel.Machine, "BTF", "cgroup links"}
	if h.kernel.BTF != nil {
		has[1] = "no BTF: IPv6 is left alone"
		p.State, p.Fix = Missing, "a kernel that was built with CONFIG_DEBUG_INFO_BTF"
	}
	if !h.kernel.CgroupLinks {
		has[2] = "no BPF links for cgroups (Linux 5.7 has)"
		p.State, p.Fix = Missing, "Linux 5.8, or `--transparent off`"
	}
	p.Text = strings.Join(has, ", ")
	return p
}

func (h *host) cgroupProbe() Probe {
	p := Probe{Name: "cgroup2", State: OK}
	where := h.cgroup
	if where == "/" {
		where = "not mounted, a mount of our own will do"
	}
	switch {
	case h.cgroupErr != nil:
		p.State, p.Text, p.Fix = Missing, h.cgroupErr.Error(), hint(h.cgroupErr)
	case h.whole:
		p.Text = where + ", the whole host"
	default:
		p.Text = where + ", a part of the host: processes of others are left alone"
	}
	return p
}

func (h *host) capabilitiesProbe() Probe {
	p := Probe{Name: "capabilities", State: Missing, Text: strings.Join(h.missing, ", ")}
	switch {
	case len(h.missing) == 0 && h.privilege != nil: // those of a user namespace
		p.Text, p.Fix = h.privilege.Error(), hint(h.privilege)
		return p
	case len(h.missing) == 0:
		return Probe{Name: p.Name, State: OK, Text: "cap_bpf, cap_net_admin, cap_perfmon"}
	case h.privilege != nil:
		p.Text += fmt.Sprintf(": nothing is intercepted (uid %d)", h.uid)
	case h.tried():
		p.Text += ": IPv6 is left alone"
	default:
		p.Text += ": before Linux 6.12 no program is taken without it"
	}
	p.Fix = bpf.Setcap
	return p
}

func (h *host) seccompProbe() Probe {
	p := Probe{Name: "seccomp", State: OK}
	switch {
	case h.filteredErr != nil:
		p.State, p.Text = Unknown, h.filteredErr.Error()
	case !h.filtered:
		p.Text = "no filter"
	case h.tried():
		p.Text = "a filter that lets bpf(2) pass"
	case h.privilege != nil:
		p.State, p.Text = Unknown, "a filter is active; without capabilities it cannot be told what it does to bpf(2)"
	case errors.Is(h.trialErr, unix.EPERM):
		p.State, p.Text = Missing, "a filter is active, and bpf(2) was refused"
		p.Fix = "in a container a profile that allows bpf (`--security-opt seccomp=PROFILE`)"
	default:
		p.Text = "a filter is active, and not what refused the programs"
	}
	return p
}

func (h *host) lockdownProbe() Probe {
	p := Probe{Name: "lockdown", State: OK}
	switch {
	case h.lockdownErr != nil:
		p.State, p.Text = Unknown, h.lockdownErr.Error()
	case h.lockdown == "":
		p.Text = "not built into this kernel"
	case h.lockdown != "confidentiality":
		p.Text = h.lockdown
	default:
		p.State, p.Text = Missing, "confidentiality: `--process` may be impossible"
		p.Fix = "`--pid`, `--user` and `--cgroup` do without"
		if errors.Is(h.trialErr, unix.EPERM) {
			p.Text, p.Fix = "confidentiality, and bpf(2) was refused", "boot without `lockdown=confidentiality`"
		}
	}
	return p
}

// hint is what an error says that helps.
func hint(err error) string {
	var missing *bpf.MissingError
	if errors.As(err, &missing) {
		return missing.Hint
	}
	return ""
}

// names lists things once each, in order.
func names[T any](all []T, name func(T) string) string {
	var list []string
	for _, one := range all {
		if text := name(one); !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return strings.Join(list, ", ")
}
