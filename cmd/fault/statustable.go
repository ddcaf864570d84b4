package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/agent/words"
)

// statusColumns are those of the table, left to right.
var statusColumns = []statusColumn{
	{head: "PID", right: true},
	{head: "UP", leaves: 3},
	{head: "ENDS IN", leaves: 2},
	{head: "MODE", leaves: 1},
	{head: "UPSTREAMS", leaves: 6},
	{head: "OPEN", right: true, leaves: 4},
	{head: "MATCHED", right: true, leaves: 5},
	{head: "ERRORS", right: true, leaves: 7},
	{head: "FAULTS ON", leaves: 8},
}

type statusColumn struct {
	head  string
	right bool // aligned
	// leaves is when it goes away for want of room: 1 is first, 0 never.
	leaves int
}

// The columns that the rest needs by their place.
const (
	modeColumn      = 3
	upstreamsColumn = 4
	errorsColumn    = 7
	faultsColumn    = 8
)

// columnGap is between two columns.
const columnGap = "  "

// statusTable is agents for a terminal. Upstreams are cut first, then columns
// leave until it fits.
func statusTable(all []found, s style.Style) string {
	rows := [][]string{nil}
	for _, c := range statusColumns {
		rows[0] = append(rows[0], c.head)
	}
	for _, f := range all {
		rows = append(rows, f.shownCells())
	}
	shown, widths := fitted(rows, s.Columns)
	var b strings.Builder
	for i, row := range rows {
		var parts []string
		for _, c := range shown {
			text := style.Cut(row[c], widths[c])
			if statusColumns[c].right {
				text = style.Right(text, widths[c])
			} else if c != shown[len(shown)-1] {
				text = style.Left(text, widths[c])
			}
			if i == 0 {
				text = s.As(style.Title, text)
			} else {
				text = s.As(all[i-1].role(c), text)
			}
			parts = append(parts, text)
		}
		b.WriteString(strings.Join(parts, columnGap) + "\n")
	}
	for _, f := range all {
		if f.peer.Own != f.peer.PID {
			fmt.Fprintf(&b, "%s\n", s.As(style.Dim, style.Cut(f.peer.String(), s.Columns)))
		}
	}
	return s.Glyphs(b.String())
}

// fitted is which columns have room, and how wide each is.
func fitted(rows [][]string, columns int) (shown []int, widths []int) {
	widths = make([]int, len(statusColumns))
	needed := -len(columnGap)
	for c := range statusColumns {
		shown = append(shown, c)
		for _, row := range rows {
			widths[c] = max(widths[c], style.Width(row[c]))
		}
		needed += widths[c] + len(columnGap)
	}
	spare := widths[upstreamsColumn] - style.Width(statusColumns[upstreamsColumn].head)
	for leaving := 1; needed-spare > columns && leaving < len(statusColumns); leaving++ {
		i := slices.IndexFunc(shown, func(c int) bool { return statusColumns[c].leaves == leaving })
		needed -= widths[shown[i]] + len(columnGap)
		if shown[i] == upstreamsColumn {
			spare = 0
		}
		shown = slices.Delete(shown, i, i+1)
	}
	widths[upstreamsColumn] -= min(spare, max(0, needed-columns))
	return shown, widths
}

// shownCells are the columns of an agent for a person.
func (f *found) shownCells() []string {
	cells := f.cells()
	s := f.status
	if s == nil {
		return cells
	}
	cells[1] = words.Clock(seconds(s.UpS))
	cells[modeColumn], cells[upstreamsColumn] = addingUp(cells[modeColumn]), addingUp(cells[upstreamsColumn])
	switch {
	case s.EndsInS != nil:
		cells[2] = words.Clock(seconds(math.Ceil(*s.EndsInS)))
	case !s.Ending:
		cells[2] = "no end"
	}
	cells[5], cells[6], cells[7] = words.Count(max(0, s.Open)), words.Count(s.Matched), words.Count(s.Errors)
	return cells
}

// addingUp is text whose characters are as wide in a line as on their own.
// Those that combine, about whose width terminals do not agree, become `?`, as
// do then all that are not ASCII.
func addingUp(text string) string {
	const before = " "
	sum := len(before)
	for _, r := range text {
		sum += style.Width(string(r))
	}
	if sum == style.Width(before+text) {
		return text
	}
	return strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII {
			return '?'
		}
		return r
	}, text)
}

// role is that of an agent's cell.
func (f *found) role(column int) style.Role {
	switch {
	case f.status == nil:
		return 0
	case column == errorsColumn && f.status.Errors > 0:
		return style.Bad
	case column == faultsColumn && f.state() != "":
		return style.Warn
	}
	return 0
}

// seconds is a number of them as a duration, to a whole one. An agent may say
// anything.
func seconds(n float64) time.Duration { return time.Duration(max(0, min(n, 1e9))) * time.Second }
