package agent

import (
	"strconv"

	"github.com/faultproxy/fault/agent/callers"
	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
	"github.com/faultproxy/fault/proxy/mapping"
)

// startEvent is the start page for programs.
func startEvent(head event.Head, cfg *Config, s *scene) event.Start {
	e := event.Start{
		Head: head, Schema: event.Schema, Version: cfg.Version, PID: s.pid,
		Mode: mode(s.intercepts), WhyExplicit: s.explicit,
		Mappings: []event.Mapping{}, Upstreams: patterns(cfg), Faults: []event.Fault{},
		Seed: seed(cfg), DurationS: event.Seconds(cfg.Duration), OpenConnections: s.existing.untouched(),
		OpenBy: existingEvents(s.existing), ResetConnections: s.existing.wasReset(cfg),
	}
	if s.intercepts {
		e.Interception = &event.Interception{
			Cgroup: s.cgroup, Callers: callerEvents(s), IPv4: true, IPv6: s.ipv6 == nil,
			QUIC: quicWord(cfg), HoldsSYN: s.accepts == nil,
		}
		for _, p := range s.places {
			if p.Name == OwnNetns {
				e.Interception.Netns = p.Netns
			}
		}
		if len(cfg.Netns) > 0 || len(s.places) > 1 {
			e.Interception.Namespaces = s.places
		}
		only(e.Interception, s.callers)
	}
	if s.proxy.IsValid() {
		e.Listen = s.proxy.String()
		if cfg.HTTPUpstream != nil {
			e.HTTPUpstreamOverride = override(cfg.HTTPUpstream)
		}
	}
	if by := cfg.StartedBy; by.PID != 0 {
		e.StartedBy = &event.Starter{PID: by.PID, Name: by.Name}
	}
	for _, m := range s.mappings {
		e.Mappings = append(e.Mappings, event.Mapping{
			Listen: m.at.String(), Target: m.Target(), Carries: m.carries(), TLS: m.TLS != mapping.NoTLS,
		})
	}
	for i, f := range cfg.Faults {
		e.Faults = append(e.Faults, event.Fault{
			ID: ids(cfg.Faults)[i], Fault: f.Name(), Links: links(f.Fault),
			Settings: settingsOf(f), Schedule: periods(f.Schedule, cfg),
		})
	}
	return e
}

// callerEvents are whose connections are meant.
func callerEvents(s *scene) []event.Caller {
	var all []event.Caller
	for _, c := range s.callers {
		one := event.Caller{Kind: string(c.Kind), Value: c.Value, Present: c.Present}
		if c.Processes >= 0 {
			one.Processes = &c.Processes
		}
		all = append(all, one)
	}
	return all
}

// only fills the keys of the time when there could be but one caller.
func only(e *event.Interception, all []callers.Match) {
	if len(all) != 1 {
		return
	}
	switch one := all[0]; one.Kind {
	case callers.Process:
		e.Process = one.Value
	case callers.PID:
		e.PID = one.ID()
	case callers.Cgroup:
		e.Cgroup = one.Cgroup
	}
}

// quicWord is the word of --quic.
func quicWord(cfg *Config) string {
	if cfg.BlockQUIC {
		return "block"
	}
	return "pass"
}

// patterns are the upstreams as they were given.
func patterns(cfg *Config) []string {
	all := make([]string, len(cfg.Upstreams))
	for i, u := range cfg.Upstreams {
		all[i] = u.String()
	}
	return all
}

// mode is the word for whether a run intercepts.
func mode(intercepts bool) string {
	if intercepts {
		return "transparent"
	}
	return "explicit"
}

func seed(cfg *Config) string { return strconv.FormatUint(cfg.Seed, 10) }

// override is where all goes that clients ask the proxy for, as a URL.
func override(to *proxy.Target) string {
	if to.TLS {
		return "https://" + to.String()
	}
	return "http://" + to.String()
}

// links are the words for the links of a fault; nil if it has none.
func links(f faults.Fault) []string {
	var words []string
	for _, link := range []faults.Link{faults.ToServer, faults.ToClient} {
		if f.Links().Has(link) {
			words = append(words, link.String())
		}
	}
	return words
}

// periods is when a fault is on, at most until the run ends.
func periods(s faults.Schedule, cfg *Config) []event.Period {
	if s == nil {
		s = faults.Schedule{{Start: 0, End: faults.Never}}
	}
	all := make([]event.Period, len(s))
	for i, p := range s {
		all[i].StartS = event.Seconds(p.Start)
		if cfg.Duration > 0 {
			p.End = min(p.End, cfg.Duration)
		}
		if p.End != faults.Never {
			all[i].EndS = event.Some(event.Seconds(p.End))
		}
	}
	return all
}
