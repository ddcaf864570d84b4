package agent

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/faultproxy/fault/agent/callers"
	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/agent/words"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy/mapping"
)

// startPage says what the run does, once it does.
func startPage(cfg *Config, s *scene, look style.Style) string {
	p := startText{look: look}
	p.title(cfg, s)
	p.fields(startFields(cfg, s, look))
	p.ready(s.took)
	if cfg.Screen == nil {
		p.printf("\n") // lines follow
	}
	return p.String()
}

// stepLine tells of a step of a start that takes its time.
func stepLine(text string) string { return lines.Shown(text, shownStep) + "\n" }

// shownStep bounds a step that people read.
const shownStep = pageWidth

// startFields is what the start page has to say.
func startFields(cfg *Config, s *scene, look style.Style) []field {
	all := []field{interceptsField(cfg, s)}
	if len(s.callers) > 0 {
		all = append(all, callersField(s))
	}
	if s.follows != nil {
		all = append(all, labelled("note", entry{text: followsText(s.follows), role: style.Warn}))
	}
	all = append(all, upstreamsField(cfg, s))
	all = append(all, faultFields(cfg, s)...)
	all = append(all, listenerFields(cfg, s)...)
	if s.intercepts {
		all = append(all, connectsField(s))
		if cfg.BlockQUIC {
			all = append(all, labelled("quic", entry{
				text:  "fails at once, so that clients fall back to TCP: UDP to port 443",
				short: "fails at once: UDP to port 443",
			}))
		}
		if cfg.ResetExisting && s.existing != nil {
			all = append(all, resetField(s.existing))
		}
		all = append(all, untouchedFields(s.existing)...)
	}
	if s.hidden != "" {
		all = append(all, labelled("note", entry{text: s.hidden, role: style.Warn}))
	}
	return append(all, labelled("ends", ends(cfg, look)))
}

func interceptsField(cfg *Config, s *scene) field {
	text := intercepts(cfg, s)
	e := entry{text: text, short: strings.Replace(text, ", IPv4, IPv6", ", IPv4 and IPv6", 1)}
	if s.explicit != "" || s.intercepts && s.ipv6 != nil {
		e.role = style.Warn
	}
	return labelled("intercepts", e)
}

func intercepts(cfg *Config, s *scene) string {
	switch {
	case !s.intercepts && s.explicit == "":
		return "nothing"
	case !s.intercepts:
		return "nothing: " + s.explicit
	}
	where := s.where()
	switch {
	case cfg.Callers.Selects():
		where = "these callers in " + where
	case len(cfg.Callers) > 0:
		where += " but of these callers"
	}
	families := "IPv4, IPv6"
	if s.ipv6 != nil {
		families = fmt.Sprintf("IPv4; IPv6 is left alone: %v", s.ipv6)
	}
	return fmt.Sprintf("every new TCP connection from %s, %s", where, families)
}

// callersField says whose connections are meant, and what there is of them.
func callersField(s *scene) field {
	f := field{label: "callers"}
	for _, c := range s.callers {
		e := entry{text: lines.Shown(c.Selector.String(), shownCaller) + ": " + c.String()}
		if !c.Present && c.Kind != callers.ExceptProcess && c.Kind != callers.Command {
			e.role = style.Warn
		}
		f.entries = append(f.entries, e)
	}
	return f
}

// connectsField says what connect(2) tells of the upstream.
func connectsField(s *scene) field {
	if s.accepts == nil {
		return labelled("connects", entry{
			text:  "end as the upstream has them end: refused, unreachable, in time or not at all",
			short: "end as the upstream has them end",
		})
	}
	return labelled("connects", entry{
		text: fmt.Sprintf("succeed before the upstream is reached, then a reset tells: %v", s.accepts),
		role: style.Warn,
	})
}

func upstreamsField(cfg *Config, s *scene) field {
	text := upstreams(cfg, s)
	return labelled("upstreams", entry{text: text, short: strings.Replace(text, " loopback and DNS", " loopback, DNS", 1)})
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

// faultFields says what is injected, and what is to be expected of it.
func faultFields(cfg *Config, s *scene) []field {
	injected, names := field{label: "faults"}, Labels(cfg.Faults)
	if len(names) == 0 {
		injected.entries = []entry{{text: "none: everything passes through", role: style.Warn}}
	}
	for i, f := range cfg.Faults {
		text := f.String()
		if answer, ok := f.Fault.(faults.HTTPResponse); ok { // its name has the status
			text = strings.TrimPrefix(text, fmt.Sprintf("status %d for ", answer.Status))
		}
		if f.Probability != nil {
			text += "; " + words.Percent(*f.Probability) + " of flows"
		}
		if f.Schedule != nil {
			text += "; " + f.Schedule.String()
		}
		injected.entries = append(injected.entries, entry{name: names[i], text: text})
	}
	all := []field{injected}
	for i, f := range cfg.Faults {
		switch f := f.Fault.(type) {
		case faults.Latency:
			q := func(share float64) string { return words.MS(faults.Quantile(f.Delay, share)) }
			expect := field{label: "expect", wideOnly: true, entries: []entry{{
				text: fmt.Sprintf("%s p50 %s, p95 %s, p99 %s ms", names[i], q(.5), q(.95), q(.99)),
			}}}
			if f.OnConnect(s.wait()) {
				expect.wideOnly = false
				expect.entries = append(expect.entries, costs(f))
			}
			all = append(all, expect)
		case faults.HTTPResponse:
			all = append(all, labelled("note", entry{
				text: names[i] + " sees plain HTTP only; what is in TLS passes, also inside CONNECT",
			}))
		}
	}
	for _, text := range s.idle(cfg) {
		all = append(all, labelled("note", entry{text: text, role: style.Warn}))
	}
	return all
}

// costs says what connecting costs with a latency that it meets.
func costs(f faults.Latency) entry {
	draws := 0
	for _, link := range []faults.Link{faults.ToServer, faults.ToClient} {
		if f.Links().Has(link) {
			draws++
		}
	}
	heard := draws // before the first byte of an answer
	if f.Phase != faults.AtConnect {
		heard *= 2
	}
	mean, ok := faults.Expected(f.Delay)
	if !ok {
		return entry{text: fmt.Sprintf("a connect takes %s longer, the first byte of an answer %s",
			words.Counted(uint64(draws), "draw"), words.Counted(uint64(heard), "draw"))}
	}
	connect, first := words.MS(time.Duration(draws)*mean), words.MS(time.Duration(heard)*mean)
	return entry{
		text:  fmt.Sprintf("a connect takes %s ms longer, the first byte of an answer %s ms, on average", connect, first),
		short: fmt.Sprintf("connect +%s ms, first byte +%s ms", connect, first),
	}
}

// listenerFields says where clients get to the faults if they ask.
func listenerFields(cfg *Config, s *scene) []field {
	var all []field
	if len(s.mappings) > 0 {
		mapped := field{label: "mappings"}
		for _, m := range s.mappings {
			text := fmt.Sprintf("%v -> %s", m.at, m.Target())
			if m.TLS != mapping.NoTLS {
				text += " in TLS"
			}
			if carries := m.carries(); carries != "bytes" {
				text += ", " + carries
			}
			mapped.entries = append(mapped.entries, entry{text: text})
		}
		all = append(all, mapped)
	}
	if !s.proxy.IsValid() {
		return all
	}
	at := fmt.Sprintf("http://%v", s.proxy)
	proxy := labelled("proxy", entry{text: at + " for clients that ask for it", short: at})
	if to := cfg.HTTPUpstream; to != nil {
		proxy.entries = append(proxy.entries, entry{text: "all that they ask for goes to " + override(to)})
	}
	all = append(all, proxy)
	if !s.intercepts {
		all = append(all, labelled("try", entry{text: fmt.Sprintf("curl -x http://%v http://example.com/", reachable(s.proxy))}))
	}
	return all
}

// reachable is an address to connect to; a wildcard is none everywhere.
func reachable(at netip.AddrPort) netip.AddrPort {
	if at.Addr().IsUnspecified() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
	}
	return at
}

// ends is what ends the run, as far as this reader can.
func ends(cfg *Config, look style.Style) entry {
	how, by, starter := "on", "SIGINT, SIGTERM, SIGHUP", startedBy(cfg)
	switch {
	case cfg.Screen != nil:
		how, by = "with", "q or Ctrl-C"
	case look.Columns > 0:
		how, by = "with", "Ctrl-C"
	case starter != "" && cfg.Duration == 0:
		return entry{text: fmt.Sprintf("on %s, or with %s", by, starter)}
	case starter != "":
		return entry{text: fmt.Sprintf("after %s, on %s, or with %s", words.Clock(cfg.Duration), by, starter)}
	}
	if cfg.Duration == 0 {
		return entry{text: how + " " + by, short: by}
	}
	after := "after " + words.Clock(cfg.Duration)
	return entry{text: after + ", or " + how + " " + by, short: after + ", " + by}
}

// startedBy names the process with which the run ends; "" if there is none.
func startedBy(cfg *Config) string {
	switch by := cfg.StartedBy; {
	case by.PID == 0:
		return ""
	case by.Name == "":
		return fmt.Sprintf("process %d", by.PID)
	default:
		return fmt.Sprintf("%s (pid %d)", lines.Shown(by.Name, 64), by.PID)
	}
}

// known is a count and a space, nothing if it is not known.
func known(n *int) string {
	if n == nil {
		return ""
	}
	return words.Count(*n) + " "
}
