// Package view shows a run on a terminal while it lasts.
//
// [Render] is a pure function of a snapshot, the size of the window and what
// the user has chosen to see; [Screen] calls it a few times a second, and turns
// keys into what happens to the run.
package view

import (
	"strings"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/faults"
)

// Frame is what one frame depends on but for the run.
type Frame struct {
	// Columns and Rows are the size of the window. The last column stays
	// empty, so that no terminal wraps.
	Columns, Rows int
	// Style is that of the terminal; its columns do not count.
	Style style.Style
	// Fault is the chosen one, an index into the snapshot's, and Link is which
	// link of it is shown.
	Fault int
	Link  faults.Link
	// Notice is in the row above the keys; empty is none.
	Notice string
	// Help says that keys, start page and Notices are shown instead.
	Help    bool
	Notices []Notice
}

// Render draws a frame: lines without line feed at the end, none wider than
// the window has columns but one, and not more than it has rows.
func Render(s *agent.Snapshot, f Frame) string {
	p := newPage(s, f)
	rows := p.rows()
	texts := make([]string, len(rows))
	for i, r := range rows {
		texts[i] = r.text(f.Style, p.limit)
	}
	return f.Style.Glyphs(strings.Join(texts, "\n"))
}

// Below this size there is room for one line only.
const (
	fewestColumns = 40
	fewestRows    = 10
)

func (p *page) rows() []row {
	switch {
	case p.f.Columns < fewestColumns || p.f.Rows < fewestRows:
		return []row{p.oneLine()}
	case p.f.Help:
		return p.help()
	case p.f.Columns < 80:
		return p.fit(p.narrow())
	}
	return p.fit(p.wide())
}

// page is a frame in the making.
type page struct {
	s *agent.Snapshot
	r *agent.Report
	f Frame
	layout
	limit int   // columns that may be used
	shown []int // the faults that have a row
}

// layout is what depends on the width alone.
type layout struct {
	gap   string // between the parts of a row
	label int    // columns of the labels, with the one before
	bars  int    // cells of a time line, and bins of a histogram
	ticks int    // intervals of a scale
	full  bool   // with what only a window of 100 columns has room for
	pairs int    // how many are shown before blank lines and the like
}

func newPage(s *agent.Snapshot, f Frame) *page {
	p := &page{s: s, r: s.Report, f: f, limit: max(0, f.Columns-1)}
	if p.r == nil {
		p.r = &agent.Report{}
	}
	p.shown = p.lately(4)
	switch {
	case f.Columns >= 100:
		p.layout = layout{gap: "   ", label: 13, bars: f.Columns - 40, ticks: 4, full: true, pairs: 4}
	case f.Columns >= 80:
		p.layout = layout{gap: "  ", label: 12, bars: f.Columns - 40, ticks: 2, pairs: 3}
	default:
		p.layout = layout{gap: "  ", label: 11, bars: max(1, f.Columns-10), pairs: 3}
	}
	p.widen()
	return p
}

// widen makes room for long names of faults, at the cost of the bars.
func (p *page) widen() {
	longest := 0
	for i := range p.s.Faults {
		longest = max(longest, style.Width(p.name(i)))
	}
	more := max(0, min(longest, 16)+2-p.label)
	p.label += more
	if p.f.Columns >= 80 {
		p.bars -= more
	}
}

// wide is the rows of a window of 80 columns and more.
func (p *page) wide() []entry {
	e := []entry{{row: p.header()}, {goes: blank}}
	e = append(e, p.timeLines()...)
	e = append(e, entry{goes: blank}, entry{row: p.flows()})
	if p.full {
		e = append(e, entry{row: p.bytes(), goes: bytesRow})
	}
	if chosen := p.chosen(); len(chosen) > 0 {
		if p.full {
			e = append(e, entry{goes: blank})
		}
		e = append(e, chosen...)
	}
	e = append(e, entry{goes: blank}, entry{goes: table})
	if reasons := p.reasons(); len(reasons) > 0 {
		e = append(e, entry{goes: blank})
		e = append(e, reasons...)
	}
	if p.full {
		e = append(e, entry{goes: blank})
	}
	return append(e, p.foot()...)
}

// narrow is the rows of a window of less than 80 columns.
func (p *page) narrow() []entry {
	e := []entry{{row: p.header()}}
	if progress, ok := p.narrowProgress(); ok {
		e = append(e, entry{row: progress, goes: timeRow})
	}
	for _, r := range p.narrowFaults() {
		e = append(e, entry{row: r})
	}
	if bars, ok := p.narrowBars(); ok {
		e = append(e, entry{row: bars})
	}
	for _, r := range p.narrowFlows() {
		e = append(e, entry{row: r})
	}
	e = append(e, entry{goes: table})
	return append(e, p.foot()...)
}
