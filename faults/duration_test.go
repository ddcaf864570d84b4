package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	const (
		day   = 24 * time.Hour
		month = 2629746 * time.Second // 365.2425/12 days
	)
	for _, tc := range []struct {
		text string
		want time.Duration
	}{
		// A bare number is seconds.
		{"0", 0}, {"90", 90 * time.Second}, {"1.5", 1500 * time.Millisecond}, {" 5 ", 5 * time.Second},
		{"+5", 5 * time.Second}, {"1e2", 100 * time.Second}, {".5", 500 * time.Millisecond}, {"-0", 0},

		// Sums, in any order, with or without separators.
		{"1h30m", 90 * time.Minute}, {"30m 1h", 90 * time.Minute}, {"1h1h", 2 * time.Hour},
		{"15 days 20 seconds", 15*day + 20*time.Second},
		{"15 days, 20 seconds; 1ms", 15*day + 20*time.Second + time.Millisecond},
		{"1 day -1 hour", 23 * time.Hour}, {"1day-1hour", 23 * time.Hour}, {"-1h 1h", 0},
		{"1h\t30 m", 90 * time.Minute}, {"  1h  ", time.Hour}, {"1h\n30\u00a0m", 90 * time.Minute},
		{"1 hour and 5 minutes", 65 * time.Minute}, {"1h, and 5m", 65 * time.Minute}, {"1h AND5m", 65 * time.Minute},
		{"1h & 5m", 65 * time.Minute}, {"1h/5m", 65 * time.Minute}, {"1h:5m", 65 * time.Minute}, {"1h and .5m", 3630 * time.Second},

		// Numbers.
		{"1.5h", 90 * time.Minute}, {"1.26e-1 days", 10886400 * time.Millisecond},
		{"1e3ms", time.Second}, {"1E+3ms", time.Second}, {"+2s", 2 * time.Second}, {"0.0000000014s", 1},
		{"2.s", 2 * time.Second},

		// Units: any case, cut short as long as they are unlike others.
		{"7n", 7}, {"7ns", 7}, {"7nano", 7}, {"7nanos", 7}, {"7nanosecond", 7}, {"7nanoseconds", 7}, {"7nsec", 7}, {"7nsecs", 7},
		{"7u", 7000}, {"7us", 7000}, {"7usec", 7000}, {"7usecs", 7000}, {"7µs", 7000}, {"7μs", 7000}, {"7µ", 7000},
		{"7mic", 7000}, {"7micros", 7000}, {"7microseconds", 7000}, {"7 MICROSECONDS", 7000},
		{"7ms", 7 * time.Millisecond}, {"7MS", 7 * time.Millisecond}, {"7mil", 7 * time.Millisecond}, {"7millis", 7 * time.Millisecond},
		{"7milliseconds", 7 * time.Millisecond}, {"7msec", 7 * time.Millisecond}, {"7msecs", 7 * time.Millisecond},
		{"7s", 7 * time.Second}, {"7S", 7 * time.Second}, {"7se", 7 * time.Second}, {"7sec", 7 * time.Second}, {"7secs", 7 * time.Second}, {"7seconds", 7 * time.Second},
		{"7m", 7 * time.Minute}, {"7min", 7 * time.Minute}, {"7mins", 7 * time.Minute}, {"7minute", 7 * time.Minute}, {"7Minutes", 7 * time.Minute},
		{"7h", 7 * time.Hour}, {"7H", 7 * time.Hour}, {"7hr", 7 * time.Hour}, {"7hrs", 7 * time.Hour}, {"7hour", 7 * time.Hour}, {"7hours", 7 * time.Hour},
		{"7d", 7 * day}, {"7day", 7 * day}, {"7DAYS", 7 * day},
		{"7w", 49 * day}, {"7wk", 49 * day}, {"7wks", 49 * day}, {"7weeks", 49 * day},
		{"7M", 7 * month}, {"7mo", 7 * month}, {"7MO", 7 * month}, {"7months", 7 * month},
		{"100y", 1200 * month}, {"7y", 84 * month}, {"7yr", 84 * month}, {"7yrs", 84 * month}, {"7years", 84 * month},
	} {
		if got, err := ParseDuration(tc.text); got != tc.want || err != nil {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", tc.text, got, err, tc.want)
		}
	}
}

func TestParseDurationRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":              "empty",
		" \t ":          "empty",
		",":             "not a duration",
		"s":             "not a duration",
		"soon":          "not a duration",
		"--1s":          "not a duration",
		"1.2.3s":        "not a duration",
		"1 2s":          "no unit",
		"1h 30":         "no unit",
		"1h30":          "no unit",
		"1h and 30":     "no unit",
		"1:30":          "no unit",
		"1 and 5m":      "unknown unit `and`",
		"and":           "not a duration",
		"and 1h":        "not a duration",
		"1h or 5m":      "not a duration",
		"1h andy 5m":    "not a duration",
		"10%":           "no unit",
		"5x":            "unknown unit `x`",
		"5mi":           "unknown unit `mi`",
		"5e":            "unknown unit `e`",
		"5secondss":     "unknown unit",
		"-1":            "at least 0",
		"-1s":           "at least 0",
		"1m -1h":        "at least 0",
		"101y":          "longer than 100 years",
		"1e300h":        "longer than 100 years",
		"1e308h 1e308h": "longer than 100 years",
		"1e999":         "not a duration",
		"1e999h -1h":    "not a duration",
		// What a number is to Go is not one to people.
		"inf":       "not a duration",
		"+Infinity": "not a duration",
		"nan":       "not a duration",
		"0x10":      "unknown unit `x`",
		"0x1p4":     "unknown unit `x`",
	} {
		got, err := ParseDuration(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseDuration(%q) = %v, %v, want an error with %q", text, got, err, want)
		}
	}
}

// exact is how long a duration may be for a float64 to hold its nanoseconds.
const exact = 1 << 53

func FuzzParseDuration(f *testing.F) {
	for _, text := range []string{
		"90", "1h30m", "15 days 20 seconds", "1 day -1 hour", "1.26e-1 days", "1e308h -1e308h", "7µs", "7M",
		"1 hour and 5 minutes", "1h, AND, 5m/3s:2s&1s", "", " ", "-1", "1e", "1e+", "0x1p-2", "nan", "inf", "1_000", "5 ſ", "5\xff", "1e999999999h", "٣s",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDuration(text)
		if d < 0 || d > longest || err != nil && d != 0 {
			t.Errorf("ParseDuration(%q) = %v, %v", text, d, err)
		}
		if err != nil {
			return
		}
		if strings.TrimSpace(text) == "" {
			t.Errorf("nothing parses as %v", d)
		}
		// Nothing more adds nothing, but to a bare number, which then lacks a
		// unit.
		if more, err := ParseDuration(text + " and 0s"); err == nil && more != d {
			t.Errorf("ParseDuration(%q) = %v, and nothing more is %v", text, d, more)
		}
		if d < exact {
			if again, err := ParseDuration(fmt.Sprintf("%d ns", d)); again != d || err != nil {
				t.Errorf("%v in nanoseconds is %v, %v", d, again, err)
			}
		}
	})
}
