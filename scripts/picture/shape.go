package main

import (
	"fmt"
	"strings"
)

// shape is the part of a cell that a glyph fills from its lower left, in
// eighths. What is made of them is drawn, as no two fonts agree where glyphs
// that should touch begin and end.
type shape struct{ width, height int }

const (
	lowerBlocks = "▁▂▃▄▅▆▇█"
	leftBlocks  = "▏▎▍▌▋▊▉"
)

// bar is the shape of a block.
func bar(glyph string) (shape, bool) {
	if i := strings.Index(lowerBlocks, glyph); glyph != "" && i >= 0 {
		return shape{8, i/3 + 1}, true
	}
	if i := strings.Index(leftBlocks, glyph); glyph != "" && i >= 0 {
		return shape{i/3 + 1, 8}, true
	}
	return shape{}, false
}

// outline is the path around blocks that stand side by side.
func outline(x, bottom float64, shapes []shape) string {
	var d strings.Builder
	fmt.Fprintf(&d, "M%s %s", number(x), number(bottom))
	for _, s := range shapes {
		fmt.Fprintf(&d, "V%s", number(bottom-cellHeight*float64(s.height)/8))
		fmt.Fprintf(&d, "H%s", number(x+cellWidth*float64(s.width)/8))
		x += cellWidth
		if s.width < 8 {
			fmt.Fprintf(&d, "V%sH%s", number(bottom), number(x))
		}
	}
	fmt.Fprintf(&d, "V%sz", number(bottom))
	return d.String()
}
