package agent

import (
	"net/netip"
	"time"
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
	// ID is its name, numbered if there are several of that name. What it did
	// is in Report.Injected, at the same index.
	ID string
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
	// Delayed is how many pieces were held by faults that draw delays, for
	// MeanDelay each.
	Delayed   uint64
	MeanDelay time.Duration
	// Bytes is what was carried both ways.
	Bytes uint64
}
