package view

import (
	"time"

	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/agent/words"
)

// header says how the run is, and what it is about.
func (p *page) header() row {
	var r row
	r.add(0, " ").add(style.Title, "fault").add(0, " ")
	gap := "   "
	if p.f.Columns >= 80 {
		r.add(0, " ")
	}
	if p.full {
		gap = "    "
	}
	r.join(p.running())
	if p.s.Ending {
		return r
	}
	left := p.limit - r.width
	var where row
	if p.s.Proxy.IsValid() {
		if p.full {
			where.add(0, "proxy ")
		}
		where.add(0, p.s.Proxy.String())
	}
	families := "IPv4"
	if p.s.IPv6 {
		families = "IPv4 and IPv6"
	}
	if where.width > 0 {
		where = plainAfter(gap, where)
	}
	const fewest = 12 // columns of upstreams that still say something
	upstreams := p.foreign(p.s.Upstreams)
	if where.width > left {
		where = row{}
	}
	left -= where.width + len(gap)
	if upstreams != "" && left >= min(fewest, style.Width(upstreams)) {
		upstreams = style.Cut(upstreams, left)
		r.add(0, gap).add(0, upstreams)
		left -= style.Width(upstreams) + len(gap)
	}
	if p.full && p.r.Intercepted && left >= len(families) {
		r.add(0, gap).add(0, families)
	}
	r.join(where)
	return r
}

func plainAfter(gap string, part row) row {
	r := plain(gap)
	r.join(part)
	return r
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
