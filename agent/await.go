package agent

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
)

// chore is something that a run does at times of its own.
type chore struct {
	at time.Duration
	// do is told what time it is, and returns when it is to be done again.
	do func(now time.Duration) time.Duration
}

// sweepEvery is how often connections are forgotten that never arrived.
const sweepEvery = 10 * time.Second

// await waits for the end of the run and returns why it ended. All that
// happens by the clock happens in here.
func (r *reporter) await(ctx context.Context, control *Control) Reason {
	chores := []*chore{
		{at: sweepEvery, do: func(now time.Duration) time.Duration {
			r.cut.sweep()
			return now + sweepEvery
		}},
		{at: nextProgress(0), do: r.progress},
		{at: openAfter, do: func(now time.Duration) time.Duration { return r.young.grown(now, r.stillOpen) }},
		{do: r.leaveAbandoned},
		{do: r.followStates},
		{do: r.tailRest},
	}
	end := faults.Never
	if r.cfg.Duration > 0 {
		end = r.cfg.Duration
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return askedBy(ctx)
		case reason := <-control.asked:
			return reason
		case <-timer.C:
		}
		now := r.clock.Now()
		if now >= end {
			return ByDuration
		}
		next := end
		for _, c := range chores {
			if c.at <= now {
				c.at = c.do(now)
			}
			next = min(next, c.at)
		}
		timer.Reset(next - r.clock.Now())
	}
}

// watchEvery is how often it is looked whether network namespaces have gone.
const watchEvery = 500 * time.Millisecond

// leaveAbandoned tells of network namespaces that have gone.
func (r *reporter) leaveAbandoned(now time.Duration) time.Duration {
	if len(r.cut.others()) == 0 && len(r.cfg.Callers.Containers()) == 0 {
		return faults.Never
	}
	for _, name := range r.cut.leaveAbandoned() {
		r.warning(warning{code: "netns-gone", text: fmt.Sprintf("the network namespace %s has gone: the run goes on without it", lines.Shown(name, 64))})
	}
	return now + watchEvery
}

// stillOpen tells of a flow that has been open for long.
func (r *reporter) stillOpen(f *proxy.Flow) {
	now := time.Now()
	verdict := r.verdict(f)
	if r.cfg.Tail {
		r.tailed(now, func() string { return openLine(r.cfg.Style, now, f, verdict, r.holding(f)...) })
	}
	r.emit(openEvent(r.head(event.OfFlow, now), f, verdict, r.ids))
}

// holding names the faults that let nothing more of a flow arrive.
func (r *reporter) holding(f *proxy.Flow) []string {
	var names []string
	for _, in := range f.Injected {
		if name := r.ids[in.Fault]; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// verdict is what the proxy decides of a flow, as far as that is known without
// asking for addresses; "" if it is not.
func (r *reporter) verdict(f *proxy.Flow) string {
	switch {
	case f.MatchedBy == proxy.ByAmbiguous:
		return "" // its client may still say a name
	case f.MatchedBy != "" && f.Matched:
		return matchedWord
	case f.MatchedBy != "":
		return passedWord
	}
	host, port, ok := splitHost(f.Host)
	if to := r.cfg.HTTPUpstream; to != nil && (f.Entry == proxy.EntryHTTP || f.Entry == proxy.EntryConnect) {
		host, port, ok = to.Host, to.Port, true
	}
	known := ok
	matched := ok && r.meant(host, port, func() []netip.Addr {
		known = false
		return nil
	})
	switch {
	case !known:
		return ""
	case matched:
		return matchedWord
	}
	return passedWord
}
