// Command fault slows, throttles and breaks the outgoing connections of
// unmodified programs, for as long as it runs, and leaves nothing behind.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/command"
	"github.com/faultproxy/fault/agent/parent"
	"github.com/faultproxy/fault/agent/style"
	"github.com/spf13/cobra"
)

// Exit codes: what was typed is wrong, what the host refused.
const (
	exitFailure = 1
	exitUsage   = 2
)

// garbagePercent is how much garbage there may be before it is collected. What is
// in use is small, and would be looked through many times a second.
const garbagePercent = 400

func main() {
	signals := stopSignals()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	// A reader of our output that went away must not end the run.
	signal.Ignore(syscall.SIGPIPE)
	os.Exit(run(context.Background(), environment{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv,
		signals: signals, watch: parent.Watch, agent: agent.Run,
	}, os.Args[1:]))
}

// environment is everything outside that a command uses, so that tests can
// run it in their own process.
type environment struct {
	stdin          *os.File // nil is none
	stdout, stderr io.Writer
	getenv         func(string) string
	signals        <-chan os.Signal        // that ask for the end
	watch          func() *parent.Starters // with whose end ours is asked for, too
	agent          func(context.Context, agent.Config) (agent.Report, error)
}

// run runs a command line and returns its exit code. Errors are one line on
// stderr, and at most one more that says what to do.
func run(ctx context.Context, env environment, args []string) int {
	root := newRoot(env)
	root.SetArgs(args)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errImpossible), errors.Is(err, errNotClean):
		return exitFailure
	}
	if code, ok := errors.AsType[exit](err); ok {
		return int(code)
	}
	message, hint, code := explain(err)
	// The flags may be what is wrong.
	own := args
	if i := slices.Index(args, "--"); i >= 0 {
		own = args[:i]
	}
	look := env.styleOf(env.stderr, slices.Contains(own, "--no-color"))
	env.report(look, style.Bad, "error", message, hint)
	return code
}

// buildCommands are the commands that only some builds have.
var buildCommands []func() *cobra.Command

func newRoot(env environment) *cobra.Command {
	root := &cobra.Command{
		Use:   "fault",
		Short: "Slow, throttle and break the outgoing connections of unmodified programs",
		Long: `fault slows, throttles and breaks the outgoing connections of unmodified
programs, for as long as it runs, and leaves nothing behind.

  sudo fault run --with-latency --latency-mean 300 --upstream '*'
  fault demo run                 a small server to try it on`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArguments,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(env.stdout)
	root.SetErr(env.stderr)
	root.SetVersionTemplate("fault {{.Version}}\n")
	root.Flags().BoolP("version", "V", false, "print the version")
	root.PersistentFlags().SortFlags = false
	logs := addLogFlags(root)
	addNoColor(root)
	ignored := root.PersistentFlags().VarPF(&text{mayBeEmpty: true}, "api-address", "", "does nothing, as there is no API")
	ignored.Hidden = true
	annotate(ignored, variableAnnotation, "FAULT_API_SERVICE_ADDRESS")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if cmd.Name() == cobra.ShellCompRequestCmd {
			return needsNoVariables(cmd, nil)
		}
		return fromEnvironment(cmd, env.getenv)
	}
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newRun(env, logs), newDemo(env), newVersion(), newAttacher(), newKeeper())
	root.AddCommand(newCheck(env), newStatus(env), newPause(env), newResume(env), newStop(env))
	for _, add := range buildCommands {
		root.AddCommand(add())
	}
	addHelp(root)
	addCompletion(root)
	return root
}

// noArguments is cobra.NoArgs with our words.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		return usage(fmt.Sprintf("unknown command `%s` for `%s`", args[0], cmd.CommandPath()),
			hint(nearest(args[0], commandNames(cmd)), fmt.Sprintf("`%s --help` lists the commands", cmd.CommandPath())))
	}
	return usage(fmt.Sprintf("`%s` takes no argument `%s`", cmd.CommandPath(), args[0]),
		fmt.Sprintf("`%s --help` shows what it takes", cmd.CommandPath()))
}

// stopSignals are those that ask for the end, from now on. A SIGHUP that was
// ignored by who started us stays so (nohup).
func stopSignals() <-chan os.Signal {
	asking := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		asking = append(asking, syscall.SIGHUP)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, asking...)
	return signals
}

// untilAsked gives a context that ends with the first signal, or with one of
// the starters, and a channel that is closed with the second signal. While a
// command runs, signals are for it, and its end is that of the context.
func (e environment) untilAsked(whole context.Context, starters *parent.Starters, c *command.Command) (ctx context.Context, hurry <-chan struct{}, cancel func()) {
	ctx, end := context.WithCancelCause(whole)
	gone, ended, more := starters.Gone(), c.Ended(), c.Signals()
	hurried := make(chan struct{})
	go func() {
		for signals := 0; signals < 2; {
			select {
			case s := <-e.signals:
				if c.Forward(s) {
					continue
				}
				end(nil)
				signals++
			case s := <-more:
				c.Forward(s)
			case <-ended:
				end(agent.ErrCommandEnded)
				ended = nil
			case <-gone:
				end(agent.ErrParentGone)
				gone = nil
			case <-whole.Done():
				return
			}
		}
		close(hurried)
	}()
	return ctx, hurried, func() { end(nil) }
}

// usageError is a command line that makes no sense.
type usageError struct{ message, hint string }

func (e *usageError) Error() string { return e.message }

func usage(message, hint string) error { return &usageError{message, hint} }

// hostError is what cannot be done here and now, whatever is typed.
type hostError struct{ message, hint string }

func (e *hostError) Error() string { return e.message }

// explain says an error to a person: what, what to do, and the exit code.
func explain(err error) (message, hint string, code int) {
	var u *usageError
	if errors.As(err, &u) {
		return u.message, u.hint, exitUsage
	}
	if h, ok := errors.AsType[*hostError](err); ok {
		return h.message, h.hint, exitFailure
	}
	if failed, ok := errors.AsType[*command.Error](err); ok {
		return failed.Error(), "", failed.Code
	}
	message, hint = explainRun(err)
	if s, ok := errors.AsType[*agent.SettingError](err); ok && s.Usage {
		return message, hint, exitUsage
	}
	if errors.Is(err, errIdle) {
		return message, hint, agent.ExitIdle
	}
	return message, hint, exitFailure
}
