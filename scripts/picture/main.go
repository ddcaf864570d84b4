// Picture draws a terminal: it reads what `tmux capture-pane -e -p` prints, and
// writes an SVG. scripts/picture.sh makes docs/view.svg by it.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	columns := flag.Int("columns", 100, "width of the terminal")
	rows := flag.Int("rows", 30, "height of the terminal")
	title := flag.String("title", "a terminal", "what is said of the picture to who cannot see it")
	flag.Parse()
	if err := picture(os.Stdin, os.Stdout, *columns, *rows, *title); err != nil {
		fmt.Fprintln(os.Stderr, "error: draw the terminal:", err)
		os.Exit(1)
	}
}

func picture(in io.Reader, out io.Writer, columns, rows int, title string) error {
	text, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	screen, err := readScreen(string(text), columns, rows)
	if err != nil {
		return err
	}
	return draw(out, screen, columns, rows, title)
}
