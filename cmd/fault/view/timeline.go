package view

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/agent/words"
	"github.com/faultproxy/fault/faults"
)

// timeLines is a scale, how far the run is, and when each fault is on.
func (p *page) timeLines() []entry {
	if len(p.s.Faults) == 0 {
		return []entry{{row: p.labelled("faults", plain(noFaults))}}
	}
	var e []entry
	scale := p.scale()
	if scale > 0 {
		r := plain("")
		r.to(p.label).add(style.Dim, ticks(p.bars, p.ticks, func(i int) string {
			return words.Clock((scale / time.Duration(p.ticks) * time.Duration(i)).Round(tickUnit(scale)))
		}))
		e = append(e, entry{row: r, goes: timeRow})
	}
	if p.s.Duration > 0 {
		r := p.labelled("progress")
		r.join(p.progress()).add(0, p.gap)
		r.add(0, p.percent())
		if !p.s.Ending {
			r.add(0, ", "+clock(whole(p.s.Duration)-whole(p.s.At))+" left")
		}
		e = append(e, entry{row: r, goes: timeRow})
	}
	for _, i := range p.shown {
		r := p.labelled(p.name(i))
		if scale > 0 {
			r.join(p.timeLine(i, scale)).add(0, p.gap)
		}
		r.join(p.state(i))
		e = append(e, entry{row: r, goes: timeRow})
	}
	if r, ok := p.moreFaults(); ok {
		e = append(e, entry{row: r, goes: timeRow})
	}
	return e
}

const noFaults = "none: everything passes through"

// tickUnit is what the times at a scale are rounded to.
func tickUnit(scale time.Duration) time.Duration {
	if scale < time.Minute {
		return 100 * time.Millisecond
	}
	return time.Second
}

// ticks is the text below or above a scale of some cells: labels at equal
// intervals, the last one ending where the scale does.
func ticks(cells, intervals int, label func(int) string) string {
	text := ""
	for i := range intervals {
		at := cells * i / intervals
		if i > 0 && style.Width(text) >= at {
			continue // no room
		}
		text = style.Left(text, at) + label(i)
	}
	last := label(intervals)
	if at := cells - style.Width(last); at > style.Width(text) {
		return style.Left(text, at) + last
	}
	return text
}

// scale is the time that a time line covers; 0 if there is none.
func (p *page) scale() time.Duration {
	if p.s.Duration > 0 {
		return p.s.Duration
	}
	var last time.Duration
	for i := range p.s.Faults {
		in := p.injected(i)
		if in == nil {
			continue
		}
		for _, period := range in.Schedule {
			stop := period.End
			if stop == faults.Never {
				stop = period.Start
			}
			last = max(last, stop)
		}
	}
	return last + min(last/10, faults.Never-last)
}

// progress is a bar of how much of the run has passed.
func (p *page) progress() row {
	eighths := int(p.share() * float64(8*p.bars))
	bar := strings.Repeat("█", eighths/8)
	if part := eighths % 8; part > 0 {
		bar += string([]rune("▏▎▍▌▋▊▉")[part-1])
	}
	r := inRole(style.Accent, bar)
	r.add(style.Dim, strings.Repeat("┈", p.bars-r.width))
	return r
}

// share is how much of the run has passed, from 0 to 1.
func (p *page) share() float64 {
	return min(1, max(0, float64(p.s.At)/float64(p.s.Duration)))
}

func (p *page) percent() string { return fmt.Sprintf("%d %%", int(100*p.share())) }

// timeLine is when a fault is on, and where the run is.
func (p *page) timeLine(i int, scale time.Duration) row {
	var schedule faults.Schedule
	if in := p.injected(i); in != nil {
		schedule = in.Schedule
	}
	on := cells(schedule, scale, p.bars)
	now := min(cellOf(max(0, p.s.At), scale, p.bars), p.bars-1)
	var r row
	for from := 0; from < len(on); {
		to := from + 1
		for to < len(on) && on[to] == on[from] && (from == now) == (to == now) {
			to++
		}
		switch {
		case from == now:
			to = from + 1
			r.add(style.Accent, "┃")
		case on[from]:
			r.add(0, strings.Repeat("━", to-from))
		default:
			r.add(style.Dim, strings.Repeat("┈", to-from))
		}
		from = to
	}
	return r
}

// cellOf is which of n cells of a scale a time is in.
func cellOf(at, scale time.Duration, n int) int {
	return int(float64(at) / float64(scale) * float64(n))
}

// cells says which of n cells of a scale a schedule is on in: those where it is
// for more than half of them, and for each period at least one.
func cells(s faults.Schedule, scale time.Duration, n int) []bool {
	on := make([]bool, n)
	if s == nil {
		for i := range on {
			on[i] = true
		}
		return on
	}
	width := float64(scale) / float64(n)
	lasts := make([]float64, n)
	touched := func(period faults.Period, visit func(cell int, overlap float64)) {
		start, end := float64(period.Start), float64(min(period.End, scale))
		for i := max(0, int(start/width)); i < n && float64(i)*width < end; i++ {
			visit(i, max(0, min(end, float64(i+1)*width)-max(start, float64(i)*width)))
		}
	}
	for _, period := range s {
		touched(period, func(cell int, overlap float64) { lasts[cell] += overlap })
	}
	for i := range on {
		on[i] = lasts[i] > width/2
	}
	for _, period := range s {
		best, most, seen := -1, 0.0, false
		touched(period, func(cell int, overlap float64) {
			seen = seen || on[cell]
			if overlap > most {
				best, most = cell, overlap
			}
		})
		if !seen && best >= 0 {
			on[best] = true
		}
	}
	return on
}

// lately is the faults that are shown, in the order of the plan: all if there
// are at most so many, else those that changed last, and one row less.
func (p *page) lately(most int) []int {
	all := make([]int, len(p.s.Faults))
	for i := range all {
		all[i] = i
	}
	if len(all) <= most {
		return all
	}
	slices.SortStableFunc(all, func(a, b int) int {
		return cmp.Compare(p.s.Faults[b].Changed, p.s.Faults[a].Changed)
	})
	all = all[:most-1]
	slices.Sort(all)
	return all
}

// moreFaults counts those without a row.
func (p *page) moreFaults() (row, bool) {
	n := len(p.s.Faults) - len(p.shown)
	return inRole(style.Dim, fmt.Sprintf(" and %s more faults", count(n))), n > 0
}
