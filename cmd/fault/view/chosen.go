package view

import (
	"fmt"
	"strings"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/agent/words"
	"github.com/faultproxy/fault/faults"
)

// choice is a fault and one link of it, which the user may look at.
type choice struct {
	fault int
	link  faults.Link
}

// choices are all there are, in the order of the plan.
func choices(s *agent.Snapshot) []choice {
	if s.Report == nil {
		return nil
	}
	var all []choice
	for i, in := range s.Report.Injected {
		if i >= len(s.Faults) || in.Fault == nil {
			break
		}
		links := in.Links()
		for _, link := range []faults.Link{faults.ToClient, faults.ToServer} {
			if links.Has(link) {
				all = append(all, choice{i, link})
			}
		}
		if links == 0 {
			all = append(all, choice{fault: i})
		}
	}
	return all
}

// chosenLink is which link of a fault is shown: the chosen one if it has that,
// and its name if there are two.
func (p *page) chosenLink(in *agent.Injected) (link faults.Link, name string) {
	link = min(p.f.Link, faults.ToClient)
	links := in.Links()
	switch {
	case links.Has(faults.ToClient) && links.Has(faults.ToServer):
		return link, strings.ReplaceAll(link.String(), "-", " ")
	case links.Has(faults.ToClient):
		return faults.ToClient, ""
	}
	return faults.ToServer, ""
}

// drawsDelays says whether what a fault does is delays that it draws.
func drawsDelays(f faults.Fault) bool {
	switch f.(type) {
	case faults.Latency, faults.Jitter, faults.SlowClose:
		return true
	}
	return false
}

// chosen is what the chosen fault was asked for, and what it did.
func (p *page) chosen() []entry {
	in := p.injected(p.f.Fault)
	if in == nil || p.f.Fault >= len(p.s.Faults) {
		return nil
	}
	link, side := p.chosenLink(in)
	on := &in.PerLink[link]
	m := measure(on.Delay)
	b := block{page: p, labels: []string{p.name(p.f.Fault), side}}
	if drawsDelays(in.Fault) {
		if p.full {
			b.row("asked", plain(in.String()), kept)
			b.row("injected", m.numbers(b.room("injected"), p.gap), kept)
		} else {
			b.row("", m.numbers(p.limit-p.label, p.gap), kept)
		}
		b.histogram(m)
		late := measure(on.Late)
		b.row("late", fitting(b.room("late"), p.gap, late.lateParts()), lateRow)
		return b.entries
	}
	b.row("asked", plain(in.String()), kept)
	b.row("injected", did(in, on), kept)
	if _, ok := in.Fault.(faults.PacketLoss); ok && m.n > 0 {
		b.row("stalls", m.numbers(b.room("stalls"), p.gap), kept)
		b.histogram(m)
	}
	return b.entries
}

// block collects the rows about one fault.
type block struct {
	*page
	labels  []string // of the next rows
	entries []entry
}

// row is one with a second label; empty is none.
func (b *block) row(what string, content row, goes class) {
	r := b.begin()
	if what != "" {
		r.add(0, b.second(what))
	}
	r.join(content)
	b.entries = append(b.entries, entry{row: r, goes: goes})
}

// begin is a row with its first label.
func (b *block) begin() row {
	label := ""
	if len(b.labels) > 0 {
		label, b.labels = b.labels[0], b.labels[1:]
	}
	return b.labelled(label)
}

// second is a second label, with what is between it and what follows.
func (b *block) second(what string) string {
	if b.full {
		return style.Left(what, 11)
	}
	if what == "late" {
		return what + "  "
	}
	return style.Left(what, 10)
}

// room is how many columns there are behind a second label.
func (b *block) room(what string) int { return b.limit - b.label - style.Width(b.second(what)) }

// histogram draws one, if there is anything in it: with an axis, or in a window
// that is not wide with its ends in words.
func (b *block) histogram(m measured) {
	if m.n == 0 {
		return
	}
	m.axis(b.bars)
	counts := m.counts(b.bars)
	if !b.full {
		r := b.begin()
		r.add(style.Accent, bars(counts, 1)[0]).to(b.label + b.bars)
		r.add(style.Dim, fmt.Sprintf("  %s to %s ms", m.tick(0), m.tick(intervals)))
		b.entries = append(b.entries, entry{row: r})
		return
	}
	barsAt := func(text string) row {
		r := row{}
		r.to(b.label).add(style.Accent, text)
		return r
	}
	two, one := bars(counts, 2), barsAt(bars(counts, 1)[0])
	b.entries = append(b.entries, entry{row: barsAt(two[0]), goes: secondBars}, entry{row: barsAt(two[1]), alone: &one})
	r := row{}
	r.to(b.label).add(style.Dim, m.ticks(b.bars, b.ticks))
	b.entries = append(b.entries, entry{row: r, goes: axisRow})
}

// numbers is what is known about delays. If there is no room for all of it,
// how many there are, and the longest ones stay.
func (m *measured) numbers(limit int, gap string) row {
	value := func(v float64) string { return m.number(v, 1) }
	n, longest := named("n", count(m.n), ""), named("max", value(m.most), "ms")
	mean, p50 := named("mean", value(m.mean), ""), named("p50", value(m.p50), "")
	p95, p99 := named("p95", value(m.p95), ""), named("p99", value(m.p99), "")
	for _, parts := range [][]row{{n, mean, p50, p95, p99, longest}, {n, mean, p50, p99, longest}, {n, p50, p99, longest}} {
		if together("  ", parts) <= limit {
			return fitting(limit, gap, parts)
		}
	}
	return fitting(limit, gap, []row{n, longest})
}

// lateParts are the numbers about how much of delays was not drawn.
func (m *measured) lateParts() []row {
	value := func(v float64) string { return m.number(v, 3) }
	return []row{named("p50", value(m.p50), ""), named("p99", value(m.p99), ""), named("max", value(m.most), "ms")}
}

// did is what a fault did that draws no delays.
func did(in *agent.Injected, on *agent.LinkInjected) row {
	switch f := in.Fault.(type) {
	case faults.Bandwidth:
		if on.BusiestSecond <= 0 {
			return plain("-")
		}
		rate, unit := words.Scaled(f.Rate)
		var r row
		r.add(style.Accent, fmt.Sprintf("%.2f", float64(on.BusiestSecond)*rate/f.Rate))
		r.add(style.Dim, " "+unit+"/s").add(0, " in the busiest second")
		return r
	case faults.PacketLoss:
		return shareOf(in, "packets")
	case faults.HTTPResponse:
		return shareOf(in, "requests")
	case faults.ConnectError:
		return shareOf(in, "connections")
	case faults.Slice:
		return inRole(style.Accent, words.Counted(in.Tried, "piece"))
	case faults.Blackhole, faults.Truncate:
		var r row
		r.add(style.Accent, words.Counted(in.Flows, "flow")).add(0, ", ").add(style.Accent, size(on.Swallowed)).add(0, " swallowed")
		return r
	}
	return inRole(style.Accent, words.Counted(in.Flows, "flow"))
}

// shareOf is how much was chosen of what was decided about.
func shareOf(in *agent.Injected, what string) row {
	if in.Tried == 0 {
		return plain("-, 0 " + what)
	}
	var r row
	r.add(style.Accent, words.Percent(float64(in.Hit)/float64(in.Tried)))
	r.add(0, fmt.Sprintf(", %s of %s %s", words.Count(in.Hit), words.Count(in.Tried), what))
	return r
}
