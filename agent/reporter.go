package agent

import (
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
)

// reporter is told of flows, keeps count of them and says what happens. It is
// the run's [proxy.Observer].
type reporter struct {
	cfg   *Config
	clock proxy.Clock
	cut   *interception
	room  flowLimit
	out   *lines.Writer // for people; nil for none
	json  *lines.Writer // for programs; nil for none
	warn  warner
	log   flowLog
	young young
	tail  tail
	// meant is what the proxy asks.
	meant matcher
	ids   []string // of the faults
	// delaying is the first fault that draws delays, of which the pairs tell;
	// -1 if there is none. A piece may be delayed by several.
	delaying int
	said     string // the last of the lines about progress, without its time
	server   *proxy.Server
	scene    scene
	page     string // the start page, as it is shown again

	paused  atomic.Bool // written under stateMu
	stateMu sync.Mutex
	states  []state // of the faults
	pauses  pauses
	ending  bool

	mu    sync.Mutex
	total Report
	began uint64 // flows
	pairs *pairs
	pace  pace
}

func newReporter(cfg *Config, cut *interception, clock proxy.Clock) *reporter {
	r := &reporter{
		cfg: cfg, clock: clock, cut: cut, out: cfg.Out, json: cfg.JSON, ids: ids(cfg.Faults),
	}
	if r.out == r.json {
		r.out = nil
	}
	if r.json != nil {
		r.json.ForPrograms()
	}
	r.meant = cut.matcher(cfg.Upstreams)
	r.room = flowLimit{limit: FlowLimit().Flows, pause: cut.pause, resume: cut.begin}
	r.log = flowLog{log: cfg.Log, plan: cfg.Faults, ids: r.ids}
	r.young.tell = cfg.Tail && r.out != nil || r.json != nil
	if cfg.Screen != nil {
		r.pairs = newPairs()
	}
	r.delaying = slices.IndexFunc(cfg.Faults, func(f faults.Planned) bool { return delays(f.Fault) != nil })
	r.total = newReport(cfg.Faults)
	r.total.PID = os.Getpid()
	r.total.Intercepted = cut.programs != nil
	r.server = newServer(r)
	return r
}

// newServer is the proxy of a run.
func newServer(r *reporter) *proxy.Server {
	s := &proxy.Server{
		Plan:      &faults.Plan{Faults: r.cfg.Faults, Seed: r.cfg.Seed, Paused: r.paused.Load},
		Matches:   r.meant,
		NoClients: r.cfg.NoProxy,
		Upstream:  r.cfg.HTTPUpstream,
		TLS:       r.cfg.TLS,
		Observer:  r,
		Buffers:   r.cfg.Buffers,
		Clock:     r.clock,
		Log:       r.cfg.Log,
	}
	if r.cut.programs != nil {
		s.Exempt = r.cut.programs.Exempt
		if own := r.cut.own(); own != nil {
			s.Origin = func(c net.Conn) (proxy.Intercepted, bool, error) { return r.cut.origin(own, c) }
		}
	}
	return s
}

// FlowOpened is that of [proxy.Observer].
func (r *reporter) FlowOpened(f *proxy.Flow) {
	r.room.add(1)
	r.young.add(f)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began++
	r.pairs.opened(f)
}

// FlowNamed is that of [proxy.Observer].
func (r *reporter) FlowNamed(f *proxy.Flow) { r.young.named(f) }

// Injected is that of [proxy.Observer].
func (r *reporter) Injected(f *proxy.Flow, link faults.Link, e faults.Effect, late time.Duration) {
	if e.Delay == faults.Never {
		r.young.held(f.ID, e.Fault, link)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total.injected(link, e, late)
	if e.Fault == r.delaying && e.Delay > 0 {
		r.pairs.injected(f.ID, e.Delay+late)
	}
}

// FlowEnded is that of [proxy.Observer].
func (r *reporter) FlowEnded(f *proxy.Flow) {
	r.room.add(-1)
	r.young.remove(f.ID) // from here on nobody says that it is open
	r.mu.Lock()
	r.total.ended(f)
	r.pairs.ended(f)
	r.mu.Unlock()
	r.flow(f)
	r.log.ended(f)
	r.warnOfTLS(f)
}

// flow tells of a flow that has ended.
func (r *reporter) flow(f *proxy.Flow) {
	now := time.Now()
	if r.cfg.Tail && r.out != nil {
		r.tailed(now, func() string { return flowLine(r.cfg.Style, now, f, r.cfg.Faults, r.ids) })
	}
	if r.json != nil {
		r.json.Print(event.Line(flowEvent(r.head(event.OfFlow, now), f, r.cfg.Faults, r.ids)))
	}
}

// head is that of an event of now.
func (r *reporter) head(word string, now time.Time) event.Head {
	return event.NewHead(word, now, r.clock.Now())
}

// print says something to people, if they do not see it elsewhere.
func (r *reporter) print(text string) {
	if r.out != nil && r.cfg.Screen == nil {
		r.out.Print(r.cfg.Style.Glyphs(text))
	}
}

// emit says something to programs.
func (r *reporter) emit(e any) {
	if r.json != nil {
		r.json.Print(event.Line(e))
	}
}

// started says what the run does, once it does.
func (r *reporter) started() {
	s := &r.scene
	r.page = startPage(r.cfg, s, style.Style{Columns: 80})
	if r.out != nil {
		r.out.Print(r.cfg.Style.Glyphs(startPage(r.cfg, s, r.cfg.Style)))
	}
	r.emit(startEvent(r.head(event.OfStart, time.Now()), r.cfg, s))
	for _, w := range s.warnings(r.cfg) {
		r.warning(w)
	}
	r.beginStates()
}

// endBegins says that the run is over but for what is open, and returns when.
func (r *reporter) endBegins() time.Duration {
	r.stateMu.Lock()
	defer r.stateMu.Unlock()
	r.ending = true
	return r.clock.Now()
}

// finish says what happened.
func (r *reporter) finish(reason Reason, lasted time.Duration, failed bool) Report {
	if r.cfg.Screen != nil {
		r.cfg.Screen.Hide()
	}
	r.tailEnd()
	r.endStates()
	r.log.close()
	r.warn.wait()
	paused := r.pausesSoFar()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total.Reason, r.total.Lasted, r.total.Failed = reason, lasted, failed
	if r.cfg.Exit != nil {
		code, ended := r.cfg.Exit()
		r.total.Code, r.total.GoesOn = code, !ended
	}
	r.total.Idle = r.cfg.FailIfIdle && r.total.Matched == 0
	r.total.pauses, r.total.Pauses, r.total.Paused = paused, len(paused), paused.total(lasted)
	r.total.Connects = r.cut.counts()
	r.total.Open, r.total.Reset = r.cut.existing.untouched(), r.cut.existing.wasReset(r.cfg)
	for _, w := range []*lines.Writer{r.out, r.json} {
		if w != nil {
			r.total.Dropped += w.Dropped()
		}
	}
	last := event.Line(summaryEvent(r.head(event.OfSummary, time.Now()), r.cfg, &r.total))
	if r.out != nil {
		r.out.PrintLast(r.cfg.Style.Glyphs(summary(r.cfg, &r.total, r.cfg.Style)))
		if r.cfg.SummaryJSON {
			r.out.PrintLast(last)
		}
	}
	if r.json != nil {
		r.json.PrintLast(last)
	}
	return r.total
}
