package agent

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/faultproxy/fault/bpf"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
)

// Reason is why a run ended.
type Reason string

// The reasons.
const (
	ByDuration Reason = "duration"
	BySignal   Reason = "signal"
)

// Report is what happened in a run. All of it was measured.
type Report struct {
	Reason Reason
	// Lasted is the time from ready to the end, without draining.
	Lasted time.Duration
	// Flows came to the proxy: Matched through faults, the others unaltered.
	// CutOff of them were still open when the run had ended.
	Flows, Matched, CutOff uint64
	// Errors counts flows that failed, by reason.
	Errors map[string]uint64
	// Connects counts connect(2) calls by what became of them; nil if the run
	// did not intercept.
	Connects map[bpf.Verdict]uint64
	// Bytes is what was carried on each link, by [faults.Link].
	Bytes [2]uint64
	// Injected is what each fault of the plan did.
	Injected []Injected
}

// Injected is what one fault did to each link, by [faults.Link].
type Injected struct {
	Fault faults.Fault
	// Delay is how long pieces were held, Late how much of that was not
	// drawn: both in microseconds.
	Delay, Late [2]*hdrhistogram.Histogram
}

// reporter is told of flows and keeps count of them. It is the run's
// [proxy.Observer].
type reporter struct {
	cfg   *Config
	clock proxy.Clock
	cut   *interception
	room  flowLimit

	mu    sync.Mutex
	total Report
}

func newReporter(cfg *Config, cut *interception) *reporter {
	r := &reporter{cfg: cfg, clock: proxy.NewClock(), cut: cut}
	r.room = flowLimit{limit: maxFlows(), pause: cut.pause, resume: cut.begin}
	r.total.Errors = make(map[string]uint64)
	for _, f := range cfg.Faults {
		in := Injected{Fault: f}
		for link := range in.Delay {
			in.Delay[link], in.Late[link] = newHistogram(), newHistogram()
		}
		r.total.Injected = append(r.total.Injected, in)
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

// FlowOpened is that of [proxy.Observer].
func (r *reporter) FlowOpened(*proxy.Flow) { r.room.add(1) }

// Injected is that of [proxy.Observer].
func (r *reporter) Injected(link faults.Link, d faults.Delay, late time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	in := &r.total.Injected[d.Fault]
	record(in.Delay[link], d.Length+late)
	record(in.Late[link], late)
}

// FlowEnded is that of [proxy.Observer].
func (r *reporter) FlowEnded(f *proxy.Flow) {
	r.room.add(-1)
	failure := proxy.Failure(f.Err)
	r.mu.Lock()
	r.total.Flows++
	if f.Matched {
		r.total.Matched++
	}
	switch failure {
	case "":
	case "cut-off":
		r.total.CutOff++
	default:
		r.total.Errors[failure]++
	}
	for link, n := range f.Bytes {
		r.total.Bytes[link] += uint64(n)
	}
	r.mu.Unlock()
	if r.cfg.Tail {
		r.print(flowLine(time.Now(), f, failure))
	}
	logFlow(r.cfg.Log, f, failure)
}

// started writes the start page.
func (r *reporter) started(at netip.AddrPort, took time.Duration) {
	r.print(startPage(r.cfg, r.cut, at, took))
	if r.cut.explicit != "" && r.cfg.Out == nil {
		r.cfg.Warn("nothing is intercepted: "+r.cut.explicit, r.cut.hint)
	}
}

func (r *reporter) print(text string) {
	if r.cfg.Out != nil {
		r.cfg.Out.Print(text)
	}
}

// finish writes the summary.
func (r *reporter) finish(reason Reason, lasted time.Duration) Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total.Reason, r.total.Lasted = reason, lasted
	r.total.Connects = r.cut.counts()
	r.print(summary(&r.total))
	return r.total
}

// flowLimit keeps flows from taking the last descriptors. At the limit new
// connections go direct, until some have ended.
type flowLimit struct {
	limit         int64
	pause, resume func() error

	open   atomic.Int64
	mu     sync.Mutex
	paused bool
}

// descriptorsPerFlow is what one flow needs at most: two sockets, and for each
// link the pipe through which the kernel moves bytes.
const descriptorsPerFlow = 6

func maxFlows() int64 {
	const own = 64 // everything that is not a flow
	return max(1, (descriptorLimit()-own)/descriptorsPerFlow)
}

func (l *flowLimit) add(n int64) {
	open := l.open.Add(n)
	if open != l.limit && open != l.limit*9/10 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch open := l.open.Load(); {
	case !l.paused && open >= l.limit:
		l.paused = l.pause() == nil
	case l.paused && open <= l.limit*9/10:
		l.paused = l.resume() != nil
	}
}
