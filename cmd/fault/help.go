package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const (
	helpWidth    = 80
	namesColumn  = 13 // of the flags behind a fault's title
	aboutColumn  = 15 // of what a command or a topic is about
	saysColumn   = 31 // of what a flag says behind its name
	detailColumn = 6  // of what it says below its name
)

// addHelp adds `fault help`, and gives every command its help. What a command
// has of its own stays (SetHelpFunc).
func addHelp(root *cobra.Command) {
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		text := commandHelp(cmd)
		if cmd == root {
			text = rootHelp(root)
		}
		fmt.Fprint(cmd.OutOrStdout(), text)
	})
	root.SetHelpCommand(newHelp())
	root.InitDefaultHelpCmd()
}

// commandHelp is the help of a command that has few flags.
func commandHelp(cmd *cobra.Command) string {
	var b strings.Builder
	says := cmd.Long
	if says == "" {
		says = cmd.Short + "."
	}
	line := cmd.UseLine()
	if cmd.HasSubCommands() {
		line = cmd.CommandPath() + " COMMAND"
	}
	fmt.Fprintf(&b, "%s\n\nUsage: %s\n", strings.TrimSpace(says), line)
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\nExamples:\n%s\n", cmd.Example)
	}
	if names := commandNames(cmd); len(names) > 0 {
		b.WriteString("\nCommands:\n")
		for _, sub := range cmd.Commands() {
			if !sub.Hidden {
				writeColumns(&b, "  "+sub.Name(), aboutColumn, " ", strings.Fields(lower(sub.Short)))
			}
		}
	}
	title := "\nFlags:\n"
	for _, f := range ownFlags(cmd) {
		b.WriteString(title)
		title = ""
		writeLine(&b, f, f.Usage+byDefault(f)+inVariables(f))
	}
	b.WriteString("\n")
	writeGlobal(&b, cmd)
	return b.String()
}

// ownFlags are the flags of a command that others do not have.
func ownFlags(cmd *cobra.Command) []*pflag.Flag {
	var flags []*pflag.Flag
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && f.Name != "help" && sectionOf(f) != globalTitle {
			flags = append(flags, f)
		}
	})
	return flags
}

// globalFlags are the flags of all commands.
func globalFlags(cmd *cobra.Command) []*pflag.Flag {
	var flags []*pflag.Flag
	cmd.Root().PersistentFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			flags = append(flags, f)
		}
	})
	return flags
}

// writeGlobal writes their names.
func writeGlobal(b *strings.Builder, cmd *cobra.Command) {
	var names []string
	for _, f := range globalFlags(cmd) {
		names = append(names, spelled(f)+byDefault(f))
	}
	writeColumns(b, "Global:", namesColumn, "  ", append(names, "-h, --help"))
}

// writeLine writes a flag and what it says behind it.
func writeLine(b *strings.Builder, f *pflag.Flag, says string) {
	short := "    "
	if f.Shorthand != "" {
		short = "-" + f.Shorthand + ", "
	}
	writeColumns(b, "  "+short+spelled(f), saysColumn, " ", strings.Fields(says))
}

// spelled is a flag with what it takes.
func spelled(f *pflag.Flag) string {
	switch {
	case f.Value.Type() == "bool":
		return "--" + f.Name
	case f.NoOptDefVal != "":
		return "--" + f.Name + "[=" + f.Value.Type() + "]"
	}
	return "--" + f.Name + " " + f.Value.Type()
}

// byDefault is a flag's default, in brackets behind a space, if it has one.
func byDefault(f *pflag.Flag) string {
	if f.DefValue == "" || f.Value.Type() == "bool" {
		return ""
	}
	return " [" + f.DefValue + "]"
}

// inVariables is a flag's variables, in parentheses behind a space, if it has
// some.
func inVariables(f *pflag.Flag) string {
	names := f.Annotations[variableAnnotation]
	if len(names) == 0 {
		return ""
	}
	return " ($" + strings.Join(names, ", $") + ")"
}

// takes is what a flag takes, if there is more to say than its kind.
func takes(f *pflag.Flag) string {
	if v, ok := f.Value.(ranged); ok {
		return v.takes()
	}
	return ""
}

// lower is a sentence as it goes on behind a name.
func lower(sentence string) string {
	if sentence == "" {
		return ""
	}
	return strings.ToLower(sentence[:1]) + sentence[1:]
}

// writeColumns writes items into a column behind what is left of it, and below.
func writeColumns(b *strings.Builder, left string, column int, separator string, items []string) {
	line, begins := fmt.Sprintf("%-*s", column, left), true
	if len(left) >= column {
		line += "  "
	}
	for _, item := range items {
		if !begins && len(line)+len(separator)+len(item) > helpWidth {
			b.WriteString(line + "\n")
			line, begins = strings.Repeat(" ", column), true
		}
		if !begins {
			line += separator
		}
		line, begins = line+item, false
	}
	b.WriteString(line + "\n")
}
