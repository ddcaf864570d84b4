package agent

import (
	"context"
	"errors"
	"io/fs"
	"slices"

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
	if wrong := netnsError(namespace{flag: netnsFlag, value: called}, err); wrong.Usage {
		return wrong
	}
	return nil
}

// openPlaces gets into network namespaces: all, or none. Those of containers that
// this user may not look at are unseen: they may be our own, or not.
func openPlaces(all []namespace) (places []*place, unseen []namespace, err error) {
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
		return nil, nil, err
	}
	defer own.Close()
	known := make(map[uint64]bool)
	for _, a := range all {
		p, err := openPlace(a, own)
		switch {
		case a.path != "" && errors.Is(err, fs.ErrNotExist): // has ended just now
		case a.path != "" && errors.Is(err, unix.EACCES):
			unseen = append(unseen, a)
		case err != nil:
			return places, nil, netnsError(a, err)
		case known[p.inode]: // has two names
			p.close()
		default:
			known[p.inode] = true
			places = append(places, p)
		}
	}
	return places, unseen, nil
}

func openPlace(a namespace, own *netns.NS) (_ *place, err error) {
	ours := &place{namespace: namespace{flag: netnsFlag, value: OwnNetns}, inode: own.Inode()}
	if a == ours.namespace {
		return ours, nil
	}
	if a.path == "" {
		if a.path, err = netns.Find(a.value); err != nil {
			return nil, err
		}
	}
	ns, err := netns.Open(a.path)
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
	return &place{namespace: a, inode: ns.Inode(), inside: &otherNetns{thread, ns, a.path}}, nil
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
func netnsError(a namespace, err error) *SettingError {
	e := &SettingError{Flag: a.flag, Value: a.value, Err: err}
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

// join intercepts in one more network namespace from now on, in the way of those of
// the start. It has serve accept there. Nothing is done, without an error, if the
// namespace has ended just now.
func (i *interception) join(ctx context.Context, a namespace, serve func(*place)) (done bool, err error) {
	found, unseen, err := openPlaces([]namespace{a})
	switch {
	case err != nil:
		return false, err
	case len(unseen) > 0:
		return false, netnsError(a, unix.EACCES)
	case len(found) == 0:
		return false, nil
	}
	p := found[0]
	defer func() {
		if !done {
			p.close()
		}
	}()
	if p.inside == nil {
		return false, errors.New("it is that of the agent, which was not asked for")
	}
	if err := i.listen(ctx, p, i.at); err != nil {
		return false, err
	}
	if i.holder != nil {
		if err := p.openRaw(); err != nil {
			return false, err
		}
		if err := i.holder.Hold(p.listener, p.inode, p.raw); err != nil {
			return false, err
		}
	}
	serve(p)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.places = append(slices.DeleteFunc(i.places, func(p *place) bool { return p.left }), p)
	return true, i.divertAt(p)
}

// elsewhere says whether what is at a path is a network namespace in which
// nothing is intercepted. It may be that this user cannot know.
func (i *interception) elsewhere(path string) (inode uint64, is bool) {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return 0, false
	}
	return st.Ino, i.here(st.Ino) == nil
}
