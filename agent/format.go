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

func clock(d time.Duration) string { return words.Clock(d) }

func count[T ~int | ~int64 | ~uint64](n T) string { return words.Count(n) }

// counted prints a number of things: 1 flow, 2 flows.
func counted[T ~int | ~int64 | ~uint64](n T, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return count(n) + " " + thing + "s"
}

func size(n uint64) string { return words.Size(n) }

func scaled(bytes float64) (value float64, unit string) { return words.Scaled(bytes) }

func ms(d time.Duration) string { return words.MS(d) }

func percent(share float64) string { return words.Percent(share) }

// parted is the parts of a count in words, the largest first.
func parted(parts map[string]uint64) string {
	texts := words.Largest(parts)
	for i, w := range texts {
		texts[i] = count(parts[w]) + " " + w
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
