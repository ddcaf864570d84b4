package agent

import (
	"fmt"
	"strings"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/agent/words"
	"github.com/faultproxy/fault/faults"
)

// delayNames are the names of delayValues.
var delayNames = delayValues{"n", "mean", "p50", "p95", "p99", "max"}

// delayValues is what a summary says of delays, in ms.
type delayValues [6]string

// askedValues is what delays were asked for.
func askedValues(d faults.Distribution) delayValues {
	q := func(share float64) string { return words.Tenths(faults.Quantile(d, share)) }
	values := delayValues{unknown, unknown, q(.5), q(.95), q(.99), unknown}
	if mean, ok := faults.Expected(d); ok {
		values[1] = words.Tenths(mean)
	}
	if u, ok := d.(faults.Uniform); ok {
		values[5] = words.Tenths(u.Max)
	}
	return values
}

// measuredValues is what delays there were.
func measuredValues(h *hdrhistogram.Histogram, digits int) delayValues {
	n := h.TotalCount()
	value := func(us float64) string {
		if n == 0 {
			return unknown
		}
		return fmt.Sprintf("%.*f", digits, us/1000)
	}
	q := func(percent float64) string { return value(float64(h.ValueAtQuantile(percent))) }
	return delayValues{words.Count(n), value(h.Mean()), q(50), q(95), q(99), value(float64(h.Max()))}
}

// unknown stands for a number that nobody measured.
const unknown = "-"

// ruled is a line of numbers in columns. One that is too wide takes room from
// those behind it.
type ruled struct {
	strings.Builder
	width int
}

func (l *ruled) to(end int, look style.Style, role style.Role, text string) {
	gap := max(1, end-l.width-style.Width(text))
	if text == unknown {
		role = 0
	}
	l.WriteString(strings.Repeat(" ", gap) + look.As(role, text))
	l.width += gap + style.Width(text)
}

// delayed is a table of the faults that draw delays: what was asked for and
// what was done, in ms.
func (p *summaryText) delayed(r *Report) {
	headed := false
	names := reportLabels(r)
	for i := range r.Injected {
		in := &r.Injected[i]
		d := delays(in.Fault)
		if d == nil {
			continue
		}
		if !headed {
			headed = true
			p.row("", "", delayNames, 0, "  "+p.look.As(style.Dim, "ms"))
		}
		p.row(names[i], "asked", askedValues(d), 0, "")
		for _, link := range linksOf(in.Fault) {
			on := &in.PerLink[link]
			p.row("", "injected", measuredValues(on.Delay, 1), style.Accent, "  "+spaced(link))
			p.row("", "late", measuredValues(on.Late, 3), style.Accent, "")
		}
	}
}

func (p *summaryText) row(label, what string, values delayValues, role style.Role, behind string) {
	begin := leftAs(p.look, style.Title, label, 10) + " " + style.Left(what, 8)
	line := ruled{width: max(10, style.Width(label)) + 9}
	for i, value := range values {
		line.to(26+8*i, p.look, role, value)
	}
	p.printf("%s%s%s\n", begin, line.String(), behind)
}

// linksOf is the links of a fault, in the order of a summary.
func linksOf(f faults.Fault) []faults.Link {
	var all []faults.Link
	for _, link := range []faults.Link{faults.ToServer, faults.ToClient} {
		if f.Links().Has(link) {
			all = append(all, link)
		}
	}
	return all
}

func spaced(link faults.Link) string { return strings.ReplaceAll(link.String(), "-", " ") }

// done is a table of the other faults.
func (p *summaryText) done(r *Report) {
	const askedAt, injectedAt = 20, 43
	columns := pageColumns(p.look)
	if columns > 0 {
		columns -= injectedAt
	}
	headed := false
	names := reportLabels(r)
	for i := range r.Injected {
		in := &r.Injected[i]
		if delays(in.Fault) != nil {
			continue
		}
		if !headed {
			headed = true
			p.printf("%*s%-*s%s\n", askedAt, "", injectedAt-askedAt, "asked", "injected")
		}
		sum := in.all()
		wanted, did := outcome(in, &sum)
		begin := leftAs(p.look, style.Title, names[i], askedAt) +
			figures(p.look, 0, wanted) + strings.Repeat(" ", max(2, injectedAt-askedAt-style.Width(wanted)))
		for _, text := range did {
			for _, line := range wrap(text, columns) {
				p.printf("%s%s\n", begin, figures(p.look, style.Accent, line))
				begin = strings.Repeat(" ", injectedAt)
			}
		}
	}
}

// outcome is what a fault was asked for, and in lines what it did.
func outcome(in *Injected, sum *LinkInjected) (wanted string, did []string) {
	switch f := in.Fault.(type) {
	case faults.ConnectError:
		return words.Percent(f.Probability) + " " + strings.ReplaceAll(string(f.Kind), "-", " "), []string{hitOf(in, " connections")}
	case faults.Bandwidth:
		rate, unit := words.Scaled(f.Rate)
		busiest := unknown
		if sum.BusiestSecond > 0 {
			busiest = fmt.Sprintf("%.2f %s/s in the busiest second", float64(sum.BusiestSecond)*rate/f.Rate, unit)
		}
		return fmt.Sprintf("%.2f %s/s a flow", rate, unit), []string{busiest}
	case faults.PacketLoss:
		did = []string{hitOf(in, " packets")}
		if h := sum.Delay; h.TotalCount() > 0 {
			stall := func(us int64) string { return words.Count((us + 500) / 1000) }
			did = append(did, fmt.Sprintf("stall p50 %s p99 %s max %s ms",
				stall(h.ValueAtQuantile(50)), stall(h.ValueAtQuantile(99)), stall(h.Max())))
		}
		return words.Percent(f.Share()), did
	case faults.Blackhole:
		return "nothing arrives", []string{flowsAndBytes(in, sum)}
	case faults.Reset:
		return resetWhen(f), []string{words.Counted(in.Flows, "flow")}
	case faults.Truncate:
		return "after " + words.Counted(uint64(f.AfterBytes), "byte"), []string{flowsAndBytes(in, sum)}
	case faults.Slice:
		return sliceSizes(f), []string{fmt.Sprintf("%s, %s", words.Counted(in.Flows, "flow"), words.Counted(in.Tried, "piece"))}
	case faults.HTTPResponse:
		return words.Percent(f.Probability) + " of requests", []string{hitOf(in, "")}
	}
	return in.String(), []string{words.Counted(in.Flows, "flow")}
}

// hitOf is the share that was chosen of what was decided about.
func hitOf(in *Injected, what string) string {
	if in.Tried == 0 {
		return unknown + ", 0 of 0" + what
	}
	return fmt.Sprintf("%s, %s of %s%s", words.Percent(float64(in.Hit)/float64(in.Tried)), words.Count(in.Hit), words.Count(in.Tried), what)
}
