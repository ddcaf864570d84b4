package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/pflag"
)

// commandLine is the flags of a run as they were given, on the command line or
// by variables, and what there is to be said about them.
type commandLine struct {
	flags    *pflag.FlagSet
	idle     map[string]string // by flag: why it does nothing
	warnings []warning
}

type warning struct{ text, hint string }

func newCommandLine(flags *pflag.FlagSet) *commandLine {
	return &commandLine{flags: flags, idle: make(map[string]string)}
}

// given says whether a flag was.
func (l *commandLine) given(flag string) bool { return l.flags.Changed(flag) }

// byFlag says whether it was given on the command line.
func (l *commandLine) byFlag(flag string) bool {
	return l.given(flag) && l.flags.Lookup(flag).Annotations[setByAnnotation] == nil
}

// section gives the flags of a section.
func (l *commandLine) section(title string) []string {
	var names []string
	l.flags.VisitAll(func(f *pflag.Flag) {
		if sectionOf(f) == title {
			names = append(names, f.Name)
		}
	})
	return names
}

// called is how a flag was given.
func (l *commandLine) called(flag string) string { return called(l.flags.Lookup(flag)) }

// warn takes note of what the user must know although the run goes on.
func (l *commandLine) warn(text, hint string) {
	l.warnings = append(l.warnings, warning{text, hint})
}

// ignore takes note that flags do nothing, and why, and warns of those that
// were given.
func (l *commandLine) ignore(why string, flags ...string) {
	for _, flag := range flags {
		f := l.flags.Lookup(flag)
		if _, known := l.idle[flag]; known || !f.Changed || f.Value.Type() == "bool" && f.Value.String() == f.DefValue {
			continue
		}
		l.idle[flag] = why
		l.warn(fmt.Sprintf("%s does nothing %s", called(f), why), "")
	}
}

// replay is the arguments that start this run again: its flags that do
// something and are not the default, and the seed. What is written, and where,
// and who ends it are no part of it.
func (l *commandLine) replay(seed uint64) []string {
	args := []string{"run"}
	l.flags.VisitAll(func(f *pflag.Flag) {
		switch sectionOf(f) {
		case "", outputTitle, backgroundTitle, globalTitle:
			return
		}
		if f.Name == "stealth" || f.Name == "seed" {
			return
		}
		if _, idle := l.idle[f.Name]; idle || f.Value.String() == f.DefValue {
			return
		}
		switch v := f.Value.(type) {
		case repeated:
			for _, text := range v.GetSlice() {
				args = append(args, "--"+f.Name, text)
			}
		default:
			args = append(args, "--"+f.Name)
			if f.NoOptDefVal == "" {
				args = append(args, v.String())
			}
		}
	})
	return append(args, "--seed", strconv.FormatUint(seed, 10))
}
