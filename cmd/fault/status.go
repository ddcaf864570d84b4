package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/faultproxy/fault/agent/control"
	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/agent/style"
)

func newStatus(env environment) *cobra.Command {
	var asJSON bool
	var wait period
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the agents that run here",
		Long: `Show the agents that run in this network namespace. Exit code 1: there is none.

To a terminal it is a table; elsewhere the same columns, separated by tabs, with
times in seconds and no header. "-" is what is not known, such as all about an
agent of another user. With --wait it first waits until an agent is ready.`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, _, cancel := env.untilAsked(cmd.Context(), nil, nil)
			defer cancel()
			found, err := awaitAgents(ctx, cmd, time.Duration(wait))
			if err != nil {
				return err
			}
			fmt.Fprint(env.stdout, listed(found, asJSON, env.style(cmd, env.stdout)))
			for _, f := range found {
				if f.err != nil && f.err.Code != control.NotAllowed {
					env.report(env.style(cmd, env.stderr), style.Warn, "warning", said(f.peer, f.err), "")
				}
			}
			if ctx.Err() != nil {
				return errInterrupted
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "an object a line for each agent")
	cmd.Flags().Var(&wait, "wait", "wait that long for an agent that is ready")
	_ = cmd.RegisterFlagCompletionFunc("wait", completion(&wait))
	return cmd
}

// awaitAgents finds the agents that run here, or waits for one that is ready.
func awaitAgents(ctx context.Context, cmd *cobra.Command, limit time.Duration) ([]found, error) {
	const again = 50 * time.Millisecond
	deadline := time.Now().Add(limit)
	for {
		peers, err := agents(ctx, cmd)
		if err != nil {
			return nil, err
		}
		all := lookAt(ctx, peers)
		switch {
		case limit == 0 && len(all) == 0:
			return nil, errNoAgent
		case limit == 0 || slices.ContainsFunc(all, found.ready):
			return all, nil
		case time.Until(deadline) < 0:
			return nil, &hostError{fmt.Sprintf("no agent is ready in this network namespace after %v", limit), errNoAgent.hint}
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return nil, errInterrupted
		}
	}
}

// ready says whether an agent does its work, as far as this user may know.
// Before that it cannot be found.
func (f found) ready() bool {
	if f.status == nil {
		return f.err.Code == control.NotAllowed
	}
	return !f.status.Ending
}

// found is an agent and its answer: one of status and err is not nil.
type found struct {
	peer   control.Peer
	status *control.Status
	err    *control.Error
}

// lookAt asks agents how they are. Those that end meanwhile are left out.
func lookAt(ctx context.Context, peers []control.Peer) []found {
	const atOnce = 64 // of which each may take its time
	all := make([]found, len(peers))
	var asking sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i, p := range peers {
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			reply, err := p.Ask(ctx, control.Look)
			all[i] = found{peer: p, status: reply.Status}
			if err != nil && !errors.As(err, &all[i].err) {
				all[i].err = &control.Error{Code: control.NoAnswer, Text: "cannot be asked: " + err.Error()}
			}
		})
	}
	asking.Wait()
	var there []found
	for _, f := range all {
		if f.err == nil || f.err.Code != control.Ended {
			there = append(there, f)
		}
	}
	return there
}

// listed is agents for a program, for a terminal or for a pipe.
func listed(all []found, asJSON bool, look style.Style) string {
	var b strings.Builder
	switch {
	case asJSON:
		for _, f := range all {
			b.WriteString(event.Line(f.object()))
		}
	case look.Columns > 0:
		return statusTable(all, look)
	default:
		for _, f := range all {
			b.WriteString(strings.Join(f.cells(), "\t") + "\n")
		}
	}
	return b.String()
}

// statusObject is an agent for programs. The status is absent if there is no
// answer; then Error says why.
type statusObject struct {
	Schema int `json:"schema"`
	// PID is that of this pid namespace, OwnPID what the agent calls itself,
	// if that differs.
	PID    int          `json:"pid"`
	OwnPID int          `json:"own_pid,omitempty"`
	UID    *int         `json:"uid,omitempty"`
	Error  control.Code `json:"error,omitempty"`
	*control.Status
}

func (f *found) object() statusObject {
	o := statusObject{Schema: event.Schema, PID: f.peer.ID(), Status: f.status}
	if f.peer.Own != f.peer.PID {
		o.OwnPID = f.peer.Own
	}
	if f.peer.UID >= 0 {
		o.UID = &f.peer.UID
	}
	if f.err != nil {
		o.Error = f.err.Code
	}
	return o
}

// unknown is what is written for what is not known.
const unknown = "-"

// cells are the columns of an agent for a pipe.
func (f *found) cells() []string {
	s := f.status
	if s == nil {
		return append([]string{strconv.Itoa(f.peer.ID())}, slices.Repeat([]string{unknown}, len(statusColumns)-1)...)
	}
	endsIn := unknown
	if s.EndsInS != nil {
		endsIn = plainSeconds(*s.EndsInS)
	}
	return []string{
		strconv.Itoa(f.peer.ID()), plainSeconds(s.UpS), endsIn, lines.Shown(s.Mode, saidLimit), f.upstreams(),
		strconv.FormatInt(s.Open, 10), strconv.FormatUint(s.Matched, 10), strconv.FormatUint(s.Errors, 10), f.faults(),
	}
}

func plainSeconds(s float64) string { return strconv.FormatFloat(s, 'f', -1, 64) }

// upstreams is what is meant, in a word that is safe to show.
func (f *found) upstreams() string {
	switch {
	case f.status == nil:
		return unknown
	case len(f.status.Upstreams) == 0:
		return "none"
	}
	return lines.Shown(strings.Join(f.status.Upstreams, ","), 10*saidLimit)
}

// faults is how many are on, and whether that means anything.
func (f *found) faults() string {
	on := 0
	for _, one := range f.status.Faults {
		if one.On {
			on++
		}
	}
	text := "none"
	if n := len(f.status.Faults); n > 0 {
		text = fmt.Sprintf("%d of %d", on, n)
	}
	return text + f.state()
}

// state is what is unusual about an agent, as its list of faults goes on.
func (f *found) state() string {
	switch {
	case f.status == nil:
		return ""
	case f.status.Ending:
		return ", ending"
	case f.status.Paused:
		return ", paused"
	}
	return ""
}
