package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/faultproxy/fault/faults"
)

// The flag values. What Set says about a value goes on from the flag's name,
// as in "--latency-mean `fast` must be a number"; a hint may come with it.

// ranged is a value that says what it takes, for the help.
type ranged interface{ takes() string }

// repeated is a value that grows each time the flag is given.
type repeated interface {
	// GetSlice gives them one by one. By its name cobra knows to offer the flag
	// again.
	GetSlice() []string
	// split takes the text of a variable apart, which has all of them.
	split(text string) []string
}

// completed is a value that helps the shell to complete what is typed of it.
type completed interface {
	complete(typed string) ([]string, cobra.ShellCompDirective)
}

// number is a flag value: a number in a range.
type number struct {
	value float64
	text  string // as it was given, or the default; may be empty
	kind  string // the word for it in the help
	must  string // what it must be, as a sentence goes on
	valid func(float64) bool
}

func (n *number) String() string { return n.text }
func (n *number) Type() string   { return n.kind }
func (n *number) takes() string  { return n.must }

func (n *number) Set(text string) error {
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || !n.valid(value) {
		return fmt.Errorf("`%s` must be %s", text, n.must)
	}
	n.value, n.text = value, text
	return nil
}

// byDefault gives a number its default.
func (n number) byDefault(value float64) number {
	n.value, n.text = value, strconv.FormatFloat(value, 'f', -1, 64)
	return n
}

// milliseconds is a number of them, perhaps with a fraction.
func milliseconds() number {
	const most = float64(24 * time.Hour / time.Millisecond)
	return number{
		kind: "MS", must: fmt.Sprintf("a number of milliseconds, 0 to %.0f", most),
		valid: func(x float64) bool { return x >= 0 && x <= most },
	}
}

// duration is a number of milliseconds as one.
func (n *number) duration() time.Duration {
	return time.Duration(math.Round(n.value * float64(time.Millisecond)))
}

// positive is a number above 0.
func positive() number {
	return number{
		kind: "N", must: "a number above 0",
		valid: func(x float64) bool { return x > 0 && !math.IsInf(x, 0) },
	}
}

// hertz is how often a second.
func hertz() number {
	return number{
		kind: "HZ", must: "a number of times a second, at least 0",
		valid: func(x float64) bool { return x >= 0 && !math.IsInf(x, 0) },
	}
}

// probability is a number from 0 to 1.
func probability() number {
	return number{
		kind: "P", must: "a number from 0 to 1",
		valid: func(x float64) bool { return x >= 0 && x <= 1 },
	}
}

// whole is a number without fraction.
func whole(kind, must string, least, most float64) number {
	return number{
		kind: kind, must: must,
		valid: func(x float64) bool { return x >= least && x <= most && x == math.Trunc(x) },
	}
}

// period is a flag value: a duration above 0.
type period time.Duration

func (p *period) String() string {
	if *p == 0 {
		return ""
	}
	return short(time.Duration(*p))
}

func (p *period) Type() string  { return "TIME" }
func (p *period) takes() string { return "such as 90 (seconds), 30s, 5m or 1h30m" }

func (p *period) Set(text string) error {
	if strings.TrimSpace(text) == "" {
		return errors.New("is empty; write for instance 90, 30s, 5m or 1h30m")
	}
	d, err := faults.ParseDuration(text)
	if err != nil {
		return err
	}
	if d == 0 {
		return fmt.Errorf("`%s` must be above 0", text)
	}
	*p = period(d)
	return nil
}

func (p *period) complete(string) ([]string, cobra.ShellCompDirective) {
	return explained("a duration " + p.takes())
}

// short prints a duration without units that are 0: 5m, 1h30m.
func short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// text is a flag value: any text.
type text struct {
	value, kind string
	mayBeEmpty  bool
	isPath      bool // so that the shell offers files
}

func (t *text) String() string { return t.value }
func (t *text) Type() string   { return t.kind }

func (t *text) Set(value string) error {
	if value == "" && !t.mayBeEmpty {
		return errors.New("is empty")
	}
	t.value = value
	return nil
}

func (t *text) complete(string) ([]string, cobra.ShellCompDirective) {
	if t.isPath {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// seed is a flag value; 0 is none.
type seed uint64

func (s *seed) Type() string  { return "N" }
func (s *seed) takes() string { return "a whole number; 0 takes a new one" }

func (s *seed) String() string {
	if *s == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(*s), 10)
}

func (s *seed) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return fmt.Errorf("`%s` must be a whole number, 0 to 2^64-1", text)
	}
	*s = seed(n)
	return nil
}
