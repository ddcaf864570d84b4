package bpf

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
)

// forkPrograms and cgroupPrograms are the programs of follow.c by what they are
// for, as whoever needs the ones need not load the others.
type forkPrograms struct {
	Fork *ebpf.Program `ebpf:"fault_fork"`
	Exit *ebpf.Program `ebpf:"fault_exit"`
}

type cgroupPrograms struct {
	Mkdir *ebpf.Program `ebpf:"fault_mkdir"`
	Rmdir *ebpf.Program `ebpf:"fault_rmdir"`
	Names *ebpf.Map     `ebpf:"target_cgroup_names"`
}

// Follows is nil if the children of [Targets.PIDs] belong to them from their
// first connect, and cgroups of [Targets.CgroupNames] from when they are made,
// or if there are no such selectors. Else it is why not, and [Interception.SetTargets]
// has to tell of them.
func (i *Interception) Follows() error { return i.follows }

// follow has the kernel add to the selectors what belongs to them later.
func (i *Interception) follow(t Targets) {
	if t.PIDs != nil {
		i.follows = i.followForks()
	}
	if t.CgroupNames != nil {
		i.follows = errors.Join(i.follows, i.followCgroups(t.CgroupNames))
	}
}

func (i *Interception) followForks() error {
	var p forkPrograms
	defer func() { closeAll(p.Fork, p.Exit) }()
	if err := i.loadFollower(&p, followMapTargetPids, i.objs.TargetPids); err != nil {
		return err
	}
	return i.trace(p.Exit, p.Fork)
}

func (i *Interception) followCgroups(names []string) error {
	var p cgroupPrograms
	defer func() {
		closeAll(p.Mkdir, p.Rmdir)
		p.Names.Close()
	}()
	if err := i.loadFollower(&p, followMapTargetCgroups, i.objs.TargetCgroups); err != nil {
		return err
	}
	for _, name := range names {
		if err := p.Names.Put(cgroupName(name), uint8(1)); err != nil {
			return fmt.Errorf("put the name of a cgroup: %w", err)
		}
	}
	return i.trace(p.Rmdir, p.Mkdir)
}

// loadFollower loads programs that share a map with those that divert.
func (i *Interception) loadFollower(programs any, name string, shared *ebpf.Map) error {
	if err := canReadKernel(); err != nil {
		return err
	}
	spec, err := loadFollow()
	if err != nil {
		return err
	}
	spec.Maps[name].MaxEntries = shared.MaxEntries()
	err = spec.LoadAndAssign(programs, &ebpf.CollectionOptions{MapReplacements: map[string]*ebpf.Map{name: shared}})
	if err != nil {
		return refused("load programs that follow", err)
	}
	return nil
}

// trace attaches programs to what they trace, until interception stops.
func (i *Interception) trace(programs ...*ebpf.Program) error {
	var links []link.Link
	for _, p := range programs {
		l, err := link.AttachTracing(link.TracingOptions{Program: p, AttachType: ebpf.AttachTraceRawTp})
		if err != nil {
			return errors.Join(fmt.Errorf("attach %v: %w", p, err), detach(links))
		}
		links = append(links, l)
	}
	i.diverts = append(i.diverts, links...)
	return nil
}

func closeAll(programs ...*ebpf.Program) {
	for _, p := range programs {
		p.Close()
	}
}
