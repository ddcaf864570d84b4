package agent

import (
	"strings"

	"github.com/charmbracelet/x/ansi"

	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/agent/style"
)

// pageWidth is how wide a page gets in any window that has the room, because
// it is pasted into tickets; leastWidth is what narrower windows get.
const (
	pageWidth  = 80
	leastWidth = 40
)

// pageColumns is how wide a page may be; 0 is without bound.
func pageColumns(look style.Style) int {
	if look.Columns == 0 {
		return 0
	}
	return min(max(look.Columns, leastWidth), pageWidth)
}

// isNarrow says whether a page gets the form for windows that have no room for
// the other one.
func isNarrow(look style.Style) bool { return look.Columns > 0 && look.Columns < pageWidth }

// foreign makes text from outside safe to show, in the reader's glyphs already:
// it is measured.
func foreign(look style.Style, text string, limit int) string {
	return look.Glyphs(lines.Shown(text, limit))
}

// wrap breaks text between words so that it fits into columns; 0 is without
// bound. Units stay with their numbers. A word that is too long is broken after
// a comma, or anywhere.
func wrap(text string, columns int) []string {
	if columns <= 0 {
		return []string{text}
	}
	var all []string
	line := ""
	for _, word := range unbroken(text) {
		switch {
		case line == "":
			line = word
		case style.Width(line)+1+style.Width(word) <= columns:
			line += " " + word
		default:
			all = append(all, line)
			line = word
		}
		for style.Width(line) > columns {
			part := ansi.Truncate(line, columns, "")
			if comma := strings.LastIndexByte(part, ','); comma > 0 {
				part = part[:comma+1]
			}
			all = append(all, part)
			line = line[len(part):]
		}
	}
	return append(all, line)
}

// unbroken is the words of a text, units with what is before them.
func unbroken(text string) []string {
	var words []string
	for _, word := range strings.Split(text, " ") {
		if last := len(words) - 1; last >= 0 && isUnit(strings.TrimRight(word, ",;")) {
			words[last] += " " + word
		} else {
			words = append(words, word)
		}
	}
	return words
}

// figures is text with its numbers in a role, and their units dim.
func figures(look style.Style, numbers style.Role, text string) string {
	words := strings.Split(text, " ")
	afterNumber := false
	for i, word := range words {
		bare := strings.TrimRight(word, ",;")
		role := style.Role(0)
		switch {
		case isNumber(bare):
			role = numbers
		case afterNumber && isUnit(bare):
			role = style.Dim
		}
		afterNumber = isNumber(word)
		words[i] = look.As(role, bare) + word[len(bare):]
	}
	return strings.Join(words, " ")
}

func isNumber(word string) bool {
	return word != "" && strings.Trim(word, "0123456789.,") == ""
}

func isUnit(word string) bool {
	switch strings.TrimSuffix(word, "/s") {
	case "ms", "s", "%", "B", "kB", "MB", "GB", "TB":
		return true
	}
	return false
}

// fitted is the first of some forms of a text that fits into columns, or what
// does of the last.
func fitted(columns int, forms ...string) string {
	for _, form := range forms {
		if style.Width(form) <= columns {
			return form
		}
	}
	return style.Cut(forms[len(forms)-1], columns)
}

// leftAs is text in a role at the left of a column.
func leftAs(look style.Style, role style.Role, text string, columns int) string {
	return look.As(role, text) + strings.Repeat(" ", max(0, columns-style.Width(text)))
}
