package agent

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/faultproxy/fault/agent/style"
)

// field is a labelled part of the start page.
type field struct {
	label   string
	entries []entry
	// wideOnly says that it is left out where there is no room.
	wideOnly bool
}

// entry is one of the things that a field says.
type entry struct {
	// name is what it is about, if there may be several.
	name string
	// text is for wide windows and pipes, short for others; empty is the same.
	text, short string
	role        style.Role
}

func labelled(label string, e entry) field { return field{label: label, entries: []entry{e}} }

// startText is a start page as it is written.
type startText struct {
	page
	look style.Style
}

func (p *startText) title(cfg *Config, s *scene) {
	version := foreign(p.look, cfg.Version, 40)
	first, second := fmt.Sprintf("%s  pid %d", version, s.pid), fmt.Sprintf("seed %d", cfg.Seed)
	name := p.look.As(style.Title, "fault")
	if isNarrow(p.look) {
		p.printf("%s %s\n%s\n", name, style.CutEnd(first, pageColumns(p.look)-len("fault ")), second)
		return
	}
	p.printf("%s %s  %s\n\n", name, first, second)
}

func (p *startText) ready(took time.Duration) {
	if !isNarrow(p.look) {
		p.printf("\n")
	}
	p.printf("%s\n", figures(p.look, 0, fmt.Sprintf("ready after %d ms", took.Milliseconds())))
}

func (p *startText) fields(all []field) {
	for _, f := range all {
		if !isNarrow(p.look) {
			p.wide(f)
		} else if !f.wideOnly {
			p.narrow(f)
		}
	}
}

// wide writes a field beside its label.
func (p *startText) wide(f field) {
	names := 0
	for _, e := range f.entries {
		names = max(names, len(e.name))
	}
	for i, e := range f.entries {
		label := f.label
		if i > 0 {
			label = ""
		}
		margin := "  " + leftAs(p.look, style.Title, label, 10) + "  "
		indent := 14
		if names > 0 {
			margin += style.Left(e.name, names) + "  "
			indent += names + 2
		}
		p.value(margin, indent, e.text, e.role)
	}
}

// narrow writes a field beside its label if there is room, and else below it.
func (p *startText) narrow(f field) {
	const label = 11
	if e := f.entries[0]; len(f.entries) == 1 && e.name == "" && len(f.label) < label-1 {
		text := foreign(p.look, cmp.Or(e.short, e.text), math.MaxInt)
		if label+style.Width(text) <= pageColumns(p.look) {
			p.value(leftAs(p.look, style.Title, f.label, label), label, text, e.role)
			return
		}
	}
	p.printf("%s\n", p.look.As(style.Title, f.label))
	for _, e := range f.entries {
		indent := 2
		if len(f.entries) > 1 || e.name != "" {
			indent = 4
		}
		text := cmp.Or(e.short, e.text)
		if e.name != "" {
			text = e.name + "  " + text
		}
		p.value("  ", indent, text, e.role)
	}
}

// value writes a text that goes on at an indentation, with what is in front of
// its first line.
func (p *startText) value(margin string, indent int, text string, role style.Role) {
	columns := pageColumns(p.look)
	if columns > 0 {
		columns -= indent
	}
	for i, line := range wrap(foreign(p.look, text, math.MaxInt), columns) {
		if i > 0 {
			margin = strings.Repeat(" ", indent)
		}
		if role != 0 {
			line = p.look.As(role, line)
		} else {
			line = figures(p.look, 0, line)
		}
		p.printf("%s%s\n", margin, line)
	}
}
