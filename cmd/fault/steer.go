package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/faultproxy/fault/agent/control"
	"github.com/faultproxy/fault/agent/lines"
)

// stopTime is how long `fault stop` waits: the drain of a run, and as long
// again.
const stopTime = 10 * time.Second

// saidLimit is how many characters of what an agent says are shown.
const saidLimit = 200

func newPause(env environment) *cobra.Command {
	return newSteering(env, "pause", "Let connections pass through an agent unaltered",
		`Let all connections pass through an agent unaltered, until "fault resume".

Nothing ends: open connections stay, and the clock, the schedules and the
duration go on.`, pause)
}

func newResume(env environment) *cobra.Command {
	return newSteering(env, "resume", "Let a paused agent inject again",
		`Let an agent inject its faults again, as their schedules say, after
"fault pause".`, resume)
}

func newStop(env environment) *cobra.Command {
	return newSteering(env, "stop", "End an agent, and wait until it has",
		`End an agent, as SIGTERM does, and wait until it has.

New connections go direct at once, and open ones have 5 seconds to end; a second
"fault stop" ends them at once.`, stop)
}

// newSteering is a command that does something to one agent, and says what
// came of it.
func newSteering(env environment, name, short, long string, steer func(context.Context, control.Peer) (string, error)) *cobra.Command {
	var pid int
	return &cobra.Command{
		Use:   name + " [PID]",
		Short: short,
		Long:  long + "\n\nWithout PID it is the only agent that runs here.",
		Args: func(cmd *cobra.Command, args []string) (err error) {
			pid, err = pidArgument(cmd, args)
			return err
		},
		ValidArgsFunction: completeAgents,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, _, cancel := env.untilAsked(cmd.Context(), nil, nil)
			defer cancel()
			peer, err := choose(ctx, cmd, pid)
			if err != nil {
				return err
			}
			said, err := steer(ctx, peer)
			if err != nil {
				return unanswered(cmd, peer, err)
			}
			fmt.Fprintln(env.stdout, said)
			return nil
		},
	}
}

// pidArgument is the PID of a command; 0 if it was not given.
func pidArgument(cmd *cobra.Command, args []string) (int, error) {
	switch len(args) {
	case 0:
		return 0, nil
	case 1:
		pid, err := strconv.ParseInt(args[0], 10, 32)
		if err != nil || pid < 1 {
			return 0, usage(fmt.Sprintf("`%s` takes the pid of an agent, not `%s`", cmd.CommandPath(), args[0]), "`fault status` lists the agents")
		}
		return int(pid), nil
	}
	return 0, usage(fmt.Sprintf("`%s` takes one pid, not also `%s`", cmd.CommandPath(), args[1]), "")
}

func pause(ctx context.Context, p control.Peer) (string, error) {
	reply, err := p.Ask(ctx, control.Pause)
	switch {
	case err != nil:
		return "", err
	case reply.Changed:
		return fmt.Sprintf("paused %v: connections pass through unaltered until `fault resume %d`", p, p.ID()), nil
	case reply.Status.Paused:
		return fmt.Sprintf("%v is paused already", p), nil
	}
	return "", &hostError{fmt.Sprintf("%v was not paused, as it is ending", p), ""}
}

func resume(ctx context.Context, p control.Peer) (string, error) {
	reply, err := p.Ask(ctx, control.Resume)
	switch {
	case err != nil:
		return "", err
	case reply.Changed:
		return fmt.Sprintf("resumed %v: its faults are on again as scheduled", p), nil
	}
	return fmt.Sprintf("%v is not paused", p), nil
}

func stop(ctx context.Context, p control.Peer) (string, error) {
	// The end may come before the reply.
	if _, err := p.Ask(ctx, control.Stop); err != nil && !control.Is(err, control.Ended) {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	return awaitEnd(ctx, p)
}

// awaitEnd waits until an agent that is ending has ended.
func awaitEnd(ctx context.Context, p control.Peer) (string, error) {
	err := p.Gone(ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "", &hostError{fmt.Sprintf("%v has not ended within %v", p, stopTime),
			fmt.Sprintf("`fault stop %d` again ends its last flows at once", p.ID())}
	case errors.Is(err, context.Canceled):
		return "", &hostError{fmt.Sprintf("interrupted; %v is ending", p), ""}
	case err != nil:
		return "", err
	}
	return fmt.Sprintf("%v has ended", p), nil
}

// choose is the agent of a pid; without one it is the only agent, if others'
// are not counted.
func choose(ctx context.Context, cmd *cobra.Command, pid int) (control.Peer, error) {
	peers, err := agents(ctx, cmd)
	if err != nil {
		return control.Peer{}, err
	}
	if len(peers) == 0 && pid == 0 {
		return control.Peer{}, errNoAgent
	}
	fits := peers
	if pid != 0 {
		fits = slices.DeleteFunc(slices.Clone(peers), func(p control.Peer) bool { return p.ID() != pid })
	} else if ours := slices.DeleteFunc(slices.Clone(peers), func(p control.Peer) bool { return !p.Ours() }); len(ours) > 0 {
		fits = ours
	}
	switch len(fits) {
	case 0:
		return control.Peer{}, &hostError{fmt.Sprintf("no agent of this network namespace has pid %d", pid), "`fault status` lists those that run"}
	case 1:
		return fits[0], nil
	}
	return control.Peer{}, several(cmd, fits)
}

// agents are those that run here.
func agents(ctx context.Context, cmd *cobra.Command) ([]control.Peer, error) {
	peers, err := control.Agents(ctx)
	switch {
	case errors.Is(err, control.ErrUnsupported):
		return nil, &hostError{fmt.Sprintf("`%s` needs Linux: %v", cmd.CommandPath(), err), ""}
	case errors.Is(err, context.Canceled):
		return nil, errInterrupted
	}
	return peers, err
}

var (
	errNoAgent     = &hostError{"no agent runs in this network namespace", "in another one `nsenter --net=/run/netns/NAME fault status` looks"}
	errInterrupted = &hostError{"interrupted", ""}
)

// several says that there is a choice.
func several(cmd *cobra.Command, peers []control.Peer) error {
	const most = 8
	var names []string
	for _, p := range peers[:min(most, len(peers))] {
		names = append(names, p.String())
	}
	if more := len(peers) - most; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return &hostError{fmt.Sprintf("%d agents run here: %s", len(peers), strings.Join(names, ", ")),
		fmt.Sprintf("say which, as `%s %d`; `fault status` tells them apart", cmd.CommandPath(), peers[0].ID())}
}

// unanswered says why an agent gave no answer, and what to do.
func unanswered(cmd *cobra.Command, p control.Peer, err error) error {
	if errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	e, ok := errors.AsType[*control.Error](err)
	if !ok {
		return err
	}
	hint := ""
	switch e.Code {
	case control.NotAllowed:
		hint = fmt.Sprintf("use `sudo %s %d`", cmd.CommandPath(), p.ID())
	case control.NoAnswer:
		hint = fmt.Sprintf("if it is stopped, `kill -CONT %d` lets it go on", p.ID())
	}
	return &hostError{said(p, e), hint}
}

// said is why an agent gave no answer. Some of the text may be its own.
func said(p control.Peer, e *control.Error) string {
	return fmt.Sprintf("%v %s", p, lines.Shown(e.Text, saidLimit))
}

// completeAgents offers the pids of agents, with what each is for.
func completeAgents(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	const noFiles = cobra.ShellCompDirectiveNoFileComp
	if len(args) > 0 {
		return nil, noFiles
	}
	// Who presses a key does not wait for an agent that is stopped.
	ctx, cancel := context.WithTimeout(cmd.Context(), 300*time.Millisecond)
	defer cancel()
	peers, err := control.Agents(ctx)
	if err != nil {
		return nil, noFiles
	}
	var pids []string
	for _, f := range lookAt(ctx, peers) {
		if f.peer.Ours() {
			pids = append(pids, fmt.Sprintf("%d\t%s", f.peer.ID(), lines.Shown(f.upstreams(), saidLimit)))
		}
	}
	return pids, noFiles
}
