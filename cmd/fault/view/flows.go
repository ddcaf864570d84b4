package view

import (
	"strings"

	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/agent/words"
	"github.com/faultproxy/fault/bpf"
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
	parts := []row{plain(words.Count(total(p.r.Passed)) + passed)}
	if p.r.Intercepted {
		parts = append(parts, plain(words.Count(total(p.leftAlone()))+" left alone"))
	}
	var role style.Role
	n := total(p.r.Errors)
	if n > 0 {
		role = style.Bad
	}
	return append(parts, inRole(role, plural(n, "error")))
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

// leftAlone is the connect(2) calls that were none of ours.
func (p *page) leftAlone() map[string]uint64 {
	parts := make(map[string]uint64)
	for verdict, n := range p.r.Connects {
		if verdict != bpf.Intercepted && verdict != bpf.Agent {
			parts[string(verdict)] = n
		}
	}
	return parts
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
		role  style.Role
		goes  class
	}{
		{"passed", p.r.Passed, 0, reasonRow},
		{"left alone", p.leftAlone(), 0, reasonRow},
		{"errors", p.r.Errors, style.Bad, errors},
	} {
		if total(kind.parts) == 0 {
			continue
		}
		r := p.labelled(kind.label)
		r.join(p.parted(p.limit-r.width, kind.role, kind.parts))
		e = append(e, entry{row: r, goes: kind.goes})
	}
	return e
}

// parted is the parts of a count, the largest first; those for which there is
// no room are one.
func (p *page) parted(limit int, role style.Role, parts map[string]uint64) row {
	most := 3
	if p.full {
		most = 5
	}
	var all []row
	var counts []uint64
	for _, word := range words.Largest(parts) {
		if n := parts[word]; n > 0 {
			all = append(all, inRole(role, words.Count(n)+" "+p.reason(word)))
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

// reasonWords say the words of JSON as people do, as far as a hyphen is not all
// that makes them different.
var reasonWords = map[string]string{
	"dns":               "DNS",
	"udp":               "UDP",
	"device-bound":      "bound to a device",
	"source-bound":      "bound to a source",
	"ipv6-only":         "IPv6-only",
	"ipv6-not-readable": "IPv6, not readable",
	"link-local":        "link-local",
	"other-netns":       "other namespaces",
	"map-full":          "without room",
	"limit":             "at the limit",
	"refused":           "refused by upstream",
	"timeout":           "timed out",
	"tls":               "TLS",
	"self":              "to fault itself",
}

func (p *page) reason(word string) string {
	if text, ok := reasonWords[word]; ok {
		return text
	}
	return p.foreign(strings.ReplaceAll(word, "-", " "))
}

func total(parts map[string]uint64) uint64 {
	var sum uint64
	for _, n := range parts {
		sum += n
	}
	return sum
}

// plural is a count and what it counts.
func plural(n uint64, what string) string {
	if n != 1 {
		what += "s"
	}
	return words.Count(n) + " " + what
}
