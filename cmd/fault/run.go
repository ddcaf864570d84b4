package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/callers"
	"github.com/faultproxy/fault/agent/command"
	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/cmd/fault/view"
	"github.com/faultproxy/fault/proxy/upstream"
)

// runFlags are the flags of `fault run`.
type runFlags struct {
	traffic  *trafficFlags
	reach    *reachFlags
	trust    *trustFlags
	faults   []*faultFlags
	duration period
	seed     seed
	mustMeet bool
	output   *outputFlags

	delays     *delayFlags
	background *backgroundFlags
}

func newRun(env environment, logs *logFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run [flags] [-- COMMAND ARG...]",
		Short: "Inject faults until the duration ends, Ctrl-C or SIGTERM",
		Long: `Inject faults until the duration ends, Ctrl-C or SIGTERM.

On Linux, with privilege (fault check says which), new TCP connections of this
network namespace to a matching upstream go through the faults, unnoticed.
Elsewhere, and for clients that ask, the agent is an HTTP proxy (also CONNECT).
With a COMMAND only it and its children are affected, and its exit code is ours.`,
		Example: `  sudo fault run --with-latency --latency-mean 300 --latency-stddev 50 \
      --upstream '*'
  sudo fault run --with-bandwidth --bandwidth-rate 64000 -u api.example.com
  sudo fault run --with-blackhole --upstream '10.0.0.0/8,!10.0.0.53'
  sudo fault run --with-latency --latency-mean 300 -- curl https://example.com/
  fault run --with-http-response --http-response-status 503 --upstream '*'`,
	}
	f := addRunFlags(cmd)
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if cmd.ArgsLenAtDash() == 0 {
			return checkCommand(args)
		}
		if f.output.json == jsonStdout && len(args) > 0 {
			return usage(fmt.Sprintf("`fault run` takes no argument `%s`", args[0]), fmt.Sprintf("did you mean `--json=%s`?", args[0]))
		}
		return noArguments(cmd, args)
	}
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		fmt.Fprint(cmd.OutOrStdout(), runHelp(cmd, f.faults))
	})
	cmd.ValidArgsFunction = completeCommand
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return runAgent(cmd, env, logs, f, nil)
		}
		c, err := command.Find(args)
		if err != nil {
			return err
		}
		return runAgent(cmd, env, logs, f, c)
	}
	return cmd
}

func addRunFlags(cmd *cobra.Command) *runFlags {
	cmd.Flags().SortFlags = false
	f := &runFlags{traffic: addTrafficFlags(cmd), trust: addTrustFlags(cmd), reach: addReachFlags(cmd), faults: addFaultFlags(cmd)}
	s := section{cmd, "Run"}
	more(s.value(&f.duration, "duration", "end after this time", "FAULT_PROXY_DURATION"),
		"It is counted from the moment that the run is ready, and percentages of schedules are of it. Without it the run lasts until it is ended.")
	more(s.value(&f.seed, "seed", "draw what the run with this seed drew", "FAULT_SEED"),
		"For the same flows in the same order all draws are the same. The start page and the summary say the seed.")
	more(s.toggle(&f.mustMeet, "fail-if-idle", "exit with 3 if no connection matched", "FAULT_FAIL_IF_IDLE"),
		"A run that met nothing tested nothing: a script or an experiment should not take that for a success.")
	f.delays = addDelayFlags(cmd)
	f.background = addBackgroundFlags(cmd)
	f.output = addOutputFlags(cmd)
	addLeftovers(cmd)
	return f
}

// runAgent turns flags into a configuration, and runs it, for a command if there
// is one.
func runAgent(cmd *cobra.Command, env environment, logs *logFlags, f *runFlags, c *command.Command) error {
	starters := f.background.stay.watched(env)
	ctx, hurry, stop := env.untilAsked(cmd.Context(), starters, c)
	defer stop()
	if c == nil {
		// To be stopped by a key or by the terminal would freeze the connections
		// of others. A command is stopped along with us.
		view.IgnoreStops()
	}
	look, lookOfErrors := env.style(cmd, env.stdout), env.style(cmd, env.stderr)
	warn := func(text, hint string) { env.report(lookOfErrors, style.Warn, "warning", text, hint) }
	line := newCommandLine(cmd.Flags())
	if c != nil {
		env, look = beside(env), lookOfErrors
		if err := f.prepare(line); err != nil {
			return err
		}
	}
	cfg, err := f.config(ctx, line)
	if err != nil {
		return err
	}
	if c != nil {
		if err := c.Prepare(keeperCommand); err != nil {
			return &hostError{err.Error(), "the user must be allowed to make cgroups: use sudo, or `systemd-run --user --scope fault run …`"}
		}
		defer c.Close()
		cfg.Callers = append(cfg.Callers, callers.Selector{Kind: callers.Command, Value: c.Name(), Folder: c.Folder()})
		cfg.Started, cfg.Exit = c.Start, c.Exit
		cfg.Replay = append(append(cfg.Replay, "--"), c.Args()...)
	}
	stdout := lines.NewWriter(env.stdout)
	defer stdout.Close(farewell)
	logsTo := stdout
	if f.output.json == jsonStdout && logs.stdout {
		logsTo = lines.NewWriter(env.stderr)
		defer logsTo.Close(farewell)
		line.warn("--log-stdout writes to stderr, as stdout is for --json alone", "`--json=PATH` writes the events to a file")
	}
	log, closeLog, err := logs.open(logsTo)
	if err != nil {
		return err
	}
	defer closeLog()
	closeOutput, err := f.output.open(&cfg, stdout, look)
	if err != nil {
		return err
	}
	defer closeOutput()
	cfg.SummaryJSON = cfg.SummaryJSON && c == nil
	for _, w := range line.warnings {
		warn(w.text, w.hint)
	}
	// The standard library complains about peers to a logger of its own.
	restore, err := zap.RedirectStdLogAt(log, zap.DebugLevel)
	if err != nil {
		return err
	}
	defer restore()
	cfg.Log, cfg.Warn, cfg.Hurry, cfg.StartedBy = log, warn, hurry, starters.First()
	if screen := f.output.screen(env, logs, look); screen != nil && c == nil {
		cfg.Screen, cfg.Warn = screen, screen.Notice
		defer func() {
			for _, n := range screen.Notices() {
				warn(n.Text, n.Hint)
			}
		}()
	}
	ready, remove, err := f.background.open()
	if err != nil {
		return err
	}
	defer remove()
	cfg.Ready = ready
	report, err := env.agent(ctx, cfg)
	if err == nil && c != nil {
		err = exitAs(c)
	}
	if err == nil && report.Idle {
		return errIdle
	}
	return err
}

// errIdle is the end of a run that should have met something.
var errIdle = errors.New("no connection matched, so nothing was tested (--fail-if-idle)")

// config is the configuration that the flags ask for, but for its writers.
func (f *runFlags) config(ctx context.Context, line *commandLine) (agent.Config, error) {
	if err := f.traffic.check(line); err != nil {
		return agent.Config{}, err
	}
	if err := f.reach.check(f.traffic, line); err != nil {
		return agent.Config{}, err
	}
	trust, err := f.trust.config(f.traffic, line)
	if err != nil {
		return agent.Config{}, err
	}
	planned, err := plan(f.faults, line, time.Duration(f.duration))
	if err != nil {
		return agent.Config{}, err
	}
	buffers, err := f.delays.buffers(line)
	if err != nil {
		return agent.Config{}, err
	}
	if f.output.noUI {
		line.ignore("with --no-ui", "tail")
	}
	ignoreLeftovers(line)
	address, err := f.traffic.proxyAddress.resolve(ctx)
	if err != nil {
		return agent.Config{}, usage(fmt.Sprintf("%s %v", line.called("proxy-address"), err), "")
	}
	for f.seed == 0 {
		f.seed = seed(rand.Uint32())
	}
	return agent.Config{
		Version:       version,
		Proxy:         address,
		NoProxy:       f.traffic.noProxy,
		Mappings:      f.traffic.mappings,
		HTTPUpstream:  f.traffic.override.to,
		TLS:           trust,
		Upstreams:     upstream.Set(f.traffic.upstreams),
		Transparent:   agent.Transparent(f.traffic.transparent.value),
		Netns:         f.reach.netns,
		Callers:       f.traffic.callers.set(),
		ResetExisting: f.reach.reset,
		BlockQUIC:     f.reach.quic.value == blockQUIC,
		Faults:        planned,
		Seed:          uint64(f.seed),
		Duration:      time.Duration(f.duration),
		Precise:       f.delays.precise,
		Buffers:       buffers,
		FailIfIdle:    f.mustMeet,
		Tail:          f.output.tail,
		Replay:        line.replay(uint64(f.seed)),
	}, nil
}

// explainRun says what the host refused.
func explainRun(err error) (message, hint string) {
	var listen *agent.ListenError
	var intercept *agent.InterceptError
	var setting *agent.SettingError
	switch {
	case errors.As(err, &listen):
		return listen.Error(), elsewhere(listen)
	case errors.As(err, &setting):
		return setting.Error(), setting.Hint
	case errors.As(err, &intercept):
		return intercept.Error(), intercept.Hint
	}
	return err.Error(), ""
}

// elsewhere says what to do about an address that is in use.
func elsewhere(e *agent.ListenError) string {
	switch at, err := netip.ParseAddrPort(e.Address); {
	case !errors.Is(e, syscall.EADDRINUSE):
		return ""
	case e.Agent:
		return fmt.Sprintf("`fault stop %d`", e.Holder.PID)
	case err != nil || e.Mapping != "": // a mapping's port is what its clients know
		return ""
	default:
		return fmt.Sprintf("take another with `--proxy-address %v` (port 0 takes a free one)", netip.AddrPortFrom(at.Addr(), at.Port()+1))
	}
}
