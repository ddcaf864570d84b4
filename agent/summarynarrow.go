package agent

import (
	"fmt"
	"strings"

	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/agent/words"
	"github.com/faultproxy/fault/bpf"
)

// narrow is a summary for windows that have no room for the other one.
func (p *summaryText) narrow(cfg *Config, r *Report) {
	columns := pageColumns(p.look)
	text, exit := ended(r)
	exitAs := p.look.As(badIf(uint64(r.exitCode())), exit)
	if style.Width(text+", "+exit) <= columns {
		p.printf("%s, %s\n", p.named(text), exitAs)
	} else {
		p.printf("%s\n", p.named(strings.Join(wrap(text, columns), "\n")))
		if r.exitCode() != 0 {
			p.printf("%s\n", exitAs)
		}
	}
	names := reportLabels(r)
	for i := range r.Injected {
		if in := &r.Injected[i]; delays(in.Fault) != nil {
			p.narrowDelays(names[i], in)
		} else {
			p.narrowOutcome(names[i], in)
		}
	}
	p.narrowTotals(r)
	if len(cfg.Replay) > 0 {
		p.printf("%s  %s\n", p.title("replay"), replay(p.look, cfg.Replay))
	}
	for _, text := range caveats(cfg, r) {
		for _, line := range wrap(text, columns) {
			p.printf("%s\n", p.look.As(style.Warn, line))
		}
	}
}

// narrowDelays is a table of what was asked for and what was done.
func (p *summaryText) narrowDelays(name string, in *Injected) {
	ends := [...]int{19, 29, 37}
	line := ruled{width: style.Width(name) + len(" ms")}
	for i, head := range []string{"asked", "injected", "late"} {
		line.to(ends[i], p.look, 0, head)
	}
	p.printf("%s %s%s\n", p.title(name), p.look.As(style.Dim, "ms"), line.String())
	asked, links := askedValues(delays(in.Fault)), linksOf(in.Fault)
	for _, link := range links {
		if len(links) > 1 {
			p.printf("  %s\n", spaced(link))
		}
		on := &in.PerLink[link]
		injected, late := measuredValues(on.Delay, 1), measuredValues(on.Late, 3)
		for i, value := range delayNames {
			line := ruled{width: len("  mean")}
			line.to(ends[0], p.look, 0, asked[i])
			line.to(ends[1], p.look, style.Accent, injected[i])
			line.to(ends[2], p.look, style.Accent, late[i])
			p.printf("  %-4s%s\n", value, line.String())
		}
	}
}

// narrowOutcome is what one of the other faults did.
func (p *summaryText) narrowOutcome(name string, in *Injected) {
	const indent = 12
	p.printf("%s\n", p.title(name))
	sum := in.all()
	wanted, did := outcome(in, &sum)
	say := func(what string, role style.Role, text string) {
		for _, line := range wrap(text, pageColumns(p.look)-indent) {
			p.printf("  %-8s  %s\n", what, figures(p.look, role, line))
			what = ""
		}
	}
	say("asked", 0, wanted)
	label := "injected"
	for _, text := range did {
		say(label, style.Accent, text)
		label = ""
	}
}

// narrowTotals is the counts, and what they are made of as far as there is
// room.
func (p *summaryText) narrowTotals(r *Report) {
	say := func(label string, n uint64, text string, role style.Role) {
		begin := leftAs(p.look, style.Title, label, 10) + strings.Repeat(" ", max(1, 7-len(words.Count(n)))) + words.Count(n)
		room := pageColumns(p.look) - len("  ") - max(17, 11+len(words.Count(n)))
		p.printf("%s\n", strings.TrimRight(begin+"  "+p.look.As(role, style.CutEnd(text, room)), " "))
	}
	matched := words.Count(r.Matched) + " matched"
	if r.CutOff > 0 {
		matched += fmt.Sprintf(", %s cut off", words.Count(r.CutOff))
	}
	say("flows", r.Flows, matched, 0)
	failed := words.Total(r.Errors)
	if r.Intercepted {
		say("left alone", words.Total(r.LeftAlone()), "errors "+words.Count(failed), badIf(failed))
	}
	if n := r.Connects[bpf.QUICBlocked]; n > 0 {
		say("blocked", n, "QUIC", 0)
	}
	if len(r.Passed) > 0 {
		say("passed", words.Total(r.Passed), parted(inWords(r.Passed, ReasonWords)), 0)
	}
	if !r.Intercepted {
		say("errors", failed, parted(inWords(r.Errors, FailureWords)), badIf(failed))
	}
	if r.Intercepted && r.Open != nil {
		say("untouched", uint64(*r.Open), "open before the start"+alsoReset(r), 0)
	}
	if r.Dropped > 0 {
		say("output", r.Dropped, "lines dropped", style.Warn)
	}
}
