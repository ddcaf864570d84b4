package check

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/faultproxy/fault/agent/control"
	"github.com/faultproxy/fault/agent/procfs"
	"github.com/faultproxy/fault/bpf"
)

// freeTime is how long the kernel may take to free what nobody holds.
const freeTime = time.Second

// After looks for what a run would leave if it could: programs, agents and
// cgroups. Of programs only CAP_SYS_ADMIN can tell.
func After(ctx context.Context) Remains {
	return remains(programsAfter(ctx), agentsAfter(ctx), cgroupsAfter())
}

// programsAfter is of the programs in the kernel, attached or not. Their maps
// and links are gone when they are.
func programsAfter(ctx context.Context) Probe {
	p := Probe{Name: "programs", State: OK, Text: "none is loaded, so none is attached"}
	loaded, err := bpf.Programs()
	var held []string
	for until := time.Now().Add(freeTime); err == nil && len(loaded) > 0; loaded, err = bpf.Programs() {
		if held, err = holders(); err != nil || len(held) > 0 || time.Now().After(until) || ctx.Err() != nil {
			break
		}
		time.Sleep(freeTime / 20)
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		p.State, p.Text, p.Fix = Unknown, "cap_sys_admin is missing, which listing them takes", "sudo fault check --after"
	case err != nil:
		p.State, p.Text = Unknown, err.Error()
	case len(loaded) == 0:
	default:
		p.State, p.Text = Found, strings.Join(loaded, ", ")
		if len(held) > 0 {
			p.Text += ", held by " + strings.Join(held, ", ")
		} else if procfs.InInitialPIDNamespace() {
			p.Text += ", held by no process"
			p.Fix = "`bpftool link list` shows where they are attached, `bpftool link detach id ID` detaches one"
		}
	}
	return p
}

// holders are the processes that have programs attached.
func holders() ([]string, error) {
	attached, err := bpf.Attachments()
	if err != nil {
		return nil, err
	}
	seen := make(map[int]bool)
	var all []string
	for _, a := range attached {
		if p, held := procfs.HolderOfLink(a.Link); held && !seen[p.PID] {
			seen[p.PID] = true
			all = append(all, p.String())
		}
	}
	return all, nil
}

func agentsAfter(ctx context.Context) Probe {
	p := Probe{Name: "agents", State: OK, Text: "none runs in this network namespace"}
	agents, err := control.Agents(ctx)
	switch {
	case err != nil:
		p.State, p.Text = Unknown, err.Error()
	case len(agents) > 0:
		p.State, p.Text = Found, names(agents, control.Peer.String)
		p.Fix = fmt.Sprintf("sudo fault stop %d", agents[0].ID())
	}
	return p
}

// cgroupsAfter is of the cgroups that fault makes, wherever they may be.
func cgroupsAfter() Probe {
	p := Probe{Name: "cgroups", State: OK, Text: "none that fault makes"}
	top, _, err := bpf.TopCgroup()
	if err != nil || top == "/" { // and nobody could make one
		return p
	}
	var found []string
	err = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // gone meanwhile
			return nil
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), bpf.CgroupPrefix) || strings.HasPrefix(d.Name(), bpf.RunCgroupPrefix)):
			found = append(found, path)
		}
		return nil
	})
	switch {
	case err != nil:
		p.State, p.Text = Unknown, err.Error()
	case len(found) > 0:
		p.State, p.Text = Found, strings.Join(found, ", ")
		p.Fix = "sudo rmdir " + found[0]
	}
	return p
}
