package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The table of flags: help, topics, completion, man pages and the look-up of
// variables know of a flag what stands here. Its name, default and line are
// pflag's; its value says what it takes (ranged) and how it is completed
// (completed); the rest is kept in annotations of these names.
const (
	variableAnnotation  = "environment" // its environment variables, the first one the preferred
	sectionAnnotation   = "section"     // the title under which the help shows it
	paragraphAnnotation = "paragraph"   // what there is to know beyond its line
	setByAnnotation     = "set by"      // the variable that set it
)

// globalTitle is of the flags that every command has.
const globalTitle = "Global"

func annotate(f *pflag.Flag, annotation string, values ...string) {
	if f.Annotations == nil {
		f.Annotations = make(map[string][]string)
	}
	f.Annotations[annotation] = values
}

// annotated is the one value of an annotation; empty if there is none.
func annotated(f *pflag.Flag, annotation string) string {
	if values := f.Annotations[annotation]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// section adds flags to a command, to be shown together.
type section struct {
	cmd   *cobra.Command
	title string
}

func sectionOf(f *pflag.Flag) string { return annotated(f, sectionAnnotation) }

func (s section) flags() *pflag.FlagSet {
	if s.title == globalTitle {
		return s.cmd.PersistentFlags()
	}
	return s.cmd.Flags()
}

// value adds a flag that takes a value.
func (s section) value(v pflag.Value, flag, line string, variables ...string) *pflag.Flag {
	return s.add(s.flags().VarPF(v, flag, "", line), variables)
}

// toggle adds a flag that takes none.
func (s section) toggle(on *bool, flag, line string, variables ...string) *pflag.Flag {
	s.flags().BoolVar(on, flag, false, line)
	return s.add(s.flags().Lookup(flag), variables)
}

func (s section) add(f *pflag.Flag, variables []string) *pflag.Flag {
	annotate(f, sectionAnnotation, s.title)
	annotate(f, variableAnnotation, variables...)
	_ = s.cmd.RegisterFlagCompletionFunc(f.Name, completion(f.Value))
	return f
}

// more gives a flag its paragraph.
func more(f *pflag.Flag, paragraph string) { annotate(f, paragraphAnnotation, paragraph) }

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
	if by := annotated(f, setByAnnotation); by != "" {
		return fmt.Sprintf("%s (for --%s)", by, f.Name)
	}
	return "--" + f.Name
}
