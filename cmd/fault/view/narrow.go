package view

import (
	"fmt"

	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/agent/words"
)

// narrowProgress is how far the run is; false if it has no end.
func (p *page) narrowProgress() (row, bool) {
	if p.s.Duration <= 0 {
		return row{}, false
	}
	r := plain(" ")
	r.join(p.progress()).add(0, "  "+p.percent())
	return r, true
}

// narrowFaults is a row for each fault: whether it is on, and what it did or
// until when.
func (p *page) narrowFaults() []row {
	if len(p.s.Faults) == 0 {
		return []row{plain(" " + noFaults)}
	}
	var rows []row
	for _, i := range p.shown {
		r := p.labelled(p.name(i))
		r.join(p.isOn(i))
		r.to(max(p.label+6, r.width+1))
		if delays, ok := p.inShort(i); ok {
			r.join(delays)
		} else {
			r.add(0, p.next(i))
		}
		rows = append(rows, r)
	}
	if r, ok := p.moreFaults(); ok {
		rows = append(rows, r)
	}
	return rows
}

// inShort is the delays of a fault; false if it draws none.
func (p *page) inShort(i int) (row, bool) {
	in := p.injected(i)
	if in == nil || !drawsDelays(in.Fault) {
		return row{}, false
	}
	link, _ := p.chosenLink(in)
	m := measure(in.PerLink[link].Delay)
	r := inRole(style.Accent, m.number(m.mean, 1))
	r.add(0, " p99 ").add(style.Accent, m.number(m.p99, 1)).add(style.Dim, " ms")
	return r, m.n > 0
}

// narrowBars is the histogram of the chosen fault, or in words what it did;
// false if there is nothing to say.
func (p *page) narrowBars() (row, bool) {
	in := p.injected(p.f.Fault)
	if in == nil || p.f.Fault >= len(p.s.Faults) {
		return row{}, false
	}
	link, _ := p.chosenLink(in)
	on := &in.PerLink[link]
	m := measure(on.Delay)
	r := plain(" ")
	if m.n > 0 {
		bins := p.f.Columns - 14
		m.axis(bins)
		r.add(style.Accent, bars(m.counts(bins), 1)[0]).to(1 + bins)
		r.add(style.Dim, fmt.Sprintf(" %s-%s ms", m.tick(0), m.tick(intervals)))
		return r, true
	}
	if drawsDelays(in.Fault) {
		return row{}, false
	}
	r.add(0, p.name(p.f.Fault)+" ").join(did(in, on))
	return r, true
}

// narrowFlows counts flows, in two rows.
func (p *page) narrowFlows() []row {
	rows := []row{plain(" "), plain(" ")}
	for i, parts := range [][]row{p.flowsNow(), p.flowsApart()} {
		rows[i].join(fitting(p.limit-1, p.gap, parts))
	}
	return rows
}

// oneLine is what the smallest windows show: shortened from the right.
func (p *page) oneLine() row {
	r := inRole(style.Title, "fault")
	r.add(0, " ")
	state := ""
	switch {
	case p.s.Ending:
		state = "ending "
	case p.s.Paused:
		state = "paused "
	}
	r.add(style.Warn, state).add(0, p.at())
	parts := []row{r, plain(count(p.s.Open) + " open")}
	if in := p.injected(p.f.Fault); in != nil && drawsDelays(in.Fault) && p.f.Fault < len(p.s.Faults) {
		link, _ := p.chosenLink(in)
		if m := measure(in.PerLink[link].Delay); m.n > 0 {
			parts = append(parts, plain(p.name(p.f.Fault)+" "+m.number(m.mean, 0)+" ms"))
		}
	}
	n := words.Total(p.r.Errors)
	var role style.Role
	if n > 0 {
		role = style.Bad
	}
	parts = append(parts, inRole(role, words.Counted(n, "error")))
	return fitting(p.limit, "  ", parts)
}
