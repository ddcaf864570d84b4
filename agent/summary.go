package agent

import (
	"fmt"
	"strings"
	"time"

	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/agent/words"
	"github.com/faultproxy/fault/bpf"
)

// summary says what happened.
func summary(cfg *Config, r *Report, look style.Style) string {
	p := summaryText{look: look}
	p.printf("\n")
	if isNarrow(look) {
		p.narrow(cfg, r)
	} else {
		p.wide(cfg, r)
	}
	return p.String()
}

// summaryText is a summary as it is written.
type summaryText struct {
	page
	look style.Style
}

func (p *summaryText) title(text string) string { return p.look.As(style.Title, text) }

// ended is the first line.
func ended(r *Report) (text, exit string) {
	text = fmt.Sprintf("fault ended after %s (%s)", words.Clock(r.Lasted.Round(100*time.Millisecond)), ReasonWords(string(r.Reason)))
	if r.GoesOn {
		return text, "the command goes on"
	}
	return text, fmt.Sprintf("exit %d", r.exitCode())
}

// named is that line, with the name of the program in its role.
func (p *summaryText) named(text string) string {
	return p.title("fault") + strings.TrimPrefix(text, "fault")
}

func (p *summaryText) wide(cfg *Config, r *Report) {
	text, exit := ended(r)
	p.printf("%s, %s\n\n", p.named(text), p.look.As(badIf(uint64(r.exitCode())), exit))
	if len(r.Injected) > 0 {
		p.delayed(r)
		p.done(r)
		p.printf("\n")
	}
	p.total("flows", r.Flows, fmt.Sprintf("%s matched, %s passed through; %s cut off at the end",
		words.Count(r.Matched), words.Count(r.Flows-r.Matched), words.Count(r.CutOff)), 0)
	if len(r.Passed) > 0 {
		p.total("passed", words.Total(r.Passed), parted(inWords(r.Passed, ReasonWords)), 0)
	}
	if r.Intercepted {
		p.total("left alone", words.Total(r.LeftAlone()), parted(inWords(r.LeftAlone(), ReasonWords)), 0)
	}
	if n := r.Connects[bpf.QUICBlocked]; n > 0 {
		p.total("blocked", n, "QUIC, as --quic block asks", 0)
	}
	p.total("errors", words.Total(r.Errors), parted(inWords(r.Errors, FailureWords)), badIf(words.Total(r.Errors)))
	if r.Intercepted && r.Open != nil {
		p.total("untouched", uint64(*r.Open), "connections open before the start"+alsoReset(r), 0)
	}
	if r.Dropped > 0 {
		p.total("output", r.Dropped, "lines dropped: nobody read them in time", style.Warn)
	}
	if len(cfg.Replay) > 0 {
		p.printf("%s  %s\n", leftAs(p.look, style.Title, "replay", 10), replay(p.look, cfg.Replay))
	}
	for i, text := range caveats(cfg, r) {
		if i == 0 {
			p.printf("\n")
		}
		p.printf("%s\n", p.look.As(style.Warn, text))
	}
}

// alsoReset says how many connections of before the start were reset, if any
// should be.
func alsoReset(r *Report) string {
	if r.Reset == nil {
		return ""
	}
	return fmt.Sprintf("; %s more were reset", words.Count(*r.Reset))
}

// total is a count and what it is made of, both in a role.
func (p *summaryText) total(label string, n uint64, parts string, role style.Role) {
	number := words.Count(n)
	begin := leftAs(p.look, style.Title, label, 10) + " " + strings.Repeat(" ", max(0, 6-len(number))) + p.look.As(role, number)
	indent := 11 + max(6, len(number)) + 3
	columns := pageColumns(p.look)
	if columns > 0 {
		columns -= indent
	}
	for i, line := range wrap(parts, columns) {
		if i > 0 {
			begin = strings.Repeat(" ", indent-3)
		}
		p.printf("%s\n", strings.TrimRight(begin+"   "+p.look.As(role, line), " "))
	}
}

// caveats is what the reader of a summary must not overlook.
func caveats(cfg *Config, r *Report) []string {
	var texts []string
	switch {
	case r.Pauses == 0:
	case r.Pauses == 1:
		texts = append(texts, fmt.Sprintf("paused once, %s: this run differs from its replay", pausedFor(r)))
	default:
		texts = append(texts, fmt.Sprintf("paused %s times, %s: this run differs from its replay", words.Count(r.Pauses), pausedFor(r)))
	}
	switch n := r.Connects[bpf.QUIC]; {
	case n == 0:
	case cfg.BlockQUIC:
		texts = append(texts, fmt.Sprintf("QUIC passed %s times, to addresses that other names have, too", words.Count(n)))
	default:
		texts = append(texts, fmt.Sprintf("QUIC passed %s times; --quic block has clients fall back to TCP", words.Count(n)))
	}
	if n := r.Passed["ambiguous-name"]; n > 0 {
		texts = append(texts, fmt.Sprintf("%s passed to addresses of several names, and named none; --upstream IP:PORT needs no name", words.Counted(n, "flow")))
	}
	switch {
	case r.Matched > 0:
	case len(cfg.Upstreams) > 0:
		texts = append(texts, "no flow matched --upstream; nothing was tested")
	default:
		texts = append(texts, "no flow came; nothing was tested")
	}
	return texts
}

func pausedFor(r *Report) string { return words.Clock(r.Paused.Round(100 * time.Millisecond)) }

// badIf is the role of a number of failures.
func badIf(failures uint64) style.Role {
	if failures > 0 {
		return style.Bad
	}
	return 0
}
