package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/faultproxy/fault/agent/callers"
	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/bpf"
	"github.com/faultproxy/fault/proxy"
)

// OwnNetns is what the agent's own network namespace is called in
// [Config.Netns].
const OwnNetns = "self"

// place is a network namespace in which connections are intercepted.
type place struct {
	namespace
	// inode is its number.
	inode uint64
	// inside is how to get there; nil for our own.
	inside inside
	// proxy is what the proxy knows it by; nil for our own.
	proxy    *proxy.Place
	listener *net.TCPListener
	raw      *bpf.Raw // nil if SYNs are not held
	left     bool     // guarded by interception.mu
}

// namespace is what one is asked for by: a value of --netns, or a container
// that is meant, with the path at which its namespace is.
type namespace struct{ flag, value, path string }

// called is what the user calls it.
func (a namespace) called() string {
	if a.flag == netnsFlag {
		return a.value
	}
	return a.flag + " " + a.value
}

const netnsFlag = "netns"

// inside is a thread in another network namespace.
type inside interface {
	// Do runs a function there, one at a time.
	Do(func() error) error
	Socket(family, kind, protocol int) (fd int, err error)
	// Abandoned says that nobody else needs the namespace any more.
	Abandoned() bool
	Close() error
}

// do runs a function in the place.
func (p *place) do(f func() error) error {
	if p.inside == nil {
		return f()
	}
	return p.inside.Do(f)
}

// listen opens a listener in a namespace that is not our own.
func (i *interception) listen(ctx context.Context, p *place, at netip.AddrPort) error {
	err := p.inside.Do(func() (err error) {
		if lo, err := net.InterfaceByName("lo"); err == nil && lo.Flags&net.FlagUp == 0 { // to listen would do no good
			return &SettingError{
				Flag: p.flag, Value: p.value, Err: errors.New("its loopback device is down, and connections could not get to us"),
				Hint: "`ip link set lo up` in there, as in `ip -n NAME link set lo up`",
			}
		}
		p.listener, err = listenTCP(ctx, "tcp4", at.String(), "")
		return err
	})
	var failed *ListenError
	if errors.As(err, &failed) {
		failed.Netns = p.called()
	}
	p.proxy = &proxy.Place{
		Listener: p.listener, Socket: p.inside.Socket,
		Origin: func(c net.Conn) (proxy.Intercepted, bool, error) { return i.origin(p, c) },
	}
	return err
}

// openRaw opens what SYNs are answered by.
func (p *place) openRaw() error {
	return p.do(func() (err error) {
		p.raw, err = bpf.OpenRaw()
		return err
	})
}

// close closes all that is open in the place, but for the listener of our own,
// which is not ours to close. It may be called again.
func (p *place) close() {
	if p.raw != nil {
		p.raw.Close()
		p.raw = nil
	}
	if p.inside == nil {
		return
	}
	if p.listener != nil {
		p.listener.Close()
	}
	_ = p.inside.Close()
}

// own is our own namespace, if it is intercepted; else nil.
func (i *interception) own() *place {
	for _, p := range i.places {
		if p.inside == nil {
			return p
		}
	}
	return nil
}

// others are those that are not our own, and have not been left.
func (i *interception) others() []*place {
	return slices.DeleteFunc(i.staying(), func(p *place) bool { return p.inside == nil })
}

// enter gets into the network namespaces that are meant.
func (i *interception) enter(ctx context.Context, cfg *Config) error {
	if !i.wanted {
		return nil
	}
	var all []namespace
	for _, value := range cfg.Netns {
		all = append(all, namespace{flag: netnsFlag, value: value})
	}
	if len(all) == 0 {
		all = append(all, namespace{flag: netnsFlag, value: OwnNetns})
	}
	containers, err := containerNetns(ctx, cfg.Callers)
	if err != nil {
		return i.refused(cfg, err)
	}
	i.places, i.unseen, err = openPlaces(append(all, containers...))
	return err
}

// containerNetns are the namespaces of the containers that run now.
func containerNetns(ctx context.Context, set callers.Set) (all []namespace, err error) {
	set = set.Containers()
	if len(set) == 0 {
		return nil, nil
	}
	f, err := callers.NewFinder(set)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Find(ctx, false); err != nil {
		return nil, err
	}
	for _, s := range set {
		if path, ok := f.Netns(s); ok {
			all = append(all, namespace{string(s.Kind), s.Value, path})
		}
	}
	return all, nil
}

// answer opens what SYNs are answered by in all places; without, connections are
// accepted before the upstream is dialled.
func (i *interception) answer() {
	for _, p := range i.places {
		if i.accepts = p.openRaw(); i.accepts != nil {
			return
		}
	}
}

// diverted is the address at which callers are to reach us, which has to be the
// same in all places, and can be another than the proxy's in others only.
func (i *interception) diverted(cfg *Config) (netip.Addr, error) {
	at := reachable(cfg.Proxy).Addr()
	switch {
	case len(i.others()) == 0, at.IsLoopback():
		return at, nil
	case i.own() == nil:
		return netip.AddrFrom4([4]byte{127, 0, 0, 1}), nil
	}
	return netip.Addr{}, &SettingError{
		Flag: "proxy-address", Value: cfg.Proxy.String(), Err: errors.New("is not an address of the other network namespaces, of --netns and --container"),
		Hint: fmt.Sprintf("`--proxy-address 127.0.0.1:%d` is one of all, and with 0.0.0.0 they have that, too", cfg.Proxy.Port()), Usage: true,
	}
}

// here is the place with an inode, if it has not been left.
func (i *interception) here(inode uint64) *place {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, p := range i.places {
		if p.inode == inode && !p.left {
			return p
		}
	}
	return nil
}

// staying are the places that have not been left.
func (i *interception) staying() []*place {
	i.mu.Lock()
	defer i.mu.Unlock()
	var all []*place
	for _, p := range i.places {
		if !p.left {
			all = append(all, p)
		}
	}
	return all
}

// leaveAbandoned ends the part of the run that is in namespaces that nobody else
// needs any more, which we would keep from ending, and returns what they are
// called.
func (i *interception) leaveAbandoned() []string {
	var names []string
	for _, p := range i.others() {
		if !p.inside.Abandoned() {
			continue
		}
		i.mu.Lock()
		p.left = true
		i.mu.Unlock()
		if i.holder != nil {
			if err := i.holder.Leave(p.inode); err != nil {
				i.log.Error("let go of held connections", zap.Error(err))
			}
		}
		p.close()
		names = append(names, p.called())
	}
	return names
}

// leave closes what is open in the places, of which there are none then.
func (i *interception) leave() {
	for _, p := range i.staying() {
		p.close()
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.places = nil
}

// namespaces are the places for programs.
func (i *interception) namespaces() []event.Namespace {
	var all []event.Namespace
	for _, p := range i.staying() {
		all = append(all, event.Namespace{Name: p.called(), Netns: p.inode})
	}
	return all
}

// where says in which network namespaces connections are intercepted.
func (s *scene) where() string {
	var named []string
	own := len(s.places) == 0
	for _, p := range s.places {
		if p.Name == OwnNetns {
			own = true
		} else {
			named = append(named, lines.Shown(p.Name, 64))
		}
	}
	others := "the network namespace " + strings.Join(named, ", ")
	if len(named) > 1 {
		last := len(named) - 1
		others = "the network namespaces " + strings.Join(named[:last], ", ") + " and " + named[last]
	}
	switch {
	case len(named) == 0:
		return "this network namespace"
	case own:
		return "this network namespace, and " + others
	}
	return others
}
