package agent

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// page collects a text of labelled lines.
type page struct{ strings.Builder }

func (p *page) printf(format string, args ...any) { fmt.Fprintf(p, format, args...) }

// stamp is a time as lines for pipes begin with it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// clock prints a time of the run as a clock does: 5:00, 1:02:03, 0:00.5.
func clock(d time.Duration) string {
	d = d.Round(time.Millisecond)
	text := fmt.Sprintf("%02d", d/time.Second%60)
	if rest := d / time.Millisecond % 1000; rest != 0 {
		text += strings.TrimRight(fmt.Sprintf(".%03d", rest), "0")
	}
	if h := d / time.Hour; h > 0 {
		return fmt.Sprintf("%d:%02d:%s", h, d/time.Minute%60, text)
	}
	return fmt.Sprintf("%d:%s", d/time.Minute, text)
}

// count prints a number with its thousands apart: 4,982.
func count[T ~int | ~int64 | ~uint64](n T) string {
	digits := strconv.FormatUint(uint64(n), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// counted prints a number of things: 1 flow, 2 flows.
func counted[T ~int | ~int64 | ~uint64](n T, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return count(n) + " " + thing + "s"
}

// size prints bytes: 512 B, 4.1 MB.
func size(n uint64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := scaled(float64(n))
	return fmt.Sprintf("%.1f %s", value, unit)
}

// scaled is a number of bytes in the largest unit that leaves it at least 1.
func scaled(bytes float64) (value float64, unit string) {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	for len(units) > 1 && bytes >= 1000 {
		bytes /= 1000
		units = units[1:]
	}
	return bytes, units[0]
}

// ms prints a duration in milliseconds: to a tenth, and from 100 on to a whole
// one.
func ms(d time.Duration) string {
	value := float64(d) / float64(time.Millisecond)
	if value >= 99.95 {
		return fmt.Sprintf("%.0f", value)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", value), ".0")
}

// percent prints a share with three digits that count: 10.0 %, 3.02 %.
func percent(share float64) string {
	p := 100 * share
	if p == 0 {
		return "0 %"
	}
	digits := 2 - int(math.Floor(math.Log10(p)))
	return fmt.Sprintf("%.*f %%", min(max(digits, 0), 9), p)
}

// parted is the parts of a count in words, the largest first.
func parted(parts map[string]uint64) string {
	words := slices.SortedFunc(maps.Keys(parts), func(a, b string) int {
		return cmp.Or(cmp.Compare(parts[b], parts[a]), cmp.Compare(a, b))
	})
	texts := make([]string, len(words))
	for i, w := range words {
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
