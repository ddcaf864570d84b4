package agent

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"go.uber.org/zap"

	"github.com/faultproxy/fault/agent/control"
	"github.com/faultproxy/fault/agent/procfs"
	"github.com/faultproxy/fault/agent/sockdiag"
	"github.com/faultproxy/fault/bpf"
	"github.com/faultproxy/fault/proxy/upstream"
)

// canReset says why --reset-existing cannot be done.
func canReset() error {
	if _, err := sockdiag.Connections(); err != nil {
		return err
	}
	return sockdiag.CanReset()
}

// placed is a connection and where it is.
type placed struct {
	sockdiag.Connection
	place *place
}

// meetExisting finds the connections that would be diverted if they were made
// now, and resets them if it is told to. New ones are diverted already, so that
// none is missed, and none that was reset can come back past us. Nil is that the
// kernel cannot tell.
func meetExisting(ctx context.Context, cfg *Config, i *interception) (*existing, error) {
	who, err := i.caller()
	if err != nil {
		return nil, err
	}
	diverts := bpf.Diverts(rules(*i.meant.Load()))
	var all []placed
	var inodes []uint64
	for _, p := range i.places {
		var open []sockdiag.Connection
		err := p.do(func() (err error) { open, err = sockdiag.Connections(); return err })
		if err != nil {
			i.log.Warn("look for connections that are open", zap.Error(err))
			return nil, nil
		}
		for _, c := range open {
			native6 := c.IPv6 && c.Remote.Addr().Is6()
			if c.Direction == sockdiag.Incoming || c.Remote == i.at || !diverts(c.Remote) ||
				c.Device > loopbackDevice || native6 && i.programs.IPv6() != nil || who.all && who.cgroups != nil && !who.cgroups[c.Cgroup] {
				continue
			}
			all, inodes = append(all, placed{c, p}), append(inodes, c.Inode)
		}
	}
	e := &existing{left: make(map[existingGroup]int)}
	if len(all) == 0 {
		return e, nil
	}
	holders, agents := procfs.HoldersOf(inodes), i.agentProcesses(ctx)
	for _, c := range all {
		of := holders[c.Inode]
		isMeant := func(p procfs.Process) bool { return who.all || who.processes[p.PID] }
		switch {
		case slices.ContainsFunc(of, func(p procfs.Process) bool { return agents[p.PID] }):
			continue
		case !who.all && !slices.ContainsFunc(of, isMeant) && !(len(of) == 0 && who.cgroups[c.Cgroup]):
			continue
		}
		if cfg.ResetExisting {
			// In doubt it stays: nobody is to lose what was not asked for.
			others := slices.ContainsFunc(of, func(p procfs.Process) bool { return !isMeant(p) })
			if c.Direction == sockdiag.Outgoing && len(of) > 0 && !others && !isShared(cfg.Upstreams, i.hosts, c.Remote) {
				if err := c.place.do(c.Reset); err != nil {
					return nil, &SettingError{Flag: "reset-existing", Err: err}
				}
				e.reset++
				continue
			}
			e.unsure++
		}
		g := existingGroup{upstream: c.Remote.String()}
		if len(of) > 0 {
			g.holder = of[0]
		}
		e.left[g]++
	}
	return e, nil
}

// loopbackDevice is the interface that a socket may be bound to and still reach
// us.
const loopbackDevice = 1

// isShared says whether an address that is meant is known to have names, too,
// that are not.
func isShared(set upstream.Set, hosts map[string][]netip.Addr, to netip.AddrPort) bool {
	byAddress := bpf.Diverts(rules(set))(to)
	for name, addrs := range hosts {
		if byAddress && !named(set, name) || !slices.Contains(addrs, to.Addr()) {
			continue
		}
		if !set.Match(name, to.Port(), func() []netip.Addr { return addrs }) {
			return true
		}
	}
	return false
}

// agentProcesses are the agents of the places, with this one: what they dial is
// not diverted.
func (i *interception) agentProcesses(ctx context.Context) map[int]bool {
	agents := map[int]bool{os.Getpid(): true}
	for _, place := range i.places {
		_ = place.do(func() error {
			peers, err := control.Agents(ctx)
			for _, p := range peers {
				agents[p.ID()] = true
			}
			return err
		})
	}
	return agents
}

// meantCallers are those of whom connections are intercepted.
type meantCallers struct {
	// all says that they are not selected; then cgroups are those in which sockets
	// are looked at, nil if that is all.
	all bool
	// processes are those that are selected, as far as they are known, and cgroups
	// those of selectors: a socket of which nobody is known to have it is taken
	// for one of a process of the cgroup in which it was made.
	processes map[int]bool
	cgroups   map[uint64]bool
}

func (i *interception) caller() (who meantCallers, err error) {
	if i.finder != nil {
		if _, who.processes, err = i.finder.Selected(); err != nil {
			return who, err
		}
		who.cgroups = i.finder.CgroupIDs()
		return who, nil
	}
	who.all = true
	if _, whole, err := bpf.TopCgroup(); err != nil || whole {
		return who, err
	}
	who.cgroups = make(map[uint64]bool)
	err = filepath.WalkDir(i.programs.Cgroup(), func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // a cgroup that has ended
			return nil
		}
		if err != nil || !d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			who.cgroups[info.Sys().(*syscall.Stat_t).Ino] = true
		}
		return nil
	})
	return who, err
}
