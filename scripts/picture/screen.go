package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// cell is one character of a screen, and what it looks like.
type cell struct {
	text string // empty is a blank
	look
}

// look is what the view makes use of.
type look struct {
	bold, dim bool
	colour    string // one of the names in colours; empty is that of text
}

// colours are those that the view writes in, by their number in SGR.
var colours = map[int]string{31: "red", 32: "green", 33: "yellow", 36: "cyan", 39: ""}

// readScreen reads what `tmux capture-pane -e -p` prints: a line for each row
// of the screen, with SGR sequences, which go on from row to row. It refuses
// what it could not draw.
func readScreen(text string, columns, rows int) ([][]cell, error) {
	var screen [][]cell
	var row []cell
	var now look
	var state byte
	parser := ansi.NewParser()
	for len(text) > 0 {
		seq, width, n, next := ansi.DecodeSequence(text, state, parser)
		text, state = text[n:], next
		switch {
		case width == 1:
			row = append(row, cell{strings.TrimPrefix(seq, " "), now})
		case seq == "\n":
			screen, row = append(screen, row), nil
		case ansi.HasCsiPrefix(seq) && parser.Command() == 'm':
			if err := now.set(parser.Params()); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("row %d: %q is not drawn", len(screen)+1, seq)
		}
		if len(row) > columns {
			return nil, fmt.Errorf("row %d is wider than %d columns", len(screen)+1, columns)
		}
	}
	if len(row) > 0 {
		screen = append(screen, row)
	}
	if len(screen) == 0 {
		return nil, errors.New("there is nothing on it")
	}
	if len(screen) > rows {
		return nil, fmt.Errorf("%d rows, more than %d", len(screen), rows)
	}
	return screen, nil
}

// set takes in an SGR sequence.
func (l *look) set(params ansi.Params) error {
	if len(params) == 0 {
		*l = look{}
	}
	for _, p := range params {
		switch n := p.Param(0); n {
		case 0:
			*l = look{}
		case 1:
			l.bold = true
		case 2:
			l.dim = true
		case 22:
			l.bold, l.dim = false, false
		case 49: // no background, which is all that it has
		default:
			colour, ok := colours[n]
			if !ok || p.HasMore() {
				return fmt.Errorf("the view does not write in SGR %d", n)
			}
			l.colour = colour
		}
	}
	return nil
}
