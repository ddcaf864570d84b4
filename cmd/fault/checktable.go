package main

import (
	"strings"

	"github.com/faultproxy/fault/agent/check"
	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/agent/style"
)

// The columns of the table of `fault check`.
const (
	stateColumn = 9  // of what begins a row, with the space behind
	probeColumn = 14 // of the name
	besides     = 34 // columns that the text must have to stand beside the name
)

// checkTable is a report for a terminal. Where there is little room, texts
// stand below the names.
func checkTable(r report, s style.Style) string {
	indent := stateColumn + probeColumn
	narrow := s.Columns < indent+besides
	if narrow {
		indent = 2
	}
	var b strings.Builder
	b.WriteString(verdictLines(r, s) + "\n")
	row := func(role style.Role, state, name string, text []string) {
		head := s.As(role, state) + strings.Repeat(" ", stateColumn-len(state))
		switch {
		case narrow:
			b.WriteString(head + s.As(style.Title, name) + "\n")
			b.WriteString(strings.Repeat(" ", indent))
		default:
			b.WriteString(head + s.As(style.Title, name) + strings.Repeat(" ", max(1, probeColumn-len(name))))
		}
		b.WriteString(strings.Join(text, "\n"+strings.Repeat(" ", indent)) + "\n")
	}
	for _, p := range r.probes {
		row(stateRoles[p.State], string(p.State), p.Name, wrapped(p.Text, s.Columns-indent))
		switch {
		case strings.HasPrefix(p.Fix, "sudo "):
			row(0, "", "fix", brokenCommand(p.Fix, s.Columns-indent))
		case p.Fix != "":
			row(0, "", "fix", wrapped(p.Fix, s.Columns-indent))
		}
	}
	return s.Glyphs(b.String())
}

var stateRoles = map[check.State]style.Role{
	check.OK: style.Good, check.Missing: style.Warn, check.Found: style.Warn, check.Unknown: style.Dim,
}

// verdictLines are the verdicts beside each other, or below if they have no
// room.
func verdictLines(r report, s style.Style) string {
	var parts []string
	width := 0
	for _, v := range r.verdicts {
		said := oneLine(v.said.String())
		width += style.Width(v.name+" "+said) + 4
		role := style.Good
		if !v.said.Possible {
			role = style.Warn
		}
		rows := wrapped(said, s.Columns-len(v.name)-1)
		first, rest, _ := strings.Cut(rows[0], ",")
		rows[0] = s.As(role, first)
		if rest != "" {
			rows[0] += "," + rest
		}
		parts = append(parts, s.As(style.Title, v.name)+" "+strings.Join(rows, "\n"+strings.Repeat(" ", len(v.name)+1)))
	}
	if width-4 <= s.Columns {
		return strings.Join(parts, "    ") + "\n"
	}
	return strings.Join(parts, "\n") + "\n"
}

// wrapped is text in lines of at most that many columns, unless a word is
// longer.
func wrapped(text string, columns int) []string { return fill(strings.Fields(oneLine(text)), columns) }

// brokenCommand is a command in lines that a shell takes as one.
func brokenCommand(text string, columns int) []string {
	text = oneLine(text)
	rows := fill(strings.Fields(text), columns)
	if len(rows) == 1 {
		return rows
	}
	const around = 4 // the blanks before a row and the backslash behind it
	rows = fill(quotedWords(text), columns-around)
	for i := range rows {
		if i > 0 {
			rows[i] = "  " + rows[i]
		}
		if i < len(rows)-1 {
			rows[i] += ` \`
		}
	}
	return rows
}

// quotedWords are the words of a command; what is in double quotes is one.
func quotedWords(text string) []string {
	var words []string
	for _, w := range strings.Fields(text) {
		if n := len(words); n > 0 && strings.Count(words[n-1], `"`)%2 == 1 {
			words[n-1] += " " + w
		} else {
			words = append(words, w)
		}
	}
	return words
}

func fill(words []string, columns int) []string {
	rows := []string{""}
	for _, w := range words {
		last := &rows[len(rows)-1]
		switch {
		case *last == "":
			*last = w
		case style.Width(*last)+1+style.Width(w) <= columns:
			*last += " " + w
		default:
			rows = append(rows, w)
		}
	}
	return rows
}

// oneLine is text that may be the kernel's, safe to show, without tabs.
func oneLine(text string) string {
	return lines.Shown(strings.Join(strings.Fields(text), " "), 400)
}
