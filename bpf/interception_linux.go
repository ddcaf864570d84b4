package bpf

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// Interception is a set of attached programs. Its methods may be called from
// several goroutines at once.
type Interception struct {
	cgroup   string
	ipv6     error
	learns   error
	follows  error
	targets  targetTable
	names    nameTable
	mark     mark
	objs     objects
	diverts  []link.Link // connect and sendmsg, and what learns for them
	observes []link.Link // the rest, which diverted connections still need

	mu    sync.Mutex
	taken counter // entries this process removed from origins
}

// objects is all that is loaded, with the memory of the programs' variables.
type objects struct {
	interceptObjects
	Memory *ebpf.Map `ebpf:".bss"`
}

// Close frees them.
func (o *objects) Close() error { return errors.Join(o.interceptObjects.Close(), o.Memory.Close()) }

// Attach loads the programs and attaches all of them to the cgroup, or none.
// Nothing is diverted before [Interception.Serve].
//
// It requires Linux 5.8 and CAP_BPF and CAP_NET_ADMIN; to intercept native
// IPv6, and for names and files of [Config.Targets], also CAP_PERFMON and the
// kernel's BTF. What is missing is told by an error that is [ErrMissing]. Why the verifier refused a
// program, [VerifierLog] tells.
func Attach(cfg Config) (*Interception, error) {
	if !cfg.Proxy.Addr().Is4() || cfg.Proxy.Port() == 0 {
		return nil, fmt.Errorf("attach to %v: not an IPv4 address and port", cfg.Proxy)
	}
	defer pauseCollector()()
	if err := cfg.Targets.check(); err != nil {
		return nil, err
	}
	if err := prepare(); err != nil {
		return nil, err
	}
	if cfg.Targets.readsKernel() {
		if err := canReadProcesses(); err != nil {
			return nil, err
		}
	}
	cgroup, path, err := openCgroup(cfg.Cgroup)
	if err != nil {
		return nil, err
	}
	defer cgroup.Close()
	i, err := load(cfg)
	if err != nil {
		return nil, err
	}
	i.cgroup = path
	i.follow(cfg.Targets)
	if err := i.attach(cgroup); err != nil {
		i.Close()
		return nil, refused("attach to cgroup "+path, err)
	}
	return i, nil
}

// Cgroup is the folder whose sockets are looked at; "/" where the topmost
// cgroup was not mounted anywhere.
func (i *Interception) Cgroup() string { return i.cgroup }

// IPv6 is nil if native IPv6 connections are intercepted, else why not. IPv4
// connections of IPv6 sockets are intercepted in any case.
func (i *Interception) IPv6() error { return i.ipv6 }

// prepare makes sure that loading is allowed at all.
func prepare() error {
	if err := Check(); err != nil {
		return err
	}
	if err := rlimit.RemoveMemlock(); err != nil { // before Linux 5.11
		if filtered, ferr := SeccompFilter(); ferr == nil && filtered {
			return notPermitted(err) // it is bpf(2) that tells whether there is a limit
		}
		return &MissingError{
			What: "the limit of locked memory cannot be raised, of which this kernel takes what BPF needs",
			Hint: "use sudo, or `ulimit -l unlimited`; Linux 5.11 does without",
			Err:  err,
		}
	}
	return nil
}

// load gives programs that are not attached yet.
func load(cfg Config) (*Interception, error) {
	names, err := newNameTable(cfg.Names)
	if err != nil {
		return nil, err
	}
	i := &Interception{ipv6: canReadKernel(), names: names}
	err = i.load(cfg)
	if i.learns = deaf(err); i.learns != nil {
		err = i.load(cfg)
	}
	if err != nil {
		return nil, refused("load programs", err)
	}
	return i, nil
}

func (i *Interception) load(cfg Config) error {
	spec, err := loadIntercept()
	if err != nil {
		return err
	}
	if err := spec.Variables[interceptVarAgentKeepalive].Get(&i.mark.Keepalive); err != nil {
		return err
	}
	if err := spec.Variables[interceptVarAgentPriority].Get(&i.mark.Priority); err != nil {
		return err
	}
	if err := spec.Variables[interceptVarProxyIp4].Set(cfg.Proxy.Addr().As4()); err != nil {
		return err
	}
	if err := spec.Variables[interceptVarProxyPort].Set(networkOrder(cfg.Proxy.Port())); err != nil {
		return err
	}
	if err := spec.Variables[interceptVarNamesCallers].Set(hasCapability(unix.CAP_PERFMON)); err != nil {
		return err
	}
	if err := spec.Variables[interceptVarBlocksQuic].Set(cfg.BlockQUIC); err != nil {
		return err
	}
	if err := setTargets(spec, &cfg.Targets); err != nil {
		return err
	}
	if err := i.setNames(spec); err != nil {
		return err
	}
	// Both variants have the same type and are filled by the same name; the
	// one that is not used must not reach a kernel that cannot relocate it.
	if i.ipv6 != nil {
		spec.Programs[interceptProgFaultConnect4] = spec.Programs[interceptProgFaultPlain4].Copy()
		spec.Programs[interceptProgFaultConnect6] = spec.Programs[interceptProgFaultMapped6].Copy()
		spec.Programs[interceptProgFaultSendmsg4] = spec.Programs[interceptProgFaultPlainmsg4].Copy()
		spec.Programs[interceptProgFaultSendmsg6] = spec.Programs[interceptProgFaultPlainmsg6].Copy()
	}
	if err := spec.LoadAndAssign(&i.objs, nil); err != nil {
		return err
	}
	if err := i.fill(cfg, spec.Variables[interceptVarOriginsTaken].Offset); err != nil {
		i.objs.Close()
		return err
	}
	return nil
}

// fill gives the maps what is in them from the start.
func (i *Interception) fill(cfg Config, taken uint32) error {
	if err := i.SetRules(cfg.Rules); err != nil {
		return err
	}
	if err := i.fillNames(); err != nil {
		return err
	}
	if err := i.fillTargets(&cfg.Targets); err != nil {
		return err
	}
	return i.taken.share(i.objs.Memory, taken)
}

// SetRules replaces the rules of [Config]. What was diverted before stays so.
func (i *Interception) SetRules(rules []Rule) error {
	table := ruleTable(rules)
	for key, flags := range table {
		if err := i.objs.Rules.Put(key, flags); err != nil {
			return fmt.Errorf("put rule: %w", err)
		}
	}
	var key interceptRuleKey
	var flags interceptRuleFlags
	var stale []interceptRuleKey
	entries := i.objs.Rules.Iterate()
	for entries.Next(&key, &flags) {
		if _, ok := table[key]; !ok {
			stale = append(stale, key)
		}
	}
	if err := entries.Err(); err != nil {
		return fmt.Errorf("look at the rules: %w", err)
	}
	for _, key := range stale {
		if err := i.objs.Rules.Delete(key); err != nil {
			return fmt.Errorf("remove a rule: %w", err)
		}
	}
	return nil
}

// attach begins with the programs that observe: a diverted connection whose
// origin nobody filed could not be carried.
func (i *Interception) attach(cgroup *os.File) error {
	first, err := highDescriptors()
	if err != nil {
		return err
	}
	type attachment struct {
		name  string
		prog  *ebpf.Program
		typ   ebpf.AttachType
		links *[]link.Link
	}
	all := []attachment{
		{"sockops", i.objs.FaultSockops, ebpf.AttachCGroupSockOps, &i.observes},
		{"getpeername4", i.objs.FaultPeername4, ebpf.AttachCgroupInet4GetPeername, &i.observes},
		{"getpeername6", i.objs.FaultPeername6, ebpf.AttachCgroupInet6GetPeername, &i.observes},
		{"sendmsg4", i.objs.FaultSendmsg4, ebpf.AttachCGroupUDP4Sendmsg, &i.diverts},
		{"sendmsg6", i.objs.FaultSendmsg6, ebpf.AttachCGroupUDP6Sendmsg, &i.diverts},
		{"connect4", i.objs.FaultConnect4, ebpf.AttachCGroupInet4Connect, &i.diverts},
		{"connect6", i.objs.FaultConnect6, ebpf.AttachCGroupInet6Connect, &i.diverts},
	}
	if len(i.names.entries) > 0 && i.learns == nil {
		all = append(all, attachment{"learn", i.objs.FaultLearn, ebpf.AttachCGroupInetIngress, &i.diverts})
	}
	for _, a := range all {
		// link.AttachCgroup would fall back to an attachment that outlives
		// this process where the kernel has no links.
		l, err := link.AttachRawLink(link.RawLinkOptions{
			Target: int(cgroup.Fd()), Program: a.prog, Attach: a.typ,
		})
		if err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		high, err := raised(l.FD(), first)
		l.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", a.name, err)
		}
		*a.links = append(*a.links, high)
	}
	return nil
}

// highDescriptors is the least descriptor for links. A process that dies lets
// go of its highest descriptors first, and connects that are still diverted
// when its listener has gone are lost.
func highDescriptors() (int, error) {
	const room, enough = 12, 1 << 16
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	return int(max(min(limit.Cur, enough), room) - room), nil
}

// raised gives a link another descriptor, of at least first.
func raised(fd, first int) (link.Link, error) {
	fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, first)
	if err != nil {
		return nil, fmt.Errorf("duplicate a link: %w", err)
	}
	high, err := link.NewFromFD(fd)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return high, nil
}

// Stop detaches what diverts, everywhere: new connections go direct. What is
// diverted already can still be asked for with [Interception.Origin], and its
// caller still sees the true peer.
func (i *Interception) Stop() error {
	err := detach(i.diverts)
	i.diverts = nil
	return err
}

// Close stops, detaches everything and frees it.
func (i *Interception) Close() error {
	err := errors.Join(i.Stop(), detach(i.observes), i.objs.Close())
	i.observes = nil
	return err
}

// detach does so at once; a link that is merely closed may act a little longer.
func detach(links []link.Link) error {
	var errs []error
	for _, l := range links {
		if err := l.Detach(); err != nil && !errors.Is(err, ebpf.ErrNotSupported) { // before Linux 5.9
			errs = append(errs, fmt.Errorf("detach: %w", err))
		}
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// canReadKernel says why the programs may not look into what the kernel keeps
// for itself; nil if they may. Of a socket they want the bit that tells whether
// it can have an IPv4-mapped peer, of a process its name.
func canReadKernel() error {
	if !hasCapability(unix.CAP_PERFMON) {
		return &MissingError{What: "cap_perfmon is missing", Hint: Setcap}
	}
	if _, err := btf.LoadKernelSpec(); err != nil {
		return &MissingError{What: "this kernel has no BTF", Err: err}
	}
	return nil
}
