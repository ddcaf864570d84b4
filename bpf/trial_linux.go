package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// Trial is what came of trying.
type Trial struct {
	// Programs is how many were loaded.
	Programs int
	// Unattached is why they were not attached: there was no empty cgroup to
	// attach them to. It is nil if they were, and detached again.
	Unattached error
	// IPv6 is as [Interception.IPv6].
	IPv6 error
	// Holds is why SYNs cannot be held: the error of [OpenRaw].
	Holds error
	// Follows is as [Interception.Follows].
	Follows error
	// Processes is why they cannot be told by name and file; nil if they can.
	Processes error
	// Left is what could not be undone; nil if nothing is left.
	Left error
	// Took is how long it took.
	Took time.Duration
}

// Try loads the programs, attaches them to an empty cgroup that it makes, and
// undoes all of it: no process is affected. The error is that of [Attach].
func Try() (t Trial, err error) {
	defer pauseCollector()()
	if err := prepare(); err != nil {
		return Trial{}, err
	}
	began := time.Now()
	cfg := Config{
		Proxy: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 1),
		// Nobody, but such as have to be followed.
		Targets: Targets{PIDs: []uint32{}, CgroupNames: []string{CgroupPrefix}},
	}
	dir, remove, err := emptyCgroup()
	t.Unattached = err
	attach := load
	if err == nil {
		defer func() { t.Left = errors.Join(t.Left, dir.Close(), remove()) }()
		cfg.Cgroup = fmt.Sprintf("/proc/self/fd/%d", dir.Fd())
		attach = Attach
	}
	i, err := attach(cfg)
	if err != nil {
		return t, err
	}
	t.Programs, t.IPv6, t.Follows = i.programs(), i.ipv6, i.follows
	t.Processes = canReadProcesses()
	t.Left = i.Close()
	var raw *Raw
	if raw, t.Holds = OpenRaw(); raw != nil {
		t.Left = errors.Join(t.Left, raw.Close())
	}
	t.Took = time.Since(began)
	return t, nil
}

// programs is how many are loaded.
func (i *Interception) programs() int {
	n := 0
	for _, p := range []*ebpf.Program{
		i.objs.FaultSockops, i.objs.FaultPeername4, i.objs.FaultPeername6, i.objs.FaultConnect4, i.objs.FaultConnect6, i.objs.FaultSendmsg4, i.objs.FaultSendmsg6, i.objs.FaultHold,
	} {
		if p != nil {
			n++
		}
	}
	return n
}

// Attachment is a program of ours on a cgroup, whoever attached it.
type Attachment struct {
	// Link is the id of the link that holds it there.
	Link uint32
	// Program is its name, as `bpftool prog` shows it.
	Program string
	// Cgroup is the id of the cgroup: the inode of its folder.
	Cgroup uint64
}

// Attachments finds the programs of this package and of other agents wherever
// they are attached, in any cgroup. It needs CAP_SYS_ADMIN.
func Attachments() ([]Attachment, error) {
	defer pauseCollector()()
	ours, err := programNames()
	if err != nil {
		return nil, err
	}
	var found []Attachment
	err = eachLink(func(l link.Link) {
		info, err := l.Info()
		if err != nil || info.Type != link.CgroupType {
			return
		}
		name, err := programOf(info.Program)
		cgroup := info.Cgroup()
		// A link whose cgroup has gone holds nothing any more.
		if err == nil && ours[name] && cgroup != nil && cgroup.CgroupId != 0 {
			found = append(found, Attachment{uint32(info.ID), name, cgroup.CgroupId})
		}
	})
	return found, err
}

// eachLink calls do for every link that the kernel has; do must not keep it.
// One that somebody is attaching at this moment has an id already and answers
// EAGAIN: it is waited for, for up to a second.
func eachLink(do func(link.Link)) error {
	var last link.ID
	for deadline := time.Now().Add(time.Second); ; time.Sleep(time.Millisecond) {
		links := link.Iterator{ID: last}
		for links.Next() {
			do(links.Link)
		}
		links.Close()
		if err := links.Err(); !errors.Is(err, unix.EAGAIN) || time.Now().After(deadline) {
			return err
		}
		last = links.ID
	}
}

// Programs gives the names of the programs of this package and of other agents
// that the kernel has, attached or not. It needs CAP_SYS_ADMIN.
func Programs() ([]string, error) {
	defer pauseCollector()()
	ours, err := programNames()
	if err != nil {
		return nil, err
	}
	var found []string
	for id := ebpf.ProgramID(0); ; {
		id, err = ebpf.ProgramGetNextID(id)
		if errors.Is(err, os.ErrNotExist) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
		if name, err := programOf(id); err == nil && ours[name] && !slices.Contains(found, name) {
			found = append(found, name)
		}
	}
}

// programNames are our programs' names, as the kernel keeps them.
func programNames() (map[string]bool, error) {
	ours := make(map[string]bool)
	for _, load := range []func() (*ebpf.CollectionSpec, error){loadIntercept, loadFollow} {
		spec, err := load()
		if err != nil {
			return nil, err
		}
		for name := range spec.Programs {
			ours[name[:min(len(name), 15)]] = true
		}
	}
	return ours, nil
}

func programOf(id ebpf.ProgramID) (string, error) {
	p, err := ebpf.NewProgramFromID(id)
	if err != nil {
		return "", err
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return "", err
	}
	return info.Name, nil
}
