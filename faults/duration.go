package faults

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// units are the spellings of units of time, each with the shortest prefix of
// it that is taken, as in "mil…".
var units = []struct {
	shortest, longest string
	length            time.Duration
}{
	{"n", "nanoseconds", time.Nanosecond},
	{"ns", "ns", time.Nanosecond},
	{"nsec", "nsecs", time.Nanosecond},
	{"u", "us", time.Microsecond},
	{"usec", "usecs", time.Microsecond},
	{"mic", "microseconds", time.Microsecond},
	{"µ", "µs", time.Microsecond}, // micro sign
	{"μ", "μs", time.Microsecond}, // Greek mu
	{"mil", "milliseconds", time.Millisecond},
	{"ms", "ms", time.Millisecond},
	{"msec", "msecs", time.Millisecond},
	{"s", "seconds", time.Second},
	{"sec", "secs", time.Second},
	{"m", "m", time.Minute},
	{"min", "minutes", time.Minute},
	{"mins", "mins", time.Minute},
	{"h", "hours", time.Hour},
	{"hr", "hrs", time.Hour},
	{"d", "days", 24 * time.Hour},
	{"w", "weeks", 7 * 24 * time.Hour},
	{"wk", "wks", 7 * 24 * time.Hour},
	{"mo", "months", year / 12},
	{"y", "years", year},
	{"yr", "yrs", year},
}

// year is the mean one of the Gregorian calendar: 365.2425 days.
const year = 31556952 * time.Second

// ParseDuration parses a duration as flags write it: numbers with units, which
// are summed ("1h30m", "15 days and 20 seconds", "1.5h"), or a bare number of
// seconds. Units may be spelled out or cut short in any case; of one letter,
// m is minutes and M months. A duration is not negative.
func ParseDuration(text string) (time.Duration, error) {
	rest := strings.TrimSpace(text)
	if rest == "" {
		return 0, fmt.Errorf("a duration is empty; write for instance 90, 30s, 5m or 1h30m")
	}
	var sum float64
	for first := true; rest != ""; first = false {
		number, unit, after := nextTerm(rest)
		n, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return 0, fmt.Errorf("`%s` is not a duration such as 90, 30s, 5m or 1h30m", text)
		}
		length := time.Second
		if bare := first && unit == "" && after == ""; !bare {
			if length, err = unitLength(unit); err != nil {
				return 0, fmt.Errorf("`%s`: %w", text, err)
			}
		}
		sum += n * float64(length)
		rest = nextNumber(after)
	}
	return total(text, sum)
}

// nextNumber cuts off what may stand between terms: spaces, punctuation and the
// word "and".
func nextNumber(s string) string {
	for {
		s = strings.TrimLeftFunc(s, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(",;:/&", r) })
		behind := strings.TrimLeftFunc(s, unicode.IsLetter)
		if !strings.EqualFold(s[:len(s)-len(behind)], "and") {
			return s
		}
		s = behind
	}
}

// nextTerm cuts off a number and the unit behind it.
func nextTerm(s string) (number, unit, rest string) {
	i := strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune("+-.0123456789", r) })
	if i < 0 {
		return s, "", ""
	}
	// An exponent looks like a unit until its digits are seen.
	if e := s[i:]; (e[0] == 'e' || e[0] == 'E') && len(e) > 1 && strings.ContainsRune("+-0123456789", rune(e[1])) {
		j := strings.IndexFunc(e[2:], func(r rune) bool { return r < '0' || r > '9' })
		if j < 0 {
			return s, "", ""
		}
		i += 2 + j
	}
	number, s = s[:i], strings.TrimLeftFunc(s[i:], unicode.IsSpace)
	j := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })
	if j < 0 {
		j = len(s)
	}
	return number, s[:j], s[j:]
}

func unitLength(unit string) (time.Duration, error) {
	if unit == "" {
		return 0, fmt.Errorf("a number has no unit")
	}
	if unit == "M" {
		return year / 12, nil
	}
	unit = strings.ToLower(unit)
	for _, u := range units {
		if strings.HasPrefix(unit, u.shortest) && strings.HasPrefix(u.longest, unit) {
			return u.length, nil
		}
	}
	return 0, fmt.Errorf("unknown unit `%s`", unit)
}

func total(text string, ns float64) (time.Duration, error) {
	switch {
	case math.IsNaN(ns) || ns < 0:
		return 0, fmt.Errorf("`%s` is not a duration of at least 0", text)
	case ns > float64(longest):
		return 0, fmt.Errorf("`%s` is longer than 100 years", text)
	}
	return time.Duration(math.Round(ns)), nil
}
