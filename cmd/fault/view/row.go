package view

import (
	"strings"
	"unicode"

	"github.com/charmbracelet/x/ansi"

	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/agent/style"
)

// row is one line of a frame: words in roles.
type row struct {
	spans []span
	width int // columns
}

type span struct {
	role style.Role
	text string
}

// add appends text in a role; 0 is none.
func (r *row) add(role style.Role, text string) *row {
	if text != "" {
		r.spans = append(r.spans, span{role, text})
		r.width += style.Width(text)
	}
	return r
}

// join appends another row.
func (r *row) join(other row) *row {
	r.spans = append(r.spans, other.spans...)
	r.width += other.width
	return r
}

// to fills up with spaces to a column.
func (r *row) to(column int) *row { return r.add(0, strings.Repeat(" ", max(0, column-r.width))) }

// plain is a row of text without a role.
func plain(text string) row { return inRole(0, text) }

func inRole(role style.Role, text string) row {
	var r row
	r.add(role, text)
	return r
}

// text is what is written: cut at its right if it is wider than limit.
func (r *row) text(st style.Style, limit int) string {
	var b strings.Builder
	b.Grow(r.width + 16*len(r.spans))
	spans := r.spans
	for len(spans) > 0 && strings.Trim(spans[len(spans)-1].text, " ") == "" {
		spans = spans[:len(spans)-1]
	}
	left := limit
	for i, s := range spans {
		width := style.Width(s.text)
		if width > left || width == left && i+1 < len(spans) {
			b.WriteString(st.As(s.role, ansi.Truncate(s.text, left, "…")))
			break
		}
		b.WriteString(st.As(s.role, s.text))
		left -= width
	}
	return b.String()
}

// fitting is parts with a gap between them, as many as limit has room for: if
// the gap costs one, it gets smaller first.
func fitting(limit int, gap string, parts []row) row {
	for len(parts) > 1 && together(gap, parts) > limit {
		if len(gap) > 2 {
			gap = gap[1:]
		} else {
			parts = parts[:len(parts)-1]
		}
	}
	var r row
	for i, part := range parts {
		if i > 0 {
			r.add(0, gap)
		}
		r.join(part)
	}
	return r
}

// together is how many columns parts take with a gap between them.
func together(gap string, parts []row) int {
	width := len(gap) * (len(parts) - 1)
	for _, part := range parts {
		width += part.width
	}
	return width
}

// labelled is a row that begins with a label, and goes on with parts.
func (p *page) labelled(label string, parts ...row) row {
	var r row
	r.add(0, " ").add(style.Title, style.Cut(label, p.label-2)).to(p.label)
	r.join(fitting(p.limit-r.width, p.gap, parts))
	return r
}

// foreign is text that is not ours, made safe to show and to measure: it does
// not combine with what is before it, and nothing in it decides how wide it is.
func (p *page) foreign(text string) string {
	first := true
	text = strings.Map(func(r rune) rune {
		combines := first && unicode.IsMark(r) || unicode.Is(unicode.Variation_Selector, r)
		first = false
		if combines {
			return '?'
		}
		return r
	}, lines.Shown(text, 200))
	return p.f.Style.Glyphs(text)
}
