package agent

import (
	"fmt"
	"net/netip"

	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy/mapping"
)

// line is one of the start page.
func (p *page) line(label, format string, args ...any) {
	p.printf("  %-10s  "+format+"\n", append([]any{label}, args...)...)
}

// startPage says what the run does, once it does.
func startPage(cfg *Config, s *scene) string {
	var p page
	p.printf("fault %s  pid %d  seed %d\n\n", cfg.Version, s.pid, cfg.Seed)
	p.line("intercepts", "%s", intercepts(cfg, s))
	p.line("upstreams", "%s", upstreams(cfg, s))
	p.faults(cfg, s)
	p.listeners(cfg, s)
	if s.intercepts {
		p.line("untouched", "%sconnections that are already open; other network namespaces", known(s.open))
	}
	p.line("ends", "%son SIGINT, SIGTERM, SIGHUP", after(cfg))
	p.printf("\nready after %d ms\n\n", s.took.Milliseconds())
	return p.String()
}

func intercepts(cfg *Config, s *scene) string {
	switch {
	case !s.intercepts && s.explicit == "":
		return "nothing"
	case !s.intercepts:
		return "nothing: " + s.explicit
	}
	where := "this network namespace"
	if cfg.Cgroup != "" {
		where += " and cgroup " + cfg.Cgroup
	}
	switch {
	case cfg.PID != 0:
		where = fmt.Sprintf("process %d in %s", cfg.PID, where)
	case cfg.Process != "":
		where = fmt.Sprintf("processes named %s in %s", lines.Shown(cfg.Process, 64), where)
	}
	families := "IPv4, IPv6"
	if s.ipv6 != nil {
		families = fmt.Sprintf("IPv4; IPv6 is left alone: %v", s.ipv6)
	}
	return fmt.Sprintf("every new TCP connection from %s, %s", where, families)
}

func upstreams(cfg *Config, s *scene) string {
	switch {
	case len(cfg.Upstreams) > 0:
	case !s.proxy.IsValid():
		return "none: only what clients send to the mappings"
	case len(s.mappings) > 0:
		return "none: only what clients send to the proxy and the mappings"
	default:
		return "none: only what clients send to the proxy"
	}
	text := cfg.Upstreams.String()
	for _, p := range cfg.Upstreams {
		switch {
		case !s.intercepts || !p.Any || p.Exclude || p.Port != 0:
		case len(cfg.Upstreams) == 1:
			return text + " except loopback and DNS"
		default:
			return text + " except loopback and DNS, unless named"
		}
	}
	return text
}

// faults says what is injected, and what is to be expected of it.
func (p *page) faults(cfg *Config, s *scene) {
	if len(cfg.Faults) == 0 {
		p.line("faults", "none: everything passes through")
	}
	names, width := ids(cfg.Faults), 0
	for _, name := range names {
		width = max(width, len(name))
	}
	label := "faults"
	for i, f := range cfg.Faults {
		text := f.String()
		if f.Schedule != nil {
			text += "; " + f.Schedule.String()
		}
		p.line(label, "%-*s  %s", width, names[i], text)
		label = ""
	}
	for i, f := range cfg.Faults {
		if l, ok := f.Fault.(faults.Latency); ok {
			q := func(share float64) string { return ms(faults.Quantile(l.Delay, share)) }
			p.line("expect", "%s p50 %s, p95 %s, p99 %s ms", names[i], q(.5), q(.95), q(.99))
		}
		if _, ok := f.Fault.(faults.HTTPResponse); ok {
			p.line("note", "%s sees plain HTTP only; what is in TLS passes, also inside CONNECT", names[i])
		}
	}
	for _, text := range s.idle(cfg) {
		p.line("note", "%s", text)
	}
}

// listeners says where clients get to the faults if they ask.
func (p *page) listeners(cfg *Config, s *scene) {
	label := "mappings"
	for _, m := range s.mappings {
		text := fmt.Sprintf("%v -> %s", m.at, m.Target())
		if m.TLS != mapping.NoTLS {
			text += " in TLS"
		}
		if carries := m.carries(); carries != "bytes" {
			text += ", " + carries
		}
		p.line(label, "%s", text)
		label = ""
	}
	if !s.proxy.IsValid() {
		return
	}
	p.line("proxy", "http://%v for clients that ask for it", s.proxy)
	if to := cfg.HTTPUpstream; to != nil {
		p.line("", "all that they ask for goes to %s", override(to))
	}
	if !s.intercepts {
		p.line("try", "curl -x http://%v http://example.com/", reachable(s.proxy))
	}
}

// reachable is an address to connect to; a wildcard is none everywhere.
func reachable(at netip.AddrPort) netip.AddrPort {
	if at.Addr().IsUnspecified() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
	}
	return at
}

func after(cfg *Config) string {
	if cfg.Duration == 0 {
		return ""
	}
	return fmt.Sprintf("after %s, or ", clock(cfg.Duration))
}

// known is a count and a space, nothing if it is not known.
func known(n *int) string {
	if n == nil {
		return ""
	}
	return count(*n) + " "
}
