package agent

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/netns"
)

// NamedNetns are the network namespaces that have names, by which
// [Config.Netns] can have them.
func NamedNetns() []string {
	names, _ := netns.Names()
	return names
}

// CheckNetns returns a [SettingError] if there is nothing that can be meant by one
// of [Config.Netns]. It changes nothing, and takes no privilege.
func CheckNetns(called string) error {
	if called == OwnNetns {
		return nil
	}
	path, err := netns.Find(called)
	if err == nil {
		var ns *netns.NS
		if ns, err = netns.Open(path); err == nil {
			return ns.Close()
		}
	}
	if wrong := netnsError(called, err); wrong.Usage {
		return wrong
	}
	return nil
}

// openPlaces gets into network namespaces: all, or none. Without any it is our
// own.
func openPlaces(asked []string) (places []*place, err error) {
	defer func() {
		if err != nil {
			for _, p := range places {
				p.close()
			}
			places = nil
		}
	}()
	own, err := netns.Current()
	if err != nil {
		return nil, err
	}
	defer own.Close()
	if len(asked) == 0 {
		asked = []string{OwnNetns}
	}
	known := make(map[uint64]bool)
	for _, called := range asked {
		p, err := openPlace(called, own)
		switch {
		case err != nil:
			return places, netnsError(called, err)
		case known[p.inode]: // has two names
			p.close()
		default:
			known[p.inode] = true
			places = append(places, p)
		}
	}
	return places, nil
}

func openPlace(called string, own *netns.NS) (*place, error) {
	ours := &place{called: OwnNetns, inode: own.Inode()}
	if called == OwnNetns {
		return ours, nil
	}
	path, err := netns.Find(called)
	if err != nil {
		return nil, err
	}
	ns, err := netns.Open(path)
	if err != nil {
		return nil, err
	}
	if ns.Inode() == own.Inode() {
		ns.Close()
		return ours, nil
	}
	thread, err := ns.Thread()
	if err != nil {
		ns.Close()
		return nil, err
	}
	return &place{called: called, inode: ns.Inode(), inside: &otherNetns{thread, ns, path}}, nil
}

// otherNetns is a thread in a network namespace, and where that was found.
type otherNetns struct {
	*netns.Thread
	ns   *netns.NS
	path string
}

// Abandoned is so once what was asked for by a path, a name or a process is not
// there any more, and no process is in it: there is nothing to intercept.
func (o *otherNetns) Abandoned() bool { return !o.ns.IsAt(o.path) && !o.ns.Inhabited() }

// Close lets the namespace go.
func (o *otherNetns) Close() error { return errors.Join(o.Thread.Close(), o.ns.Close()) }

// netnsError says what is wrong with what a user calls a namespace.
func netnsError(called string, err error) *SettingError {
	e := &SettingError{Flag: "netns", Value: called, Err: err}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENXIO):
		e.Err = errors.New("there is no such network namespace")
		e.Hint, e.Usage = "`ip netns list` shows those with names; a process id and a path such as /proc/PID/ns/net will do, too", true
	case errors.Is(err, netns.ErrOther):
		e.Err, e.Usage = errors.New("is not a network namespace"), true
	case errors.Is(err, unix.EACCES):
		e.Err, e.Hint = errors.New("may not be looked at, which takes cap_sys_ptrace if it is a process's"), "use sudo"
	case errors.Is(err, unix.EPERM):
		e.Err = errors.New("to enter a network namespace takes cap_sys_admin, which is missing")
		e.Hint = "use sudo, or once `" + setcapNetns + "`"
	}
	return e
}

// setcapNetns is the command that gives a binary what it needs, with what enters
// network namespaces.
const setcapNetns = `sudo setcap cap_bpf,cap_net_admin,cap_net_raw,cap_perfmon,cap_sys_admin+ep "$(command -v fault)"`
