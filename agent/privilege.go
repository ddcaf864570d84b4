package agent

import (
	"context"
	"fmt"

	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/bpf"
)

// AttacherCommand is the command of fault by which a run starts a child that
// attaches its programs. It calls [ServeAttacher].
const AttacherCommand = "attach-for-run"

// ServeAttacher is that command.
func ServeAttacher() error { return bpf.ServeAttacher() }

// DropPrivilege gives up the capabilities of a process that is not root, so
// that programs of the same user can look into it. It must have opened what
// takes any.
func DropPrivilege() error {
	if !bpf.Privileged() {
		return nil
	}
	return bpf.DropCapabilities()
}

// delegate gives a child the part that takes capabilities, if this process has
// some to drop.
func (i *interception) delegate() {
	if !bpf.Privileged() {
		return
	}
	var err error
	if i.attacher, err = bpf.StartAttacher(AttacherCommand); err != nil {
		i.hidden = fmt.Errorf("start a process that attaches the programs: %w", err)
	}
}

// drop gives up the capabilities if they can be done without: what still takes
// any is the attacher's, if there is one.
func (i *interception) drop(cfg *Config) {
	if i.wanted && cfg.ResetExisting {
		return // is done by dropLater
	}
	if i.attacher != nil {
		i.hidden = bpf.NeededLater()
	}
	if i.hidden == nil {
		i.hidden = DropPrivilege()
	}
	if i.hidden != nil {
		i.endAttacher() // this process has to attach them
	}
}

// dropLater is drop where the capabilities were needed until now.
func (i *interception) dropLater() {
	if !bpf.Privileged() {
		return
	}
	if i.hidden = bpf.NeededLater(); i.hidden == nil {
		i.hidden = DropPrivilege()
	}
}

// load attaches the programs in the one way or the other.
func (i *interception) load(ctx context.Context, cfg bpf.Config) (*bpf.Interception, error) {
	if i.attacher == nil {
		return bpf.Attach(cfg)
	}
	defer i.endAttacher()
	return i.attacher.Attach(ctx, cfg)
}

func (i *interception) endAttacher() {
	if i.attacher != nil {
		i.attacher.Close()
		i.attacher = nil
	}
}

// hiddenText says that others cannot look into this process; empty if they can.
func hiddenText(why error) string {
	if why == nil {
		return ""
	}
	return lines.Shown(fmt.Sprintf("keeps its capabilities, so other programs of this user cannot look into it: %v", why), shownError)
}
