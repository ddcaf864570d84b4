package main

import (
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/term"

	"github.com/faultproxy/fault/agent/style"
)

// styleOf is what text looks like that is written to w.
//
// Whether there is colour is for --no-color to say, then NO_COLOR
// (no-color.org: any value but none), then CLICOLOR_FORCE, and then for what
// w is.
func (e environment) styleOf(w io.Writer, noColor bool) style.Style {
	columns := columnsOf(w)
	terminal := columns > 0 && e.getenv("TERM") != "dumb"
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
