// Package style is what text looks like to whoever reads it: how wide it may
// be, which glyphs it is made of, and which words stand out.
//
// Text is written with the glyphs of UTF-8, and words in roles; [Style.Glyphs]
// and [Style.As] make of them what the reader has. Nothing is said by a colour
// alone.
package style

import (
	"strings"
	"unicode"

	"github.com/charmbracelet/x/ansi"
)

// Style is one reader's.
type Style struct {
	// Columns is how wide the window is; 0 is a reader without one, such as a
	// pipe, for whom no line is ever broken or cut.
	Columns int
	// ASCII says that the reader has no other glyphs.
	ASCII bool
	// Palette is how roles are shown.
	Palette Palette
}

// Palette is how roles are shown.
type Palette uint8

// The palettes.
const (
	Plain  Palette = iota // not at all
	Mono                  // bold and dim only
	Colour                // in the terminal's own colours
	Marked                // in words, for tests: ‹warn›paused‹/›
)

// Role is what a word is for.
type Role uint8

// The roles.
const (
	Title  Role = iota + 1 // the name of the program, labels
	Good                   // running, on, ok
	Warn                   // paused, ending, missing, nothing matched
	Bad                    // errors
	Accent                 // cursor, bars, measured numbers, hints
	Dim                    // what is there to be overlooked
)

var roleNames = [...]string{Title: "title", Good: "good", Warn: "warn", Bad: "bad", Accent: "accent", Dim: "dim"}

// The terminal's own colours only, and none that a light or a dark theme makes
// hard to read: the theme decides what they look like.
var (
	inColour = [...]ansi.Style{
		Title:  ansi.Style{}.Bold(),
		Good:   ansi.Style{}.ForegroundColor(ansi.Green),
		Warn:   ansi.Style{}.Bold().ForegroundColor(ansi.Yellow),
		Bad:    ansi.Style{}.ForegroundColor(ansi.Red),
		Accent: ansi.Style{}.ForegroundColor(ansi.Cyan),
		Dim:    ansi.Style{}.Faint(),
	}
	inMono = [...]ansi.Style{
		Title: ansi.Style{}.Bold(), Good: nil, Warn: ansi.Style{}.Bold(), Bad: nil, Accent: nil, Dim: ansi.Style{}.Faint(),
	}
)

// As is text in a role. It takes as many columns as before, except in
// [Marked].
func (s Style) As(role Role, text string) string {
	if text == "" || role == 0 {
		return text
	}
	switch s.Palette {
	case Mono:
		return styled(inMono[role], text)
	case Colour:
		return styled(inColour[role], text)
	case Marked:
		return "‹" + roleNames[role] + "›" + text + "‹/›"
	}
	return text
}

func styled(style ansi.Style, text string) string {
	if len(style) == 0 {
		return text
	}
	return style.Styled(text)
}

// asciiGlyphs are what the glyphs become that this program uses, each of one
// column.
var asciiGlyphs = strings.NewReplacer(
	"━", "=", "┈", ".", "┃", "|", "│", "|",
	"▁", ".", "▂", ":", "▃", "-", "▄", "=", "▅", "+", "▆", "*", "▇", "%", "█", "#",
	"▏", "#", "▎", "#", "▍", "#", "▌", "#", "▋", "#", "▊", "#", "▉", "#",
	"→", ">", "↓", "v", "↑", "^", "…", "~", "‹", "‹", "›", "›",
)

// Glyphs is text in the glyphs that the reader has, which is to be called once
// and last.
func (s Style) Glyphs(text string) string {
	if !s.ASCII {
		return text
	}
	return strings.Map(func(r rune) rune {
		marks := s.Palette == Marked && strings.ContainsRune("‹›", r)
		if r > unicode.MaxASCII && !marks {
			return '?'
		}
		return r
	}, asciiGlyphs.Replace(text))
}

// Width is how many columns text takes, which may be in roles.
func Width(text string) int { return ansi.StringWidth(text) }

// Cut makes text fit into columns: what is too much is cut from its middle.
// The text must not be in roles.
func Cut(text string, columns int) string {
	width := Width(text)
	switch {
	case width <= columns:
		return text
	case columns <= 0:
		return ""
	}
	left := columns / 2
	right := columns - 1 - left
	tail := text
	// A wide character may begin just before the cut, and widths of what
	// combines do not always add up.
	for cut := width - right; Width(tail) > right; cut++ {
		tail = ansi.TruncateLeft(text, cut, "")
	}
	return ansi.Truncate(text, left, "") + "…" + tail
}

// CutEnd makes text fit into columns: what is too much is cut from its end.
// The text must not be in roles.
func CutEnd(text string, columns int) string {
	if columns <= 0 {
		return ""
	}
	return ansi.Truncate(text, columns, "…")
}

// Left is text at the left of a column of that many, Right at its right. Text
// that is wider stays as it is.
func Left(text string, columns int) string {
	return text + strings.Repeat(" ", max(0, columns-Width(text)))
}

// Right is described at [Left].
func Right(text string, columns int) string {
	return strings.Repeat(" ", max(0, columns-Width(text))) + text
}
