package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/faultproxy/fault/agent/callers"
	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/agent/words"
	"github.com/faultproxy/fault/bpf"
	"github.com/faultproxy/fault/proxy"
	"github.com/faultproxy/fault/proxy/upstream"
)

// interception is the kernel's part of a run, in network namespaces that each
// have a listener. Without programs the run is an explicit proxy.
type interception struct {
	wanted   bool
	explicit string // if it was wanted and cannot be had: why
	hint     string
	meant    atomic.Pointer[upstream.Set] // the patterns, with addresses in the place of names
	hosts    map[string][]netip.Addr      // what names had at the start
	existing *existing                    // connections of before; nil if nobody knows
	unseen   []namespace                  // what may be in other network namespaces than ours
	finder   *callers.Finder              // nil if all are meant
	callers  []callers.Match              // what was found of them

	attacher *bpf.Attacher // has the capabilities in our place; nil for none
	hidden   error         // why they are kept, so that others cannot look into us

	programs *bpf.Interception
	holder   *bpf.Holder    // nil if connections are accepted before the upstream is dialled
	accepts  error          // why they are, nil if they are not
	at       netip.AddrPort // where they are diverted to, in each of the places
	log      *zap.Logger

	mu        sync.Mutex
	places    []*place
	diverting bool // connections are let come
}

// prepare finds out what can be known before anything is opened.
func prepare(ctx context.Context, cfg *Config, start *steps) (*interception, error) {
	i := &interception{
		wanted: cfg.wants(), log: cfg.Log,
	}
	if !i.wanted {
		return i, nil
	}
	// Privilege first: the explicit proxy need not know addresses of names.
	if err := i.refused(cfg, bpf.Check()); err != nil || !i.wanted {
		return i, err
	}
	if !cfg.ResetExisting { // which takes one after that
		i.delegate()
	}
	if i.attacher != nil { // asking may take long, in which others are to see us
		return i, nil
	}
	return i, i.resolve(ctx, cfg, start)
}

// resolve finds the addresses of names.
func (i *interception) resolve(ctx context.Context, cfg *Config, start *steps) error {
	if n := names(cfg.Upstreams); n > 0 {
		start.begin(fmt.Sprintf("resolving %s", words.Counted(n, "name")))
	}
	meant, hosts, err := resolved(ctx, i.resolver(), cfg.Upstreams)
	if err == nil {
		i.meant.Store(&meant)
		i.hosts = hosts
	}
	return i.refused(cfg, err)
}

// attach attaches the programs, if they are wanted and can be had.
func (i *interception) attach(ctx context.Context, cfg *Config, start *steps) error {
	if !i.wanted {
		return nil
	}
	if i.meant.Load() == nil {
		if err := i.resolve(ctx, cfg, start); err != nil || !i.wanted {
			return err
		}
	}
	if cfg.ResetExisting {
		if err := canReset(); err != nil {
			return &SettingError{Flag: "reset-existing", Err: err, Hint: "without it the connections that are open stay as they are"}
		}
	}
	targets, attach, err := i.find(ctx, cfg)
	if err != nil {
		return i.refused(cfg, err)
	}
	start.begin("loading programs")
	i.programs, err = i.load(ctx, bpf.Config{
		Cgroup: attach, Targets: targets,
		Proxy: i.at, Rules: rules(cfg.Upstreams), Names: nameRules(cfg.Upstreams, inFile(resolverPath, searchDomains)),
		BlockQUIC: cfg.BlockQUIC,
	})
	if err != nil {
		return i.refused(cfg, err)
	}
	if err := i.findAll(ctx); err != nil {
		i.close()
		return i.refused(cfg, err)
	}
	return i.tell(i.hosts)
}

// refused decides what it means that something was: the end of the run, or
// that it is an explicit proxy.
func (i *interception) refused(cfg *Config, err error) error {
	if err == nil {
		return nil
	}
	if log := bpf.VerifierLog(err); log != "" {
		cfg.Log.Debug("the kernel refused a program", zap.String("verifier", log))
	}
	var setting *SettingError
	var selector *callers.SelectorError
	var cgroup *bpf.CgroupError
	var missing *bpf.MissingError
	var program *bpf.ProgramError
	if errors.As(err, &missing) && missing.Cause != nil {
		cfg.Log.Debug("the kernel refused", zap.Error(missing.Cause))
	}
	switch {
	case errors.As(err, &setting):
		return err
	case errors.As(err, &selector):
		return &SettingError{Flag: string(selector.Selector.Kind), Value: selector.Selector.Value, Err: selector.Err, Usage: true}
	case errors.As(err, &cgroup):
		return &SettingError{Flag: "cgroup", Value: cgroup.Path, Err: cgroup.Err, Usage: true,
			Hint: "a cgroup is a folder such as /sys/fs/cgroup/system.slice; `systemd-cgls` shows them"}
	case missing == nil && errors.As(err, &program):
		return &InterceptError{err, "this is a bug in fault or the kernel: please report `fault check --json` and the log of `fault --log-level debug run …`"}
	case missing == nil:
		return &InterceptError{err, ""}
	case cfg.Transparent == On, cfg.NoProxy && len(cfg.Mappings) == 0: // nothing would be left
		return &InterceptError{err, missing.Hint}
	}
	i.wanted, i.explicit, i.hint = false, lines.Shown(err.Error(), shownError), missing.Hint
	return nil
}

// InterceptError is why connections cannot be intercepted.
type InterceptError struct {
	Err error
	// Hint says what to do; it may be empty.
	Hint string
}

// shownError bounds in characters what is shown of the kernel's words.
const shownError = 400

// Error names the cause, in which the kernel and its verifier may speak.
func (e *InterceptError) Error() string {
	return "cannot intercept: " + lines.Shown(e.Err.Error(), shownError)
}

// Unwrap gives the cause.
func (e *InterceptError) Unwrap() error { return e.Err }

// resolver asks with sockets that are not diverted, in this process.
func (i *interception) resolver() *net.Resolver {
	r := &net.Resolver{PreferGo: true}
	if i.programs != nil {
		d := net.Dialer{Control: i.programs.Exempt}
		r.Dial = d.DialContext
	}
	return r
}

// matcher says which destinations faults are for, for clients that ask the
// proxy. Of an address that they ask for it is enough that a name has had it
// since the start.
func (i *interception) matcher(set upstream.Set) matcher {
	if i.programs == nil {
		return set.Match
	}
	return func(host string, port uint16, addrs func() []netip.Addr) bool {
		if isAddress(host) {
			return i.meant.Load().Match(host, port, nil)
		}
		return set.Match(host, port, addrs)
	}
}

// matcher is what the proxy asks of a destination. addrs gives the addresses of
// a name.
type matcher func(host string, port uint16, addrs func() []netip.Addr) bool

// meet looks at the connections that are open, of which none comes.
func (i *interception) meet(ctx context.Context, cfg *Config) (err error) {
	if i.programs == nil {
		return nil
	}
	i.existing, err = meetExisting(ctx, cfg, i)
	if cfg.ResetExisting && err == nil {
		i.dropLater()
	}
	return err
}

// begin lets connections come.
func (i *interception) begin() error {
	if i.programs == nil {
		return nil
	}
	return i.divert(true)
}

// pause lets no more come for now.
func (i *interception) pause() error {
	if i.programs == nil {
		return nil
	}
	i.log.Warn("as many flows as descriptors allow: new connections go direct")
	return i.divert(false)
}

// divert lets connections come, or no more for now, in all places.
func (i *interception) divert(on bool) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.diverting = on
	for _, p := range i.places {
		if p.left {
			continue
		}
		if err := i.divertAt(p); err != nil {
			return err
		}
	}
	return nil
}

// divertAt does so in one place. The caller has locked mu.
func (i *interception) divertAt(p *place) error {
	if i.diverting {
		return i.programs.Serve(p.listener, p.inode)
	}
	return i.programs.Pause(p.listener)
}

// stop lets no more come; those that came are still known.
func (i *interception) stop() error {
	if i.programs == nil {
		return nil
	}
	return i.programs.Stop()
}

func (i *interception) close() {
	if i.finder != nil {
		i.finder.Close()
	}
	if i.programs == nil {
		return
	}
	if i.holder != nil {
		if err := i.holder.Close(); err != nil {
			i.log.Error("let go of held connections", zap.Error(err))
		}
	}
	if err := i.programs.Close(); err != nil {
		i.log.Error("close the interception", zap.Error(err))
	}
}

// origin is what the proxy asks of a connection that was accepted in a place.
func (i *interception) origin(p *place, c net.Conn) (proxy.Intercepted, bool, error) {
	o, ok, err := i.programs.Origin(p.inode, addrPort(c.RemoteAddr()), addrPort(c.LocalAddr()))
	if err != nil || !ok {
		return proxy.Intercepted{}, false, err
	}
	return p.intercepted(o), true, nil
}

func (p *place) intercepted(o bpf.Origin) proxy.Intercepted {
	by := proxy.ByAddress
	if o.ByName {
		by = proxy.ByDNS
	}
	return proxy.Intercepted{
		MatchedBy:   by,
		Shared:      o.Shared,
		Destination: o.Destination,
		Socket:      proxy.Socket{Place: p.proxy, Source: o.Source, Mark: o.Mark, TOS: o.TOS},
		Process: proxy.Process{
			PID: o.PID, UID: o.UID, Name: processName(o.PID, o.TID, o.Thread),
			Cgroup: o.Cgroup, Netns: o.Netns,
		},
	}
}

// arrivalTime is how long a connection that its caller has closed may take to
// be accepted, before it is forgotten.
const arrivalTime = 10 * time.Second

// sweep forgets connections that never arrived.
func (i *interception) sweep() {
	if i.programs == nil {
		return
	}
	if _, err := i.programs.Sweep(arrivalTime); err != nil {
		i.log.Warn("sweep the origins", zap.Error(err))
	}
}

// counts says what became of connect(2) calls; nil where nobody counts.
func (i *interception) counts() map[bpf.Verdict]uint64 {
	if i.programs == nil {
		return nil
	}
	counts, err := i.programs.Counts()
	if err != nil {
		i.log.Error("read the counters", zap.Error(err))
	}
	return counts
}

func addrPort(a net.Addr) netip.AddrPort {
	ap := a.(interface{ AddrPort() netip.AddrPort }).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
