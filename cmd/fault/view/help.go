package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/faultproxy/fault/agent/style"
)

// keys is what they do, for the help.
var keys = [][2]string{
	{"q, Ctrl-C", "end: detach, drain for at most 5 s; again: end the rest at once"},
	{"p", "pause or resume all faults"},
	{"tab", "next fault and link in the histogram"},
	{"?", "this list, the start page, the last notices; any key closes it"},
	{"Ctrl-L", "draw all again"},
	{"Ctrl-Z", "refused: stopping would freeze the connections that are open"},
}

// shownNotices is how many the help shows.
const shownNotices = 20

// help is the keys, the last notices and the start page, as far as there are
// rows: it is the start page that is cut first, as it is in the scrollback.
func (p *page) help() []row {
	var top []row
	for _, k := range keys {
		r := plain(" ")
		r.add(style.Title, k[0]).to(12).add(0, k[1])
		top = append(top, r)
	}
	notices := p.f.Notices[max(0, len(p.f.Notices)-shownNotices):]
	var bottom []row
	for _, n := range notices {
		r := inRole(style.Dim, " "+n.At.Format(time.TimeOnly))
		r.add(0, "  ").add(style.Warn, p.foreign(n.Text))
		if n.Hint != "" {
			r.add(0, "  ").add(style.Dim, p.foreign(n.Hint))
		}
		bottom = append(bottom, r)
	}
	foot := inRole(style.Dim, " any key closes this")
	left := p.f.Rows - len(top) - 1
	if len(bottom) > 0 {
		bottom = append([]row{{}}, bottom[max(0, len(bottom)-max(0, left-1)):]...)
	}
	left -= len(bottom)
	rows := append(top, p.startPage(left)...)
	return append(append(rows, bottom...), foot)
}

// startPage is what was said at the start, in at most so many rows with a blank
// one before.
func (p *page) startPage(most int) []row {
	var rows []row
	for line := range strings.Lines(strings.Trim(p.s.StartPage, "\n") + "\n") {
		text := p.foreign(strings.TrimRight(ansi.Strip(line), "\n"))
		for part := range strings.SplitSeq(ansi.Wrap(text, p.limit, ""), "\n") {
			rows = append(rows, plain(part))
		}
	}
	rows = append([]row{{}}, rows...)
	switch {
	case p.s.StartPage == "" || most < 3:
		return nil
	case len(rows) > most:
		rest := len(rows) - most + 1
		return append(rows[:most-1], inRole(style.Dim, fmt.Sprintf(" and %d more lines", rest)))
	}
	return rows
}
