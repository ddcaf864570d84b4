package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const (
	helpWidth    = 80
	namesColumn  = 13 // of the flags behind a fault's title
	saysColumn   = 31 // of what a flag says behind its name
	detailColumn = 6  // of what it says below its name
)

// runHelp is the help of `fault run`: one screen, on which the flags of faults
// have their names only.
func runHelp(cmd *cobra.Command, all []*faultFlags) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nUsage: fault run [flags]\n\nExamples:\n%s\n", cmd.Long, cmd.Example)
	writeLines(&b, cmd, "Traffic")
	for _, f := range all {
		writeNames(&b, cmd, f)
	}
	b.WriteString(`Every fault FAULT above also takes (http-response only the last):
             --FAULT-side server|client [server]
             --FAULT-direction ingress|egress|both [ingress]
             --FAULT-sched 'start:30s,duration:1m;start:90%,duration:5%'
`)
	writeLines(&b, cmd, "Run")
	writeLines(&b, cmd, outputTitle)
	var global []string
	cmd.InheritedFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			global = append(global, spelled(f)+byDefault(f))
		}
	})
	writeColumns(&b, "Global:", namesColumn, "  ", global)
	b.WriteString("Learn more:  `fault help faults`: what each flag takes, and its variable\n")
	return b.String()
}

// writeLines writes a section with a line for each flag.
func writeLines(b *strings.Builder, cmd *cobra.Command, title string) {
	fmt.Fprintf(b, "%s:\n", title)
	for _, f := range sectionFlags(cmd, title) {
		short := "    "
		if f.Shorthand != "" {
			short = "-" + f.Shorthand + ", "
		}
		writeColumns(b, "  "+short+spelled(f), saysColumn, " ", strings.Fields(f.Usage+byDefault(f)))
	}
}

// writeNames writes the flags of a fault that others do not have.
func writeNames(b *strings.Builder, cmd *cobra.Command, fault *faultFlags) {
	common := []string{fault.name + "-side", fault.name + "-direction", fault.name + "-sched"}
	var names []string
	for _, f := range sectionFlags(cmd, fault.title) {
		if !slices.Contains(common, f.Name) {
			names = append(names, spelled(f)+byDefault(f))
		}
	}
	writeColumns(b, fault.title+":", namesColumn, "  ", names)
}

// newFaultsTopic is `fault help faults`: every flag of `fault run` with what it
// takes, its default and its variables.
func newFaultsTopic(run *cobra.Command) *cobra.Command {
	topic := &cobra.Command{Use: "faults", Aliases: []string{"flags", "environment"}, Short: "Every flag of `fault run`, its default and its variables"}
	topic.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		fmt.Fprint(cmd.OutOrStdout(), faultsTopic(run))
	})
	return topic
}

func faultsTopic(run *cobra.Command) string {
	var b strings.Builder
	b.WriteString(`The flags of ` + "`fault run`" + `, with their [defaults] and variables. A flag wins over
a variable, an empty variable is an unset one, and booleans are true, 1, yes,
on or false, 0, no, off. Pieces meet faults in this order.
`)
	title := ""
	run.Flags().VisitAll(func(f *pflag.Flag) {
		section := sectionOf(f)
		if section == "" {
			return
		}
		if section != title {
			title = section
			fmt.Fprintf(&b, "\n%s:\n", title)
		}
		fmt.Fprintf(&b, "  %s%s\n", spelled(f), byDefault(f))
		says := f.Usage
		if v, ok := f.Value.(ranged); ok {
			says += "; " + v.takes()
		}
		if variables := f.Annotations[variableAnnotation]; len(variables) > 0 {
			says += " ($" + strings.Join(variables, ", $") + ")"
		}
		writeColumns(&b, "", detailColumn, " ", strings.Fields(says))
	})
	b.WriteString("\nGlobal, before or behind the command:\n" + run.InheritedFlags().FlagUsagesWrapped(helpWidth))
	return b.String()
}

func sectionFlags(cmd *cobra.Command, title string) []*pflag.Flag {
	var flags []*pflag.Flag
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if sectionOf(f) == title {
			flags = append(flags, f)
		}
	})
	return flags
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
