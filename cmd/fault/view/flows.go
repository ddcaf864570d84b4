package view

import (
	"strings"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/agent/words"
	"github.com/faultproxy/fault/faults"
)

// flows counts them.
func (p *page) flows() row {
	return p.labelled("flows", append(p.flowsNow(), p.flowsApart()...)...)
}

// flowsNow is how many there are and were.
func (p *page) flowsNow() []row {
	return []row{
		plain(count(p.s.Open) + " open"),
		plain(perSecond(p.s.PerSecond) + " new/s"),
		plain(words.Count(p.r.Flows) + " ended"),
	}
}

// flowsApart is those of which something is to be said.
func (p *page) flowsApart() []row {
	passed := " passed"
	if p.full {
		passed += " through"
	}
	parts := []row{plain(words.Count(words.Total(p.r.Passed)) + passed)}
	if p.r.Intercepted {
		parts = append(parts, plain(words.Count(words.Total(p.r.LeftAlone()))+" left alone"))
	}
	var role style.Role
	n := words.Total(p.r.Errors)
	if n > 0 {
		role = style.Bad
	}
	return append(parts, inRole(role, words.Counted(n, "error")))
}

// bytes is what went on, and what waits.
func (p *page) bytes() row {
	to := func(link faults.Link) row {
		var r row
		r.add(0, strings.ReplaceAll(link.String(), "-", " ")+" ")
		r.add(0, size(p.r.Bytes[link])+", "+bytesPerSecond(p.s.BytesPerSecond[link]))
		return r
	}
	r := p.labelled("bytes")
	parts := []row{to(faults.ToClient), to(faults.ToServer), plain(size(uint64(max(0, p.s.Waiting))) + " waiting")}
	r.join(fitting(p.limit-r.width, "     ", parts))
	return r
}

// reasons is why flows passed, were left alone, or failed.
func (p *page) reasons() []entry {
	errors := spareRow
	if p.full {
		errors = reasonRow
	}
	var e []entry
	for _, kind := range []struct {
		label string
		parts map[string]uint64
		words func(string) string
		role  style.Role
		goes  class
	}{
		{"passed", p.r.Passed, agent.ReasonWords, 0, reasonRow},
		{"left alone", p.r.LeftAlone(), agent.ReasonWords, 0, reasonRow},
		{"errors", p.r.Errors, agent.FailureWords, style.Bad, errors},
	} {
		if words.Total(kind.parts) == 0 {
			continue
		}
		r := p.labelled(kind.label)
		r.join(p.parted(p.limit-r.width, kind.role, kind.parts, kind.words))
		e = append(e, entry{row: r, goes: kind.goes})
	}
	return e
}

// parted is the parts of a count, the largest first; those for which there is
// no room are one.
func (p *page) parted(limit int, role style.Role, parts map[string]uint64, say func(string) string) row {
	most := 3
	if p.full {
		most = 5
	}
	var all []row
	var counts []uint64
	for _, word := range words.Largest(parts) {
		if n := parts[word]; n > 0 {
			all = append(all, inRole(role, words.Count(n)+" "+p.foreign(say(word))))
			counts = append(counts, n)
		}
	}
	for shown := len(all); ; shown-- {
		texts := all[:shown:shown]
		if shown < len(all) {
			var others uint64
			for _, n := range counts[shown:] {
				others += n
			}
			texts = append(texts, inRole(role, words.Count(others)+" other"))
		}
		if together(p.gap, texts) <= limit && shown <= most || shown <= 1 {
			return fitting(limit, p.gap, texts)
		}
	}
}
