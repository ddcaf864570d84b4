package main

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/faultproxy/fault/faults"
)

// schedule is a flag value: when a fault is on. What it means depends on the
// duration of the run, so it is parsed when all flags are known.
type schedule string

func (s *schedule) String() string { return string(*s) }
func (s *schedule) Type() string   { return "SCHEDULE" }

func (s *schedule) takes() string {
	return "periods like start:30s,duration:1m;start:90%,duration:5%"
}

func (s *schedule) Set(text string) error {
	*s = schedule(text)
	return nil
}

func (s *schedule) complete(string) ([]string, cobra.ShellCompDirective) {
	// Of a percentage zsh would take the sign for its own.
	return explained("periods such as start:30s,duration:1m;start:5m; times may be percentages of --duration")
}

// parse gives the schedule in a run of a duration, which is 0 if it has none.
func (s *schedule) parse(run time.Duration) (faults.Schedule, error) {
	parsed, err := faults.ParseSchedule(string(*s), run)
	if !errors.Is(err, faults.ErrNoDuration) {
		if err != nil {
			err = fmt.Errorf("`%s`: %w", *s, err)
		}
		return parsed, err
	}
	// A run in which it makes sense is the example. If there is none, something
	// else is wrong, too.
	for _, run = range []time.Duration{10 * time.Minute, time.Hour, 24 * time.Hour, 365 * 24 * time.Hour} {
		if _, err = faults.ParseSchedule(string(*s), run); err == nil {
			return nil, usage(fmt.Sprintf("`%s` uses percentages, which need --duration", *s),
				fmt.Sprintf("add `--duration %s`, or write times: `%s`", short(run), s.inTimes(run)))
		}
	}
	return nil, fmt.Errorf("`%s`: %w", *s, err)
}

var percentage = regexp.MustCompile(`[^,;:%]*%`)

// inTimes is the schedule with times instead of the percentages of a run.
func (s *schedule) inTimes(run time.Duration) string {
	return percentage.ReplaceAllStringFunc(string(*s), func(text string) string {
		share, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(text, "%")), 64)
		if err != nil {
			return text
		}
		return short(time.Duration(math.Round(float64(run) * share / 100)))
	})
}
