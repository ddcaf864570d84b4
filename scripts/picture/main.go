// Picture draws a terminal: it reads what `tmux capture-pane -e -p` prints, and
// writes an SVG to a file. `make picture` draws docs/view.svg by it.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// The size of the terminal in scripts/picture.sh.
const (
	columns = 100
	rows    = 30
)

const title = "fault run on a terminal: what each fault does and did, and whose connections it has"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: picture FILE.svg <SCREEN")
		os.Exit(2)
	}
	var svg strings.Builder
	err := picture(os.Stdin, &svg, columns, rows, title)
	if err == nil {
		err = os.WriteFile(os.Args[1], []byte(svg.String()), 0o644)
	}
	if err != nil {
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
