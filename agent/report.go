package agent

import (
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/faultproxy/fault/bpf"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
)

// Report is what happened in a run. All of it was measured.
type Report struct {
	PID    int
	Reason Reason
	// Failed says that the host broke something of the run.
	Failed bool
	// Code is what the command ended with that the run was for; GoesOn says that
	// it has not ended.
	Code   int
	GoesOn bool
	// Idle says that no flow matched although [Config.FailIfIdle] wants some.
	Idle bool
	// Lasted is the time from ready to the end, without draining.
	Lasted time.Duration
	// Pauses is how many times faults were paused, and Paused for how long
	// together.
	Pauses int
	Paused time.Duration
	pauses pauses
	// Flows came to the proxy: Matched through faults, the others unaltered,
	// counted by reason in Passed. CutOff of them were still open when the run
	// had ended.
	Flows, Matched, CutOff uint64
	Passed                 map[string]uint64
	// Errors counts flows that failed, by reason.
	Errors map[string]uint64
	// Intercepted says that the run did that, and Connects counts connect(2)
	// calls by what became of them.
	Intercepted bool
	Connects    map[bpf.Verdict]uint64
	// Open is how many connections were there before the run that matched, and
	// stayed; nil if that is not known. Reset is how many were reset; nil if
	// none should be.
	Open, Reset *int
	// Bytes is what was carried on each link, by [faults.Link].
	Bytes [2]uint64
	// Injected is what each fault of the plan did.
	Injected []Injected
	// Dropped is how many lines nobody read in time.
	Dropped uint64
}

// Injected is what one fault did.
type Injected struct {
	faults.Planned
	// PerLink is what it did to each link, by [faults.Link].
	PerLink [2]LinkInjected
	// Tried is how many packets, or requests, it decided about, and Hit how
	// many of them it chose.
	Tried, Hit uint64
	// Flows is how many flows it did that to, of those that ended.
	Flows uint64
}

// LinkInjected is what one fault did to one link of all flows.
type LinkInjected struct {
	// Delay is how long pieces were held, Late how much of that was not
	// drawn: both in microseconds.
	Delay, Late *hdrhistogram.Histogram
	// Held is the sum of the delays.
	Held time.Duration
	// Swallowed is how many bytes never went on.
	Swallowed uint64
	// BusiestSecond is how many bytes of one flow went on in one second of the
	// run, at most, of the flows that ended.
	BusiestSecond int64
}

// newReport is a report of a run in which nothing has happened yet.
func newReport(plan []faults.Planned) Report {
	r := Report{Passed: make(map[string]uint64), Errors: make(map[string]uint64)}
	for _, f := range plan {
		in := Injected{Planned: f}
		for link := range in.PerLink {
			in.PerLink[link].Delay, in.PerLink[link].Late = newHistogram(), newHistogram()
		}
		r.Injected = append(r.Injected, in)
	}
	return r
}

// newHistogram counts microseconds up to an hour, to three digits.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, time.Hour.Microseconds(), 3)
}

// record clamps what is out of the histogram's range, which would be lost.
func record(h *hdrhistogram.Histogram, d time.Duration) {
	_ = h.RecordValue(min(max(d.Microseconds(), 0), h.HighestTrackableValue()))
}

// injected counts what a fault did to a piece.
func (r *Report) injected(link faults.Link, e faults.Effect, late time.Duration) {
	in := &r.Injected[e.Fault]
	in.Tried += uint64(e.Tried)
	in.Hit += uint64(e.Hit)
	on := &in.PerLink[link]
	switch e.Delay {
	case 0:
	case faults.Never:
		on.Swallowed += uint64(e.Bytes)
	default:
		on.Held += e.Delay + late
		record(on.Delay, e.Delay+late)
		record(on.Late, late)
	}
}

// ended counts a flow.
func (r *Report) ended(f *proxy.Flow) {
	r.Flows++
	if f.Matched {
		r.Matched++
	} else {
		r.Passed[passedReason(f)]++
	}
	if cutOff(f) {
		r.CutOff++
	} else if f.Err != nil {
		r.Errors[proxy.Failure(f.Err)]++
	}
	for link, n := range f.Bytes {
		r.Bytes[link] += uint64(n)
	}
	for n, i := range f.Injected {
		in := &r.Injected[i.Fault]
		if !slices.ContainsFunc(f.Injected[:n], func(other proxy.Injection) bool { return other.Fault == i.Fault }) {
			in.Flows++
		}
		on := &in.PerLink[i.Link]
		on.BusiestSecond = max(on.BusiestSecond, i.BusiestSecond)
	}
}

// cutOff says whether a flow was still open when the run had ended, which is
// no failure of its own.
func cutOff(f *proxy.Flow) bool { return proxy.Failure(f.Err) == "cut-off" }

// passedReason is why a flow passed through unaltered.
func passedReason(f *proxy.Flow) string {
	if failure := proxy.Failure(f.Err); failure == "origin-unknown" {
		return failure
	}
	if f.MatchedBy == proxy.ByAmbiguous {
		return "ambiguous-name"
	}
	return "upstream-not-matched"
}

// LeftAlone is the connect(2) calls, and the sendmsg(2) calls of QUIC, that were
// none of ours; nil if nobody counted.
func (r *Report) LeftAlone() map[string]uint64 {
	if !r.Intercepted {
		return nil
	}
	parts := make(map[string]uint64)
	for verdict, n := range r.Connects {
		if n > 0 && verdict != bpf.Intercepted && verdict != bpf.Agent && verdict != bpf.QUICBlocked {
			parts[string(verdict)] = n
		}
	}
	return parts
}

// clone is a copy that does not change any more.
func (r *Report) clone() *Report {
	c := *r
	c.Passed, c.Errors = maps.Clone(r.Passed), maps.Clone(r.Errors)
	c.Injected = slices.Clone(r.Injected)
	for i := range c.Injected {
		for link := range c.Injected[i].PerLink {
			on := &c.Injected[i].PerLink[link]
			on.Delay, on.Late = copied(on.Delay), copied(on.Late)
		}
	}
	return &c
}

// copied is a copy that does not change any more. Most are empty, and those are
// one, as each takes 188 kB.
func copied(h *hdrhistogram.Histogram) *hdrhistogram.Histogram {
	if h.TotalCount() == 0 {
		return emptyHistogram()
	}
	return h.Clone()
}

var emptyHistogram = sync.OnceValue(newHistogram)

// ExitIdle is the exit code of a command whose run is [Report.Idle].
const ExitIdle = 3

// exitCode is that of a command which is this run.
func (r *Report) exitCode() int {
	switch {
	case r.Failed:
		return 1
	case r.Code != 0:
		return r.Code
	case r.Idle:
		return ExitIdle
	}
	return 0
}

// ids names the faults of a plan, each but once.
func ids(plan []faults.Planned) []string {
	names, of := make([]string, len(plan)), make(map[string]int)
	for i, f := range plan {
		names[i] = f.Name()
		if of[names[i]]++; of[names[i]] > 1 {
			names[i] += "-" + strconv.Itoa(of[f.Name()])
		}
	}
	return names
}

// reportIDs names the faults of a report.
func reportIDs(r *Report) []string {
	plan := make([]faults.Planned, len(r.Injected))
	for i := range r.Injected {
		plan[i] = r.Injected[i].Planned
	}
	return ids(plan)
}

// all merges what a fault did to the two links.
func (in *Injected) all() LinkInjected {
	a, b := in.PerLink[0], in.PerLink[1]
	if b.Delay.TotalCount() > 0 {
		merged := newHistogram()
		merged.Merge(a.Delay)
		merged.Merge(b.Delay)
		a.Delay = merged
		merged = newHistogram()
		merged.Merge(a.Late)
		merged.Merge(b.Late)
		a.Late = merged
	}
	a.Held += b.Held
	a.Swallowed += b.Swallowed
	a.BusiestSecond = max(a.BusiestSecond, b.BusiestSecond)
	return a
}
