package view

import (
	"strconv"
	"strings"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/agent/words"
)

// none is a table of pairs that is not there at all.
const none = -1

// tableRows is how many rows a table takes with so many pairs.
func (p *page) tableRows(pairs int) int {
	switch {
	case pairs == none:
		return 0
	case len(p.s.Pairs) == 0:
		return 1
	}
	n := pairs
	if p.f.Columns >= 80 {
		n++
	}
	if p.morePairs(pairs) > 0 {
		n++
	}
	return n
}

func (p *page) morePairs(shown int) int { return len(p.s.Pairs) - shown + max(0, p.s.MorePairs) }

// table is who talks to whom.
func (p *page) table(pairs int) []row {
	switch {
	case pairs == none:
		return nil
	case len(p.s.Pairs) == 0:
		return []row{inRole(style.Dim, " no flows yet")}
	}
	c := p.columns()
	var rows []row
	if p.f.Columns >= 80 {
		rows = append(rows, c.header())
	}
	for _, pair := range p.s.Pairs[:pairs] {
		rows = append(rows, p.pair(c, pair))
	}
	if n := p.morePairs(pairs); n > 0 {
		rows = append(rows, inRole(style.Dim, " and "+words.Counted(uint64(n), "more pair")))
	}
	return rows
}

// columns is how wide those of the table are; 0 is a column that is not there.
type columns struct {
	process, upstream, flows, open, mean, bytes int
}

// columns makes the table as wide as the window, but for a column where there
// is another one less.
func (p *page) columns() columns {
	switch {
	case p.full:
		c := columns{process: 17, flows: 8, open: 7, mean: 13, bytes: 11}
		c.process += (p.limit - 99) / 3
		c.upstream = p.limit - 3 - c.process - c.flows - c.open - c.mean - c.bytes
		return c
	case p.f.Columns >= 80:
		c := columns{process: 17, flows: 7, open: 6, mean: 12}
		c.upstream = p.limit - 4 - c.process - c.flows - c.open - c.mean
		return c
	}
	c := columns{process: 13 + (p.f.Columns-fewestColumns)/4, flows: 6}
	c.upstream = p.limit - 4 - c.process - c.flows
	return c
}

func (c columns) header() row {
	r := c.row("process", "upstream", [4]string{"flows", "open", "mean delay", "bytes"})
	var text strings.Builder
	for _, s := range r.spans {
		text.WriteString(s.text)
	}
	return inRole(style.Dim, text.String())
}

func (c columns) row(process, upstream string, numbers [4]string) row {
	var r row
	r.add(0, " "+style.Left(process, c.process)+"  "+style.Left(upstream, c.upstream))
	for i, width := range []int{c.flows, c.open, c.mean, c.bytes} {
		if width > 0 {
			r.add(0, style.Right(numbers[i], width))
		}
	}
	return r
}

func (p *page) pair(c columns, pair agent.Pair) row {
	mean := "-"
	if pair.Delayed > 0 {
		mean = words.Tenths(pair.MeanDelay) + " ms"
	}
	return c.row(p.process(pair, c.process), style.Cut(p.foreign(pair.Upstream), c.upstream),
		[4]string{words.Count(pair.Flows), words.Count(pair.Open), mean, size(pair.Bytes)})
}

// process is a program's name, cut to a width, and its pid, which is not.
func (p *page) process(pair agent.Pair, width int) string {
	if pair.Process == "" {
		if width < len("(explicit client)") {
			return "(explicit)"
		}
		return "(explicit client)"
	}
	pid := ""
	if pair.PID != 0 {
		pid = "[" + strconv.FormatUint(uint64(pair.PID), 10) + "]"
	}
	return style.Cut(p.foreign(pair.Process), width-len(pid)) + pid
}
