package agent

import (
	"os"

	"go.uber.org/zap"

	"github.com/faultproxy/fault/agent/control"
	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/agent/words"
)

// answers is a run as others on this host see it.
type answers struct{ *Control }

// serve lets others on this host see and steer the run, where they can.
func (c *Control) serve() (stop func()) {
	stop, err := control.Serve(os.Getpid(), answers{c}, c.run.cfg.Log)
	if err != nil {
		c.run.cfg.Log.Info("`fault status` cannot see this run", zap.Error(err))
	}
	return stop
}

// Stop is that of [control.Agent].
func (a answers) Stop() { a.End(ByStop) }

// Status is that of [control.Agent].
func (a answers) Status() control.Status {
	r := a.run
	now := r.clock.Now()
	s := control.Status{
		PID: r.scene.pid, Version: r.cfg.Version, UpS: event.Seconds(now), Mode: mode(r.scene.intercepts),
		Upstreams: patterns(r.cfg), Open: r.room.open.Load(), Faults: []control.Fault{},
	}
	if d := r.cfg.Duration; d > 0 {
		s.EndsInS = event.Some(event.Seconds(max(0, d-now)))
	}
	if r.scene.proxy.IsValid() {
		s.Listen = r.scene.proxy.String()
	}
	if places := r.cut.staying(); len(r.cfg.Netns) > 0 || len(places) > 1 {
		for _, p := range places {
			s.Netns = append(s.Netns, p.called())
		}
	}
	r.stateMu.Lock()
	s.Paused, s.Ending = r.paused.Load(), r.ending
	for _, state := range r.states {
		s.Faults = append(s.Faults, control.Fault{ID: state.id, On: state.on})
	}
	r.stateMu.Unlock()
	connects := r.cut.counts()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total.Connects = connects
	s.Matched, s.Errors, s.LeftAlone = r.total.Matched, words.Total(r.total.Errors), flowCounts(&r.total).LeftAlone
	return s
}
