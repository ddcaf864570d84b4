package agent

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/faultproxy/fault/bpf"
	"github.com/faultproxy/fault/proxy"
)

// interception is the kernel's part of a run, in the namespace of the
// listener. Without programs the run is an explicit proxy.
type interception struct {
	programs *bpf.Interception
	explicit string // if there are no programs: why, "" if that was asked for
	hint     string
	listener *net.TCPListener
	cgroup   string // the subtree that was asked for
	netns    uint64
	log      *zap.Logger
}

// intercept attaches the programs, if they are wanted and can be had.
func intercept(ctx context.Context, cfg *Config, ln *net.TCPListener) (*interception, error) {
	cut := &interception{listener: ln, log: cfg.Log}
	if cfg.Transparent == Off || cfg.Transparent == Auto && !cfg.Upstreams.Intercepts() {
		return cut, nil
	}
	err := cut.attach(ctx, cfg)
	if err == nil {
		return cut, nil
	}
	if log := bpf.VerifierLog(err); log != "" {
		cfg.Log.Debug("the kernel refused a program", zap.String("verifier", log))
	}
	var setting *SettingError
	if errors.As(err, &setting) {
		return nil, err
	}
	var cgroup *bpf.CgroupError
	if errors.As(err, &cgroup) {
		return nil, &SettingError{"cgroup", cgroup.Path, cgroup.Err,
			"a cgroup is a folder such as /sys/fs/cgroup/system.slice; `systemd-cgls` shows them"}
	}
	var missing *bpf.MissingError
	if !errors.As(err, &missing) {
		return nil, &InterceptError{err, ""}
	}
	if cfg.Transparent == On {
		return nil, &InterceptError{err, missing.Hint}
	}
	cut.explicit, cut.hint = err.Error(), missing.Hint
	return cut, nil
}

// InterceptError is why connections cannot be intercepted.
type InterceptError struct {
	Err error
	// Hint says what to do; it may be empty.
	Hint string
}

// Error names the cause.
func (e *InterceptError) Error() string { return "cannot intercept: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *InterceptError) Unwrap() error { return e.Err }

func (i *interception) attach(ctx context.Context, cfg *Config) error {
	// Before names are asked for: the explicit proxy can do without.
	if err := bpf.Check(); err != nil {
		return err
	}
	rules, err := rules(ctx, cfg.Upstreams)
	if err != nil {
		return err
	}
	if i.netns, err = currentNetns(); err != nil {
		return err
	}
	at := addrPort(i.listener.Addr())
	if at.Addr().IsUnspecified() {
		at = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
	}
	i.cgroup = cfg.Cgroup
	i.programs, err = bpf.Attach(bpf.Config{Cgroup: cfg.Cgroup, Proxy: at, Rules: rules})
	return err
}

// begin lets connections come.
func (i *interception) begin() error {
	if i.programs == nil {
		return nil
	}
	return i.programs.Serve(i.listener, i.netns)
}

// pause lets no more come for now.
func (i *interception) pause() error {
	if i.programs == nil {
		return nil
	}
	i.log.Warn("as many flows as descriptors allow: new connections go direct")
	return i.programs.Pause(i.listener)
}

// stop lets no more come; those that came are still known.
func (i *interception) stop() error {
	if i.programs == nil {
		return nil
	}
	return i.programs.Stop()
}

func (i *interception) close() {
	if i.programs == nil {
		return
	}
	if err := i.programs.Close(); err != nil {
		i.log.Error("close the interception", zap.Error(err))
	}
}

// origin is what the proxy asks.
func (i *interception) origin(c net.Conn) (proxy.Intercepted, bool, error) {
	o, ok, err := i.programs.Origin(i.netns, addrPort(c.RemoteAddr()), addrPort(c.LocalAddr()))
	if err != nil || !ok {
		return proxy.Intercepted{}, false, err
	}
	return proxy.Intercepted{
		Destination: o.Destination,
		Source:      o.Source,
		Process: proxy.Process{
			PID: o.PID, UID: o.UID, Name: processName(o.PID, o.TID, o.Thread),
			Cgroup: o.Cgroup, Netns: o.Netns,
		},
	}, true, nil
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
	ap := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
