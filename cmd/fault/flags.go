package main

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/faultproxy/fault/faults"
)

// variableAnnotation is where a flag keeps its environment variables.
const variableAnnotation = "environment"

// variable gives a flag its environment variables, the first one the
// preferred, and names that one in its help.
func variable(flags *pflag.FlagSet, flag string, names ...string) {
	if err := flags.SetAnnotation(flag, variableAnnotation, names); err != nil {
		panic(err) // the flag does not exist
	}
	f := flags.Lookup(flag)
	f.Usage += " ($" + names[0] + ")"
}

// fromEnvironment sets the flags that were not given from their variables. An
// empty variable is an unset one.
func fromEnvironment(cmd *cobra.Command, getenv func(string) string) error {
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Changed || err != nil {
			return
		}
		for _, name := range f.Annotations[variableAnnotation] {
			value := getenv(name)
			if value == "" {
				continue
			}
			if f.Value.Type() == "bool" {
				value = plainBool(value)
			}
			if setErr := cmd.Flags().Set(f.Name, value); setErr != nil {
				err = usage(fmt.Sprintf("%s (for --%s): %v", name, f.Name, valueCause(setErr)), "")
			}
			return
		}
	})
	return err
}

// plainBool spells yes and no as strconv knows them.
func plainBool(value string) string {
	switch strings.ToLower(value) {
	case "yes", "on":
		return "true"
	case "no", "off":
		return "false"
	}
	return strings.ToLower(value)
}

// flagError says what pflag found, in the words of this program.
func flagError(cmd *cobra.Command, err error) error {
	lists := fmt.Sprintf("`%s --help` lists the flags", cmd.CommandPath())
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		name := "--" + unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			name = "-" + unknown.GetSpecifiedName()
		}
		return usage(fmt.Sprintf("unknown flag `%s` for `%s`", name, cmd.CommandPath()), lists)
	}
	if missing, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return usage(fmt.Sprintf("--%s needs a value", missing.GetSpecifiedName()), lists)
	}
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return usage(fmt.Sprintf("--%s: %v", invalid.GetFlag().Name, valueCause(err)), "")
	}
	return usage(err.Error(), lists)
}

// valueCause is what a value said about itself, without pflag's words around.
func valueCause(err error) error {
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		err = errors.Unwrap(invalid)
	}
	if number, ok := errors.AsType[*strconv.NumError](err); ok {
		return fmt.Errorf("`%s` is not what it takes: %v", number.Num, number.Err)
	}
	return err
}

// milliseconds is a flag value: a number of milliseconds, perhaps with a
// fraction, of at least 0.
type milliseconds time.Duration

// String is what the help shows as the default; unset shows nothing.
func (m *milliseconds) String() string {
	if *m == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(*m)/float64(time.Millisecond), 'f', -1, 64)
}

func (m *milliseconds) Type() string { return "ms" }

func (m *milliseconds) Set(text string) error {
	const most = 24 * time.Hour
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= 0) || n > float64(most/time.Millisecond) {
		return fmt.Errorf("`%s` must be a number of milliseconds, 0 to %d", text, most/time.Millisecond)
	}
	*m = milliseconds(math.Round(n * float64(time.Millisecond)))
	return nil
}

// positive is a flag value: a number above 0.
type positive float64

func (p *positive) String() string {
	if *p == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(*p), 'f', -1, 64)
}

func (p *positive) Type() string { return "number" }

func (p *positive) Set(text string) error {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n > 0) || math.IsInf(n, 0) {
		return fmt.Errorf("`%s` must be a number above 0", text)
	}
	*p = positive(n)
	return nil
}

// period is a flag value: a duration.
type period time.Duration

func (p *period) String() string {
	if *p == 0 {
		return ""
	}
	return time.Duration(*p).String()
}

func (p *period) Type() string { return "time" }

func (p *period) Set(text string) error {
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

// word is a flag value: one of some words. Aliases are other spellings.
type word struct {
	value   string
	words   []string
	aliases map[string]string
}

func (w *word) String() string { return w.value }
func (w *word) Type() string   { return "word" }

func (w *word) Set(text string) error {
	if known, ok := w.aliases[text]; ok {
		text = known
	}
	if !slices.Contains(w.words, text) {
		last := len(w.words) - 1
		return fmt.Errorf("`%s` is unknown; it must be %s or %s", text, strings.Join(w.words[:last], ", "), w.words[last])
	}
	w.value = text
	return nil
}

// addWord adds a flag of words, and their completion.
func addWord(cmd *cobra.Command, w *word, flag, help string, variables ...string) {
	cmd.Flags().Var(w, flag, help+": "+strings.Join(w.words, ", "))
	variable(cmd.Flags(), flag, variables...)
	_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(w.words, cobra.ShellCompDirectiveNoFileComp))
}
