package check

import (
	"context"
	"os"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/control"
	"github.com/faultproxy/fault/agent/procfs"
	"github.com/faultproxy/fault/bpf"
)

// Run looks at this host, and tries what can be tried on a cgroup of its own
// without processes. That takes some milliseconds, and leaves nothing.
func Run(ctx context.Context) Result {
	h := host{
		kernel:    bpf.HostKernel(),
		missing:   bpf.MissingCapabilities(),
		uid:       os.Getuid(),
		privilege: bpf.Check(),
	}
	h.cgroup, h.whole, h.cgroupErr = bpf.TopCgroup()
	h.filtered, h.filteredErr = bpf.SeccompFilter()
	h.lockdown, h.lockdownErr = bpf.Lockdown()
	h.netCls, h.netClsErr = bpf.NetClassifier()
	h.noIPv6, h.enters = !bpf.HasIPv6(), bpf.EntersNamespaces()
	h.neighbours, h.neighboursErr = bpf.Neighbours()
	if h.privilege == nil {
		h.trial, h.trialErr = bpf.Try()
	}
	h.left, h.leftErr = leftBehind()
	h.seesAll = procfs.InInitialPIDNamespace()
	h.limit = agent.FlowLimit()
	h.agents, h.agentsErr = control.Agents(ctx)
	return h.result()
}

// leftBehind is what is attached although no process holds it.
func leftBehind() ([]bpf.Attachment, error) {
	first, err := unheld(nil)
	if err != nil || len(first) == 0 {
		return nil, err
	}
	// An agent may have ended since they were listed.
	return unheld(first)
}

// unheld is what nobody holds of those that are attached; of some, if they are
// given.
func unheld(some []bpf.Attachment) ([]bpf.Attachment, error) {
	all, err := bpf.Attachments()
	if err != nil {
		return nil, err
	}
	known := make(map[uint32]bool)
	for _, a := range some {
		known[a.Link] = true
	}
	var found []bpf.Attachment
	for _, a := range all {
		if some != nil && !known[a.Link] {
			continue
		}
		if _, held := procfs.HolderOfLink(a.Link); !held {
			found = append(found, a)
		}
	}
	return found, nil
}
