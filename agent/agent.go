// Package agent is a whole run: it joins the kernel's diversion to the proxy
// and the proxy to the faults, keeps them up for a bounded time, undoes what
// it did, and says what happened.
//
// Run is all there is to it; everything it needs to know is in [Config].
package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
	"github.com/faultproxy/fault/proxy/upstream"
)

// Transparent says whether to intercept.
type Transparent string

// The three answers.
const (
	Auto Transparent = "auto" // if this host lets us, and there are upstreams
	On   Transparent = "on"   // or fail
	Off  Transparent = "off"  // only clients that ask for the proxy
)

// Config is a run. Log is required.
type Config struct {
	// Version is said at the start.
	Version string
	// Proxy is where to listen; IPv4. Port 0 takes a free one.
	Proxy netip.AddrPort
	// Upstreams says which destinations are meant. None: everything that an
	// explicit client asks for, and nothing is intercepted.
	Upstreams upstream.Set
	// Transparent says whether to intercept.
	Transparent Transparent
	// Cgroup is the subtree whose processes are intercepted; empty for all.
	Cgroup string
	// Faults are injected into matching flows.
	Faults []faults.Fault
	// Seed decides every draw.
	Seed uint64
	// Duration ends the run that long after it is ready; 0 is never.
	Duration time.Duration
	// Out gets the start page, the lines and the summary; nil for none. The
	// caller closes it.
	Out *lines.Writer
	// Tail writes a line for each flow that ends.
	Tail bool
	// Hurry ends a run that is ending at once, when it is closed.
	Hurry <-chan struct{}
	// Warn is told what the user must know although the run goes on, if there
	// is no Out to say it on.
	Warn func(text, hint string)
	Log  *zap.Logger
}

// Validate says what is wrong with the settings, before anything is opened.
func (c *Config) Validate() error {
	if !c.Proxy.Addr().Is4() {
		return fmt.Errorf("the proxy's address %v is not IPv4", c.Proxy)
	}
	if c.Transparent == On && !c.Upstreams.Intercepts() {
		return errors.New("nothing to intercept: no upstreams")
	}
	for _, f := range c.Faults {
		if v, ok := f.(interface{ Validate() error }); ok {
			if err := v.Validate(); err != nil {
				return err
			}
		}
	}
	return nil
}

// drainTime is how long flows may take to end once the run has.
const drainTime = 5 * time.Second

// backlogTime is how long the listener stays after the diversion has ended:
// connects that were diverted a moment before are still to be accepted.
const backlogTime = 50 * time.Millisecond

// Run runs until ctx ends or the duration is over, and then returns what
// happened. The error says why the run could not start; an error after the
// start is a defect of the host, such as a listener that broke.
//
// Nothing that it opened remains: interception ends first, then flows get 5 s
// to end, then everything is closed.
func Run(ctx context.Context, cfg Config) (Report, error) {
	if err := cfg.Validate(); err != nil {
		return Report{}, err
	}
	began := time.Now()
	cut, err := prepare(ctx, &cfg)
	if err != nil {
		return notStarted(ctx, err)
	}
	ln, err := listen(ctx, cfg.Proxy)
	if err != nil {
		return notStarted(ctx, err)
	}
	defer ln.Close()
	if err := cut.attach(&cfg, ln); err != nil {
		return notStarted(ctx, err)
	}
	defer cut.close()
	r := newReporter(&cfg, cut)
	server := &proxy.Server{
		Plan:     &faults.Plan{Faults: cfg.Faults, Seed: cfg.Seed},
		Matches:  cfg.Upstreams.Match,
		Observer: r,
		Clock:    r.clock,
		Log:      cfg.Log,
	}
	if cut.programs != nil {
		server.Exempt = cut.programs.Exempt
		server.Origin = cut.origin
	}
	accepting := make(chan error, 1)
	go func() { accepting <- server.Serve(ln) }()
	if err := cut.begin(); err != nil {
		ln.Close()
		<-accepting
		server.Drain(expired)
		return Report{}, err
	}
	r.started(ln.Addr().(*net.TCPAddr).AddrPort(), time.Since(began))
	reason := await(ctx, cfg.Duration, cut)
	return end(&cfg, server, ln, accepting, cut, r, reason)
}

// notStarted is the end of a run that did not come to be. If it was told to
// end meanwhile, whatever that broke is no error.
func notStarted(ctx context.Context, err error) (Report, error) {
	if ctx.Err() != nil {
		return Report{Reason: BySignal}, nil
	}
	return Report{}, err
}

// expired is a context that has ended.
var expired = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// listen opens the one listening socket.
func listen(ctx context.Context, addr netip.AddrPort) (*net.TCPListener, error) {
	lc := net.ListenConfig{KeepAlive: -1}
	// An MPTCP socket is a pair of sockets; the programs know only one.
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(ctx, "tcp4", addr.String())
	if err != nil {
		return nil, &ListenError{addr, err}
	}
	return ln.(*net.TCPListener), nil
}

// SettingError is a setting that this host has no use for.
type SettingError struct {
	// Flag is the flag's name without dashes, Value what it was.
	Flag, Value string
	Err         error
	// Hint says what to do.
	Hint string
}

// Error names the flag, the value and the cause.
func (e *SettingError) Error() string { return fmt.Sprintf("--%s `%s`: %v", e.Flag, e.Value, e.Err) }

// Unwrap gives the cause.
func (e *SettingError) Unwrap() error { return e.Err }

// ListenError is a proxy address that cannot be listened on.
type ListenError struct {
	Address netip.AddrPort
	Err     error
}

// Error names the address and what the kernel said.
func (e *ListenError) Error() string {
	var op *net.OpError
	cause := e.Err
	if errors.As(cause, &op) {
		cause = op.Err
	}
	return fmt.Sprintf("cannot listen on %v: %v", e.Address, cause)
}

// Unwrap gives what the kernel said.
func (e *ListenError) Unwrap() error { return e.Err }

// await waits for the end of the run and returns why it ended.
func await(ctx context.Context, duration time.Duration, cut *interception) Reason {
	var over <-chan time.Time
	if duration > 0 {
		t := time.NewTimer(duration)
		defer t.Stop()
		over = t.C
	}
	housekeeping := time.NewTicker(10 * time.Second)
	defer housekeeping.Stop()
	for {
		select {
		case <-ctx.Done():
			return BySignal
		case <-over:
			return ByDuration
		case <-housekeeping.C:
			cut.sweep()
		}
	}
}

// end undoes the run: first the diversion, so that new connections go direct
// at once, then the rest.
func end(cfg *Config, server *proxy.Server, ln *net.TCPListener, accepting <-chan error,
	cut *interception, r *reporter, reason Reason) (Report, error) {
	lasted := r.clock.Now()
	err := cut.stop()
	_ = ln.SetDeadline(time.Now().Add(backlogTime))
	err = errors.Join(err, <-accepting, ln.Close())
	drain, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	finished := make(chan struct{})
	go func() {
		select {
		case <-cfg.Hurry:
			cancel()
		case <-finished:
		}
	}()
	server.Drain(drain)
	close(finished)
	report := r.finish(reason, lasted)
	return report, err
}
