package view

import (
	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/faults"
)

// injected is what a fault did; nil if that is not known.
func (p *page) injected(i int) *agent.Injected {
	if i < 0 || i >= len(p.r.Injected) || p.r.Injected[i].Fault == nil {
		return nil
	}
	return &p.r.Injected[i]
}

// name is what a fault is called.
func (p *page) name(i int) string { return p.foreign(p.s.Faults[i].Label) }

// isOn is whether a fault is on, in a word.
func (p *page) isOn(i int) row {
	switch {
	case !p.s.Faults[i].On:
		return plain("off")
	case p.s.Paused:
		return inRole(style.Warn, "paused")
	}
	return inRole(style.Good, "on")
}

// next is when that changes: off in 0:18; nothing if it does not.
func (p *page) next(i int) string {
	f := p.s.Faults[i]
	if f.Next == faults.Never {
		return ""
	}
	word := "on"
	if f.On {
		word = "off"
	}
	return word + " in " + clock(whole(f.Next)-whole(p.s.At))
}

// state is whether a fault is on, and until when.
func (p *page) state(i int) row {
	r := p.isOn(i)
	switch next := p.next(i); {
	case next != "":
		r.add(0, ", "+next)
	case p.s.Duration > 0:
		r.add(0, " to the end")
	case p.s.Faults[i].On:
		r.add(0, ", no end")
	}
	return r
}

// states is whether each fault is on, in one row.
func (p *page) states() row {
	parts := func(state func(int) row) ([]row, int) {
		var all []row
		width := 0
		for _, i := range p.shown {
			r := plain(style.Cut(p.name(i), 16) + " ")
			r.join(state(i))
			all = append(all, r)
			width += r.width + 2
		}
		return all, width
	}
	all, width := parts(p.state)
	if p.label+width > p.limit {
		all, _ = parts(p.isOn)
	}
	return p.labelled("faults", all...)
}
