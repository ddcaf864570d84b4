package check

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/faultproxy/fault/agent/control"
	"github.com/faultproxy/fault/agent/words"
	"github.com/faultproxy/fault/bpf"
)

func (h *host) programsProbe() Probe {
	p := Probe{Name: "programs", State: OK}
	var program *bpf.ProgramError
	switch {
	case h.privilege != nil:
		p.State, p.Text = Unknown, "not tried: "+h.privilege.Error()
	case h.trialErr != nil:
		p.State, p.Text, p.Fix = Missing, h.trialErr.Error(), hint(h.trialErr)
		if p.Fix == "" && errors.As(h.trialErr, &program) {
			p.Fix = "please report this, with the log of `fault --log-level debug run …`"
		}
	case h.trial.Unattached != nil && h.cgroupErr != nil:
		p.State, p.Text = Unknown, fmt.Sprintf("%d loaded, not attached: there is no cgroup2", h.trial.Programs)
	case h.trial.Unattached != nil:
		p.State = Unknown
		p.Text = fmt.Sprintf("%d loaded, not attached: no empty cgroup can be made (%v)", h.trial.Programs, h.trial.Unattached)
	case h.trial.Left != nil:
		p.State = Found
		p.Text = fmt.Sprintf("%d loaded and attached, but something is left: %v", h.trial.Programs, h.trial.Left)
	default:
		p.Text = fmt.Sprintf("%d loaded, attached to an empty cgroup, detached: %d ms", h.trial.Programs,
			h.trial.Took.Round(time.Millisecond).Milliseconds())
	}
	return p
}

// heldSYNProbe is of what connect(2) will tell of an upstream.
func (h *host) heldSYNProbe() Probe {
	p := Probe{Name: "held SYN", State: OK, Text: "connect(2) will show refused, unreachable and timeout"}
	switch {
	case h.privilege != nil || h.trialErr != nil:
		p.State, p.Text = Unknown, "not tried"
	case h.trial.Holds != nil:
		p.State, p.Fix = Missing, hint(h.trial.Holds)
		p.Text = h.trial.Holds.Error() + ": a refused upstream shows as a reset"
	}
	return p
}

// callersProbe is of whose connections can be selected.
func (h *host) callersProbe() Probe {
	p := Probe{Name: "callers", State: OK, Text: "told by name and file; children, units and containers from their first connect"}
	switch {
	case h.privilege != nil || h.trialErr != nil:
		p.State, p.Text = Unknown, "not tried"
	case h.trial.Processes != nil:
		p.State, p.Fix = Missing, hint(h.trial.Processes)
		p.Text = h.trial.Processes.Error() + ": no `--process`"
	case h.trial.Follows != nil:
		p.State, p.Fix = Missing, hint(h.trial.Follows)
		p.Text = fmt.Sprintf("children, units and containers may be noticed up to 1 s late: %v", h.trial.Follows)
	}
	return p
}

func (h *host) leftProbe() Probe {
	p := Probe{Name: "left behind", State: OK, Text: "nothing of an earlier run"}
	switch {
	case errors.Is(h.leftErr, fs.ErrPermission):
		p.State, p.Text = Unknown, "cap_sys_admin is missing, which listing what is attached takes"
	case h.leftErr != nil:
		p.State, p.Text = Unknown, h.leftErr.Error()
	case len(h.left) == 0:
	case !h.seesAll:
		p.State, p.Text = Unknown, h.leftNames()+" attached, by a process that is not seen from this pid namespace"
	default:
		p.State, p.Text = Found, h.leftNames()+" attached, and no process holds them"
		p.Fix = "`bpftool link detach id ID` for each ID of " +
			names(h.left, func(a bpf.Attachment) string { return fmt.Sprint(a.Link) })
	}
	return p
}

func (h *host) leftNames() string {
	return names(h.left, func(a bpf.Attachment) string { return a.Program })
}

func (h *host) flowsProbe() Probe {
	return Probe{Name: "flows", State: OK, Text: fmt.Sprintf("%s at once are intercepted, more go direct: %s descriptors, %s ports",
		words.Count(h.limit.Flows), words.Count(h.limit.Descriptors), words.Count(h.limit.Ports))}
}

func (h *host) agentsProbe() Probe {
	p := Probe{Name: "agents", State: OK, Text: "none runs in this network namespace"}
	if h.agentsErr != nil {
		p.State, p.Text = Unknown, h.agentsErr.Error()
	} else if len(h.agents) > 0 {
		p.Text = names(h.agents, control.Peer.String)
	}
	return p
}
