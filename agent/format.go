package agent

import (
	"fmt"
	"strings"
	"time"

	"github.com/faultproxy/fault/agent/words"
)

// page collects a text of labelled lines.
type page struct{ strings.Builder }

func (p *page) printf(format string, args ...any) { fmt.Fprintf(p, format, args...) }

// stamp is a time as lines for pipes begin with it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// parted is the parts of a count in words, the largest first.
func parted(parts map[string]uint64) string {
	texts := words.Largest(parts)
	for i, w := range texts {
		texts[i] = words.Count(parts[w]) + " " + w
	}
	return strings.Join(texts, ", ")
}

// quoted is a command line for sh.
func quoted(args []string) string {
	texts := make([]string, len(args))
	for i, a := range args {
		texts[i] = a
		if a == "" || strings.ContainsFunc(a, needsQuotes) {
			texts[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(texts, " ")
}

// needsQuotes says whether sh might take a character for something else.
func needsQuotes(r rune) bool {
	letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !letter && !strings.ContainsRune("@%+=:,./_-", r)
}
