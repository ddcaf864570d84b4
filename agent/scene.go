package agent

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/faultproxy/fault/agent/callers"
	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy/mapping"
)

// scene is what a run found and did at its start, as far as its settings do
// not say it.
type scene struct {
	pid int
	// intercepts says that connections are intercepted; then cgroup and places
	// say where, ipv6 is why IPv6 is left alone, nil if it is not, and accepts
	// why connections are accepted before the upstream is dialled, nil if they
	// are held.
	intercepts    bool
	cgroup        string
	places        []event.Namespace
	ipv6, accepts error
	// learns is why names are looked up only, and not learnt from the answers
	// that programs get; nil if they are, or if there are none.
	learns error
	// callers are those that are selected, follows is why what belongs to them
	// later is looked for, and not told by the kernel; nil if it is told.
	callers []callers.Match
	follows error
	// unseen are those of which it is not known whether they are in a network
	// namespace of the run.
	unseen []namespace
	// explicit is why they are not although they should, and hint what to do.
	explicit, hint string
	// hidden says that others cannot look into this process; empty if they can.
	hidden string
	// proxy is where clients ask for the proxy; invalid if they cannot.
	proxy    netip.AddrPort
	mappings []listening
	existing *existing // connections before the run; nil if that is not known
	took     time.Duration
}

// listening is a mapping, and where it is reached.
type listening struct {
	mapping.Mapping
	at netip.AddrPort
}

// carries is what the clients of a mapping send: the word of JSON.
func (m *listening) carries() string {
	switch {
	case m.Network == "udp":
		return "datagrams"
	case m.HTTP:
		return "requests"
	}
	return "bytes"
}

func newScene(r *reporter, at *listeners, took time.Duration) scene {
	cut := r.cut
	s := scene{
		pid: os.Getpid(), intercepts: cut.programs != nil,
		explicit: cut.explicit, hint: cut.hint, existing: cut.existing, took: took,
		hidden: hiddenText(cut.hidden),
	}
	if s.intercepts {
		s.places = cut.namespaces()
		s.cgroup, s.ipv6, s.accepts, s.learns = cut.programs.Cgroup(), cut.programs.IPv6(), cut.accepts, cut.programs.Learns()
		s.callers, s.follows, s.unseen = cut.callers, cut.programs.Follows(), cut.unseen
	}
	if at.proxy != nil && !r.cfg.NoProxy {
		s.proxy = addrPort(at.proxy.Addr())
	}
	for _, m := range at.mapped {
		s.mappings = append(s.mappings, listening{m.Mapping, m.address()})
	}
	return s
}

// wait is how the clients wait that the run is about.
func (s *scene) wait() faults.Wait {
	if s.intercepts && s.accepts == nil {
		return faults.Held
	}
	return faults.Asked
}

// idle is what of the settings means nothing in this run, as far as the
// settings alone do not say so.
func (s *scene) idle(cfg *Config) []string {
	var texts []string
	for i, f := range cfg.Faults {
		does := ""
		switch fault := f.Fault.(type) {
		case faults.HTTPResponse:
			does = "answers no datagrams"
		case faults.ConnectError:
			does = "fails no datagrams"
		case faults.Latency:
			if fault.Phase == faults.AtConnect {
				does = "at connect delays no datagrams"
			}
		default:
			if faults.OfStreams(fault) {
				does = "does nothing to datagrams"
			}
		}
		for _, m := range s.mappings {
			if does != "" && m.Network == "udp" {
				texts = append(texts, fmt.Sprintf("%s %s: it means nothing for --proxy %s", ids(cfg.Faults)[i], does, m))
			}
		}
	}
	if s.explicit != "" {
		for _, c := range cfg.Callers {
			texts = append(texts, fmt.Sprintf("--%s %s means nothing: no connections are intercepted", c.Kind, lines.Shown(c.Value, shownCaller)))
		}
	}
	if s.explicit != "" && len(cfg.Netns) > 0 {
		texts = append(texts, fmt.Sprintf("--netns %s means nothing: no connections are intercepted", strings.Join(cfg.Netns, ",")))
	}
	if s.explicit != "" && cfg.ResetExisting {
		texts = append(texts, "--reset-existing means nothing: no connections are intercepted")
	}
	if s.explicit != "" && cfg.BlockQUIC {
		texts = append(texts, "--quic block means nothing: no connections are intercepted")
	}
	return texts
}

// warnings is what the user must know at the start.
func (s *scene) warnings(cfg *Config) []warning {
	var all []warning
	if s.explicit != "" {
		all = append(all, warning{"not-intercepting", "nothing is intercepted: " + s.explicit, s.hint, true})
	}
	if s.intercepts && s.ipv6 != nil {
		all = append(all, warning{"ipv6-left-alone", fmt.Sprintf("IPv6 is left alone: %v", s.ipv6), "", true})
	}
	if s.intercepts && s.accepts != nil {
		all = append(all, warning{"accepts-first", fmt.Sprintf("connect(2) succeeds before the upstream is reached: %v", s.accepts), "", true})
	}
	if s.learns != nil {
		all = append(all, warning{"names-looked-up", namesText(s.learns), "", true})
	}
	if s.follows != nil {
		all = append(all, warning{"callers-looked-for", followsText(s.follows), "", true})
	}
	for _, a := range s.unseen {
		all = append(all, warning{
			code: "container-netns",
			text: lines.Shown(a.called(), shownCaller) + ": its network namespace may not be looked at, which takes cap_sys_ptrace: if that is not one of this run, its connections are left alone",
			hint: "use sudo",
		})
	}
	if s.hidden != "" {
		all = append(all, warning{"hidden", "fault " + s.hidden, "", true})
	}
	for _, text := range s.idle(cfg) {
		all = append(all, warning{"no-meaning", text, "", true})
	}
	return all
}

// namesText says what it means that names are not learnt.
func namesText(why error) string {
	return fmt.Sprintf("names are looked up every 5 s, and `*.domain` means what /etc/hosts has: DNS answers are not read: %v", why)
}

// followsText says what it means that callers are not followed.
func followsText(why error) string {
	return fmt.Sprintf("children of --pid and cgroups of --unit and --container may be noticed up to 1 s late: %v", why)
}

// shownCaller bounds what is shown of a selector.
const shownCaller = 64
