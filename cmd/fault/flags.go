package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// What a flag knows besides its value is kept in annotations of these names.
const (
	variableAnnotation = "environment" // its environment variables
	sectionAnnotation  = "section"     // the title under which the help shows it
	setByAnnotation    = "set by"      // the variable that set it
)

// variable gives a flag its environment variables, the first one the
// preferred, and names that one in its help.
func variable(flags *pflag.FlagSet, flag string, names ...string) {
	annotate(flags.Lookup(flag), variableAnnotation, names...)
	flags.Lookup(flag).Usage += " ($" + names[0] + ")"
}

func annotate(f *pflag.Flag, annotation string, values ...string) {
	if f.Annotations == nil {
		f.Annotations = make(map[string][]string)
	}
	f.Annotations[annotation] = values
}

// section adds flags to a command, to be shown together.
type section struct {
	cmd   *cobra.Command
	title string
}

// sectionOf is the title of a flag's section; empty if it has none.
func sectionOf(f *pflag.Flag) string {
	if title := f.Annotations[sectionAnnotation]; len(title) > 0 {
		return title[0]
	}
	return ""
}

// value adds a flag that takes a value.
func (s section) value(v pflag.Value, flag, help string, variables ...string) *pflag.Flag {
	return s.add(s.cmd.Flags().VarPF(v, flag, "", help), variables)
}

// toggle adds a flag that takes none.
func (s section) toggle(on *bool, flag, help string, variables ...string) *pflag.Flag {
	s.cmd.Flags().BoolVar(on, flag, false, help)
	return s.add(s.cmd.Flags().Lookup(flag), variables)
}

func (s section) add(f *pflag.Flag, variables []string) *pflag.Flag {
	annotate(f, sectionAnnotation, s.title)
	annotate(f, variableAnnotation, variables...)
	if v, ok := f.Value.(completed); ok {
		_ = s.cmd.RegisterFlagCompletionFunc(f.Name, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return v.complete()
		})
	} else if f.NoOptDefVal == "" {
		_ = s.cmd.RegisterFlagCompletionFunc(f.Name, cobra.NoFileCompletions)
	}
	return f
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
			if text := getenv(name); text != "" {
				annotate(f, setByAnnotation, name)
				err = fromVariable(cmd.Flags(), f, text)
				return
			}
		}
	})
	return err
}

func fromVariable(flags *pflag.FlagSet, f *pflag.Flag, text string) error {
	values := []string{text}
	if many, ok := f.Value.(repeated); ok {
		values = many.split(text)
	} else if f.Value.Type() == "bool" {
		values = []string{plainBool(text)}
	}
	for _, value := range values {
		if err := flags.Set(f.Name, value); err != nil {
			return badValue(f, err)
		}
	}
	return nil
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

// called is how a flag was given, for messages: by its name, or by a variable.
func called(f *pflag.Flag) string {
	if by := f.Annotations[setByAnnotation]; len(by) > 0 {
		return fmt.Sprintf("%s (for --%s)", by[0], f.Name)
	}
	return "--" + f.Name
}

// flagError says what pflag found, in the words of this program.
func flagError(cmd *cobra.Command, err error) error {
	lists := fmt.Sprintf("`%s --help` lists the flags", cmd.CommandPath())
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		name := "--" + unknown.GetSpecifiedName()
		if unknown.GetSpecifiedShortnames() != "" {
			name = "-" + unknown.GetSpecifiedName()
		}
		if run, _, err := cmd.Root().Find([]string{"run"}); err == nil && cmd != run && run.Flags().Lookup(unknown.GetSpecifiedName()) != nil {
			lists = fmt.Sprintf("it is a flag of another command: `fault run %s`", name)
		}
		return usage(fmt.Sprintf("unknown flag `%s` for `%s`", name, cmd.CommandPath()), lists)
	}
	if missing, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return usage(fmt.Sprintf("--%s needs a value", missing.GetSpecifiedName()), lists)
	}
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return badValue(invalid.GetFlag(), err)
	}
	return usage(err.Error(), lists)
}

// badValue is what a value said about itself, behind the name of its flag and
// without pflag's words around.
func badValue(f *pflag.Flag, err error) error {
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		err = errors.Unwrap(invalid)
	}
	hint := ""
	if own, ok := errors.AsType[*usageError](err); ok {
		hint = own.hint
	}
	if number, ok := errors.AsType[*strconv.NumError](err); ok {
		err = fmt.Errorf("`%s` is not what it takes: %w", number.Num, number.Err)
	}
	return usage(fmt.Sprintf("%s %v", called(f), err), hint)
}
