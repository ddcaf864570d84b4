package agent

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/faultproxy/fault/agent/style"
)

// replay is the command line that starts a run again, for sh and on one line.
// What this reader cannot be shown is written by its bytes.
func replay(look style.Style, args []string) string {
	texts := make([]string, len(args))
	for i, arg := range args {
		hidden := func(r rune) bool {
			return r == utf8.RuneError || !unicode.IsPrint(r) || look.ASCII && r > unicode.MaxASCII
		}
		if strings.ContainsFunc(arg, hidden) {
			texts[i] = byBytes(arg, hidden)
		} else {
			texts[i] = quoted([]string{arg})
		}
	}
	return "fault " + strings.Join(texts, " ")
}

// byBytes quotes an argument with the escapes that shells have for bytes.
func byBytes(arg string, hidden func(rune) bool) string {
	var b strings.Builder
	b.WriteString("$'")
	for i, r := range arg {
		_, size := utf8.DecodeRuneInString(arg[i:])
		switch {
		case hidden(r):
			for _, c := range []byte(arg[i : i+size]) {
				fmt.Fprintf(&b, `\%03o`, c)
			}
		case r == '\'' || r == '\\':
			b.WriteString(`\` + string(r))
		default:
			b.WriteRune(r)
		}
	}
	b.WriteString("'")
	return b.String()
}
