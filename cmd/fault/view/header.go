package view

import (
	"slices"
	"time"

	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/agent/words"
)

// header says how the run is, and what it is about.
func (p *page) header() row {
	r := plain(" ")
	r.add(style.Title, "fault").to(len(" fault") + len(p.apart()))
	r.join(p.running())
	if p.s.Ending {
		return r
	}
	gap := p.gap + " "
	parts := p.about()
	for len(parts) > 0 && r.width+len(gap)+together(gap, parts) > p.limit {
		if len(gap) > 2 {
			gap = gap[1:]
		} else {
			parts = p.shorter(parts, p.limit-r.width-len(gap))
		}
	}
	if len(parts) > 0 {
		r.add(0, gap).join(fitting(p.limit, gap, parts))
	}
	return r
}

// about is what the run is about: upstreams, families, the proxy.
func (p *page) about() []row {
	var parts []row
	if p.s.Upstreams != "" {
		parts = append(parts, plain(p.foreign(p.s.Upstreams)))
	}
	if p.full && p.r.Intercepted {
		parts = append(parts, plain(p.families()))
	}
	if p.s.Proxy.IsValid() {
		where := p.s.Proxy.String()
		if p.full {
			where = "proxy " + where
		}
		parts = append(parts, plain(where))
	}
	return parts
}

func (p *page) families() string {
	if p.s.IPv6 {
		return "IPv4 and IPv6"
	}
	return "IPv4"
}

// shorter makes parts take less: without the families, then with less of the
// upstreams, then without one more.
func (p *page) shorter(parts []row, limit int) []row {
	const fewest = 12 // columns that still say something
	if len(parts) > 1 && parts[1].spans[0].text == p.families() {
		return slices.Delete(parts, 1, 2)
	}
	left := limit - together("  ", parts[1:]) - 2
	if p.s.Upstreams != "" && left >= fewest {
		if cut := plain(style.Cut(parts[0].spans[0].text, left)); cut.width < parts[0].width {
			parts[0] = cut
			return parts
		}
	}
	return parts[:len(parts)-1]
}

// running is the state of the run, and how far it is.
func (p *page) running() row {
	var r row
	switch {
	case p.s.Ending:
		text := "ending: " + count(p.s.Open) + " flows drain"
		for _, more := range []string{", at most 5 s", " (q again ends them)"} {
			if p.limit >= len(" fault  ")+len(text)+len(more) {
				text += more
			}
		}
		return inRole(style.Warn, text)
	case p.s.Paused:
		r.add(style.Warn, "paused "+clock(whole(p.s.At)-whole(p.s.PausedAt))).add(0, p.apart())
	default:
		r.add(style.Good, "running").add(0, " ")
	}
	r.add(0, p.at())
	return r
}

// apart is what is between two things that one gap would be too much for.
func (p *page) apart() string {
	if p.f.Columns < 80 {
		return " "
	}
	return "  "
}

// at is the time of the run: 1:12 of 5:00.
func (p *page) at() string {
	text := clock(p.s.At)
	if p.s.Duration > 0 {
		text += " of " + clock(p.s.Duration)
	}
	return text
}

// foot is the last rows: a notice, and the keys.
func (p *page) foot() []entry {
	keys := []string{"q end"}
	if p.s.Ending {
		keys[0] = "q end now"
	} else if len(p.s.Faults) > 0 {
		verb := "p pause"
		if p.s.Paused {
			verb = "p resume"
		}
		if p.f.Columns >= 80 {
			verb += " faults"
		}
		keys = append(keys, verb)
	}
	if p.f.Columns >= 80 && len(choices(p.s)) > 1 {
		keys = append(keys, "tab next fault")
	}
	parts := make([]row, 0, len(keys)+1)
	for _, key := range append(keys, "? help") {
		parts = append(parts, inRole(style.Dim, key))
	}
	var e []entry
	if p.f.Notice != "" {
		r := plain(" ")
		r.add(style.Warn, p.foreign(p.f.Notice))
		e = append(e, entry{row: r})
	}
	r := plain(" ")
	r.join(fitting(p.limit-1, p.gap, parts))
	return append(e, entry{row: r})
}

// whole is a time without the part of a second that has begun.
func whole(d time.Duration) time.Duration { return max(0, d).Truncate(time.Second) }

// clock is a time of the run in whole seconds.
func clock(d time.Duration) string { return words.Clock(whole(d)) }
