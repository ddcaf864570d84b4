package main

import (
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Sizes in pixels, for a font of 14: most monospaced ones are 0.6 of that wide.
const (
	cellWidth  = 8.4
	cellHeight = 18
	baseline   = 13.5
	margin     = 16
)

// styleSheet is what a terminal of each theme looks like. What the picture is
// shown on decides; a program that knows no themes gets the dark one.
const styleSheet = `
text { font: 14px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", "Liberation Mono", monospace;
	white-space: pre }
.ground { fill: #171a21; stroke: #3b404b }
text, .shape { fill: #d5d9e0 } .line { stroke: #d5d9e0; fill: none }
.shape { shape-rendering: crispEdges }
text.green { fill: #83c98a } text.yellow { fill: #e6c070 } text.red { fill: #f08a86 }
text.cyan, .shape.cyan { fill: #62c6d3 } .line.cyan { stroke: #62c6d3 }
.bold { font-weight: 700 } .dim { opacity: .6 }
@media (prefers-color-scheme: light) {
.ground { fill: #fcfcfd; stroke: #d0d4da }
text, .shape { fill: #252a31 } .line { stroke: #252a31 }
text.green { fill: #1a7431 } text.yellow { fill: #855b00 } text.red { fill: #bd2c25 }
text.cyan, .shape.cyan { fill: #0a7080 } .line.cyan { stroke: #0a7080 }
.dim { opacity: .72 }
}
`

// drawing writes an SVG.
type drawing struct {
	out strings.Builder
}

// draw writes a screen as an SVG that needs nothing but a monospaced font.
func draw(w io.Writer, screen [][]cell, columns, rows int, title string) error {
	d := &drawing{}
	width, height := cellWidth*float64(columns)+2*margin, float64(cellHeight*rows+2*margin)
	d.printf(`<svg xmlns="http://www.w3.org/2000/svg" width="%[1]s" height="%[2]s" viewBox="0 0 %[1]s %[2]s" role="img">`+"\n",
		number(width), number(height))
	d.printf("<title>%s</title>\n<style>%s</style>\n", escaped(title), styleSheet)
	d.printf(`<rect class="ground" x=".5" y=".5" width="%s" height="%s" rx="8"/>`+"\n",
		number(width-1), number(height-1))
	for i, row := range screen {
		d.row(row, float64(margin+cellHeight*i))
	}
	d.printf("</svg>\n")
	_, err := io.WriteString(w, d.out.String())
	return err
}

// row draws the cells of a row in runs: each is of one kind and one look.
func (d *drawing) row(row []cell, top float64) {
	for at := 0; at < len(row); {
		n := run(row[at:])
		x := margin + cellWidth*float64(at)
		d.run(row[at:at+n], x, top)
		at += n
	}
}

// kind is how a cell is drawn.
type kind int

const (
	blank kind = iota
	letters
	blocks
	heavy  // a line across
	dashes // one that is not on
	cursor // a line down
)

func (c cell) kind() kind {
	_, block := bar(c.text)
	switch {
	case c.text == "":
		return blank
	case block:
		return blocks
	case c.text == "━":
		return heavy
	case c.text == "┈":
		return dashes
	case c.text == "┃":
		return cursor
	}
	return letters
}

// run is how many cells are drawn as one. A single blank does not end a text.
func run(row []cell) int {
	n := 1
	for n < len(row) {
		next := row[n]
		if next.kind() == blank && row[0].kind() == letters && n+1 < len(row) && row[n+1].kind() == letters {
			next = row[n+1]
		}
		if next.kind() != row[0].kind() || next.look != row[0].look && next.kind() != blank {
			break
		}
		n++
	}
	return n
}

func (d *drawing) run(cells []cell, x, top float64) {
	width := cellWidth * float64(len(cells))
	middle := top + cellHeight/2
	switch cells[0].kind() {
	case letters:
		var text strings.Builder
		for _, c := range cells {
			if c.text == "" {
				c.text = " "
			}
			text.WriteString(c.text)
		}
		d.printf(`<text%s x="%s" y="%s" textLength="%s" lengthAdjust="spacingAndGlyphs">%s</text>`+"\n",
			cells[0].class(""), number(x), number(top+baseline), number(width), escaped(text.String()))
	case blocks:
		var shapes []shape
		for _, c := range cells {
			s, _ := bar(c.text)
			shapes = append(shapes, s)
		}
		d.printf(`<path%s d="%s"/>`+"\n", cells[0].class("shape"), outline(x, top+cellHeight, shapes))
	case heavy:
		d.line(cells[0], `stroke-width="3"`, fmt.Sprintf("M%s %sh%s", number(x), number(middle), number(width)))
	case dashes: // four in a cell
		d.line(cells[0], `stroke-dasharray="1.05"`, fmt.Sprintf("M%s %sh%s", number(x), number(middle), number(width)))
	case cursor:
		d.line(cells[0], `stroke-width="2.5"`, fmt.Sprintf("M%s %sv%d", number(x+cellWidth/2), number(top), cellHeight))
	}
}

func (d *drawing) line(c cell, stroke, path string) {
	d.printf(`<path%s %s d="%s"/>`+"\n", c.class("line"), stroke, path)
}

// class is the attribute for a look.
func (l look) class(first string) string {
	var names []string
	if first != "" {
		names = append(names, first)
	}
	if l.bold {
		names = append(names, "bold")
	}
	if l.dim {
		names = append(names, "dim")
	}
	if l.colour != "" {
		names = append(names, l.colour)
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf(` class="%s"`, strings.Join(names, " "))
}

func (d *drawing) printf(format string, args ...any) { fmt.Fprintf(&d.out, format, args...) }

// escaped is text that XML takes for nothing else.
func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder takes everything
	return b.String()
}

// number is a length, to a hundredth of a pixel.
func number(f float64) string {
	text := strconv.FormatFloat(f, 'f', 2, 64)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".")
}
