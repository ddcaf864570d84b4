package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/faultproxy/fault/agent/style"
)

// addNoColor adds the flag that takes colour from everything.
func addNoColor(root *cobra.Command) {
	more(section{root, globalTitle}.toggle(new(bool), "no-color", "write without colour"),
		"So does NO_COLOR, whatever its value. Bold and dim text stay, on a terminal; CLICOLOR_FORCE wants colour where there is no terminal.")
}

// style is what text of a command looks like that is written to w.
func (e environment) style(cmd *cobra.Command, w io.Writer) style.Style {
	noColor, _ := cmd.Flags().GetBool("no-color")
	return e.styleOf(w, noColor)
}

// report writes an error or a warning to stderr, and what to do about it.
func (e environment) report(look style.Style, role style.Role, word, message, hint string) {
	text := look.As(role, word+":") + " " + message + "\n"
	if hint != "" {
		text += look.As(style.Accent, "hint:") + " " + hint + "\n"
	}
	fmt.Fprint(e.stderr, look.Glyphs(text))
}

// styleOf is what text looks like that is written to w.
//
// Whether there is colour is for --no-color to say, then NO_COLOR
// (no-color.org: any value but none), then CLICOLOR_FORCE, and then for what
// w is.
func (e environment) styleOf(w io.Writer, noColor bool) style.Style {
	columns := columnsOf(w)
	name := e.terminalName()
	terminal := columns > 0 && name != "" && name != "dumb"
	s := style.Style{Columns: columns, ASCII: terminal && !e.knowsUTF8()}
	forced := e.getenv("CLICOLOR_FORCE")
	switch {
	case noColor, e.getenv("NO_COLOR") != "":
		if terminal {
			s.Palette = style.Mono
		}
	case forced != "" && forced != "0", terminal:
		s.Palette = style.Colour
	}
	return s
}

// terminalName is the kind of terminal; empty if nobody says. Windows has one.
func (e environment) terminalName() string {
	if runtime.GOOS == "windows" {
		return "windows"
	}
	return e.getenv("TERM")
}

// knowsUTF8 says whether a terminal shows more than ASCII. Linux's own console
// lacks the glyphs.
func (e environment) knowsUTF8() bool {
	if runtime.GOOS == "windows" {
		return true
	}
	if e.getenv("TERM") == "linux" {
		return false
	}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := e.getenv(name); locale != "" {
			_, charset, _ := strings.Cut(strings.ToLower(locale), ".")
			return strings.HasPrefix(charset, "utf-8") || strings.HasPrefix(charset, "utf8")
		}
	}
	return false
}

// columnsOf is how wide a terminal is; 0 if w is none.
func columnsOf(w io.Writer) int {
	file, ok := w.(*os.File)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(int(file.Fd()))
	switch {
	case err != nil:
		return 0
	case columns == 0:
		return 80 // which does not know its own size
	}
	return columns
}
