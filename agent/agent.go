// Package agent is a whole run: it joins the kernel's diversion to the proxy
// and the proxy to the faults, keeps them up for a bounded time, undoes what
// it did, and says what happened.
//
// Run is all there is to it; everything it needs to know is in [Config].
package agent

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/faultproxy/fault/agent/callers"
	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/agent/parent"
	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
	"github.com/faultproxy/fault/proxy/mapping"
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
	// NoProxy turns clients away that ask for an HTTP proxy; if nothing is
	// intercepted either, nobody listens at Proxy.
	NoProxy bool
	// Mappings are more listeners, each for one target.
	Mappings []mapping.Mapping
	// HTTPUpstream is where all requests of explicit HTTP clients go, whatever
	// they ask for; nil is where they ask for.
	HTTPUpstream *proxy.Target
	// TLS verifies upstreams to which the proxy itself speaks TLS; nil is with
	// the system's roots.
	TLS *tls.Config
	// Upstreams says which destinations are meant. None: everything that an
	// explicit client asks for, and nothing is intercepted.
	Upstreams upstream.Set
	// Transparent says whether to intercept.
	Transparent Transparent
	// Netns are the network namespaces whose connections are intercepted, each
	// by its name, a path or a process in it; [OwnNetns] is the agent's own. None
	// is the same as that one alone.
	Netns []string
	// Callers are those whose connections are intercepted; everybody's if there
	// are none.
	Callers callers.Set
	// ResetExisting ends the connections that are open at the start and would be
	// intercepted if they were made then, so that programs make them anew.
	ResetExisting bool
	// BlockQUIC has UDP to port 443 of matching upstreams fail at once, so that
	// clients of HTTP/3 fall back to TCP. It is counted in any case.
	BlockQUIC bool
	// Faults are injected into matching flows.
	Faults []faults.Planned
	// Seed decides every draw.
	Seed uint64
	// Duration ends the run that long after it is ready; 0 is never.
	Duration time.Duration
	// Precise has delays be watched for shortly before they end; see
	// [proxy.NewExactClock].
	Precise bool
	// Buffers bounds what faults hold.
	Buffers proxy.Buffers
	// FailIfIdle makes it a failure that no flow matched.
	FailIfIdle bool
	// Ready is called once the run is ready, with the address for clients that
	// ask for the proxy, which is invalid if they cannot; nil for nobody. An
	// error ends the run.
	Ready func(proxy netip.AddrPort) error
	// Started is called once the start page is written; nil for nobody.
	Started func()
	// Exit gives the exit code of the command that the run is for, once that has
	// ended; nil is that there is none.
	Exit func() (code int, ended bool)
	// StartedBy is the process with whose end ctx ends, with ErrParentGone as
	// the cause; zero if there is none.
	StartedBy parent.Process
	// Out gets the start page, the lines and the summary; nil for none. The
	// caller closes it.
	Out *lines.Writer
	// Style is how Out is to look; the zero style is for a pipe.
	Style style.Style
	// SummaryJSON ends Out with the summary as an event, for programs that
	// read what was meant for people.
	SummaryJSON bool
	// JSON gets the events of the run, a line each; nil for none. The caller
	// closes it. It may be the same as Out, which then gets nothing else.
	JSON *lines.Writer
	// Replay is the arguments that would start this run again.
	Replay []string
	// Screen shows the run instead of lines in Out, but for the start page and
	// the summary; nil for none.
	Screen Screen
	// Tail writes a line for each flow that ends.
	Tail bool
	// Hurry ends a run that is ending at once, when it is closed.
	Hurry <-chan struct{}
	// Warn is told what the user must know although the run goes on, if Out
	// does not say it: once at a time, but not from where Run was called, and
	// nobody waits for it for long.
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
	if c.NoProxy && len(c.Mappings) == 0 && !c.wants() {
		return errors.New("nothing to do: no connections are intercepted, and there is neither a proxy nor a mapping")
	}
	for _, f := range c.Faults {
		if err := f.Validate(); err != nil {
			return err
		}
	}
	return nil
}

// wants says whether connections are to be intercepted.
func (c *Config) wants() bool { return c.Transparent != Off && c.Upstreams.Intercepts() }

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
	start := newSteps(cfg.say)
	defer start.done()
	cut, err := prepare(ctx, &cfg, start)
	if err != nil {
		return notStarted(ctx, &cfg, err)
	}
	defer cut.endAttacher()
	if err := cut.enter(ctx, &cfg); err != nil {
		return notStarted(ctx, &cfg, err)
	}
	defer cut.leave()
	at, err := listen(ctx, &cfg, cut)
	if err != nil {
		return notStarted(ctx, &cfg, err)
	}
	defer at.close()
	cut.answer()
	cut.drop(&cfg)
	if err := cut.attach(ctx, &cfg, start); err != nil {
		return notStarted(ctx, &cfg, err)
	}
	defer cut.close()
	if cut.programs == nil {
		cut.leave()
		at.explicitOnly(&cfg)
	}
	clock, err := proxy.NewExactClock(cfg.Precise)
	if err != nil {
		return notStarted(ctx, &cfg, err)
	}
	defer clock.Close()
	r := newReporter(&cfg, cut, clock)
	at.serve(r.server)
	failed := func(err error) (Report, error) {
		_ = at.stop()
		r.server.Drain(expired)
		return Report{}, err
	}
	if err := cut.hold(r.server); err != nil {
		return failed(err)
	}
	if err := cut.begin(); err != nil {
		return failed(err)
	}
	if err := cut.meet(ctx, &cfg); err != nil {
		return failed(err)
	}
	start.done()
	r.scene = newScene(r, at, time.Since(began))
	control := newControl(r)
	defer control.serve()()
	if cfg.Ready != nil {
		if err := cfg.Ready(reachable(r.scene.proxy)); err != nil {
			return failed(err)
		}
	}
	r.started()
	defer cut.refreshes(ctx, cfg.Upstreams)()
	stopLooking := cut.looks(ctx, cfg.Callers, func(p *place) { at.serveAt(r.server, p) }, r.warning)
	if cfg.Out != nil && (cfg.Screen != nil || cfg.Started != nil) {
		cfg.Out.Flush(slowStart) // others write there from now on
	}
	if cfg.Started != nil {
		cfg.Started()
	}
	if cfg.Screen != nil {
		cfg.Screen.Show(control)
	}
	reason := r.await(ctx, control)
	stopLooking()
	return end(&cfg, control, at, reason)
}

// say says what people are to know before there is a run.
func (c *Config) say(text string) {
	if c.Out != nil && c.Out != c.JSON {
		c.Out.Print(c.Style.Glyphs(stepLine(text)))
	}
}

// notStarted is the end of a run that did not come to be. If it was told to
// end meanwhile, whatever that broke is no error.
func notStarted(ctx context.Context, cfg *Config, err error) (Report, error) {
	if ctx.Err() != nil {
		return Report{Reason: askedBy(ctx), Idle: cfg.FailIfIdle}, nil
	}
	return Report{}, err
}

// expired is a context that has ended.
var expired = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// SettingError is a setting that this host has no use for.
type SettingError struct {
	// Flag is the flag's name without dashes, Value what it was; empty if it
	// takes none.
	Flag, Value string
	Err         error
	// Hint says what to do.
	Hint string
	// Usage says that what was typed is at fault, and not the host.
	Usage bool
}

// Error names the flag, the value and the cause.
func (e *SettingError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("--%s: %v", e.Flag, e.Err)
	}
	return fmt.Sprintf("--%s `%s`: %v", e.Flag, e.Value, e.Err)
}

// Unwrap gives the cause.
func (e *SettingError) Unwrap() error { return e.Err }

// end undoes the run: first the diversion, so that new connections go direct
// at once, then the rest.
func end(cfg *Config, control *Control, at *listeners, reason Reason) (Report, error) {
	r := control.run
	lasted := r.endBegins()
	err := r.cut.stop()
	drain, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	finished := make(chan struct{})
	go func() {
		select {
		case <-cfg.Hurry:
			cancel()
		case <-control.hurry:
			cancel()
		case <-finished:
		}
	}()
	r.cut.settle(drain, r.server)
	err = errors.Join(err, at.stop())
	r.server.Drain(drain)
	close(finished)
	return r.finish(reason, lasted, err != nil), err
}
