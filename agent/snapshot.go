package agent

import (
	"net/netip"
	"slices"
	"time"

	"github.com/faultproxy/fault/faults"
)

// Snapshot is a run at a moment. Nobody changes it any more.
type Snapshot struct {
	// StartPage is what was said when the run was ready, for a window of 80
	// columns.
	StartPage string
	// At is the time of the run, and Duration when it ends; 0 if it does not
	// by itself.
	At, Duration time.Duration
	// Ending says that new connections go direct and the last flows drain.
	Ending bool
	// Paused says that all faults are paused, since PausedAt.
	Paused   bool
	PausedAt time.Duration
	// Upstreams is what is meant, in words, and IPv6 whether that is
	// intercepted, too.
	Upstreams string
	IPv6      bool
	// Proxy is where clients ask for the proxy; invalid if they cannot.
	Proxy netip.AddrPort
	// Open is how many flows are, and PerSecond how many began in each of the
	// last seconds.
	Open      int64
	PerSecond float64
	// Waiting is how many bytes the faults hold.
	Waiting int64
	// BytesPerSecond is how many went on in each of the last seconds, by
	// [faults.Link]. What has gone on since the start is in Report.Bytes, here
	// with that of open flows.
	BytesPerSecond [2]float64
	// Faults are those of the plan.
	Faults []FaultState
	// Report is what happened so far. Its Flows are those that have ended.
	Report *Report
	// Pairs is who talks to whom, those with most flows lately first; there
	// are MorePairs more.
	Pairs     []Pair
	MorePairs int
}

// FaultState is a fault of the plan, and whether it is on.
type FaultState struct {
	// Label is what people know it by, as [Labels] has it. What it did is in
	// Report.Injected, at the same index.
	Label string
	// On says that its schedule is on. If the run is paused it does nothing
	// nevertheless.
	On bool
	// Next is when that changes during the run, [faults.Never] if it does not.
	Next time.Duration
	// Changed is when it did last.
	Changed time.Duration
}

// Pair is flows of one program to one upstream.
type Pair struct {
	// Process is the program's name; empty for an explicit client. PID is its
	// only process so far, 0 if there were several.
	Process string
	PID     uint32
	// Upstream is host:port.
	Upstream string
	// Flows is how many there were, of which Open are.
	Flows, Open uint64
	// Delayed is how many pieces were held by the first of the faults that
	// draw delays, for MeanDelay each.
	Delayed   uint64
	MeanDelay time.Duration
	// Bytes is what was carried both ways.
	Bytes uint64
}

// snapshot is the run now.
func (r *reporter) snapshot() Snapshot {
	now := r.clock.Now()
	connects := r.cut.counts()
	carried := r.server.Carried()
	s := Snapshot{
		StartPage: r.page, At: now, Duration: r.cfg.Duration,
		Upstreams: upstreams(r.cfg, &r.scene), IPv6: r.scene.intercepts && r.scene.ipv6 == nil, Proxy: r.scene.proxy,
		Open: r.room.open.Load(), Waiting: r.server.Waiting(),
	}
	r.stateMu.Lock()
	s.Ending, s.Paused = r.ending, r.paused.Load()
	if s.Paused {
		s.PausedAt = r.pauses[len(r.pauses)-1].Start
	}
	paused := slices.Clone(r.pauses)
	for _, state := range r.states {
		s.Faults = append(s.Faults, FaultState{Label: state.label, On: state.on, Next: r.within(state.next), Changed: state.changed})
	}
	r.stateMu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	s.PerSecond, s.BytesPerSecond = r.pace.per(sample{now, r.began, carried})
	s.Pairs, s.MorePairs = r.pairs.top(now)
	s.Report = r.total.clone()
	s.Report.Lasted, s.Report.Connects = now, connects
	s.Report.pauses, s.Report.Pauses, s.Report.Paused = paused, len(paused), paused.total(now)
	for link, n := range carried {
		s.Report.Bytes[link] = uint64(n)
	}
	return s
}

// within is a time of the run, [faults.Never] if it is behind its end.
func (r *reporter) within(at time.Duration) time.Duration {
	if d := r.cfg.Duration; d > 0 && at >= d {
		return faults.Never
	}
	return at
}
