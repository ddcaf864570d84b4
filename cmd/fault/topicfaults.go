package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// faultsTopic is every flag of `fault run` with what it takes, its default and
// its variables.
func faultsTopic(root *cobra.Command) string {
	run := known(root, "run")
	var b strings.Builder
	b.WriteString(`The flags of ` + "`fault run`" + `, with their [defaults] and variables. A flag wins over
a variable, an empty variable is an unset one, and booleans are true, 1, yes,
on or false, 0, no, off. Pieces meet faults in this order.
`)
	for _, title := range sections(run) {
		fmt.Fprintf(&b, "\n%s:\n", title)
		flags := sectionFlags(run, title)
		if about := annotated(flags[0], paragraphAnnotation); strings.HasPrefix(flags[0].Name, "with-") {
			writeColumns(&b, "", 2, " ", strings.Fields(about))
		}
		for _, f := range flags {
			writeFlag(&b, f)
		}
	}
	b.WriteString("\nGlobal, before or behind the command:\n")
	for _, f := range globalFlags(root) {
		writeFlag(&b, f)
	}
	return b.String()
}

// writeFlag writes a flag, and what it says below it.
func writeFlag(b *strings.Builder, f *pflag.Flag) {
	fmt.Fprintf(b, "  %s%s\n", spelled(f), byDefault(f))
	says := f.Usage
	if values := takes(f); values != "" {
		says += "; " + values
	}
	writeColumns(b, "", detailColumn, " ", strings.Fields(says+inVariables(f)))
}

// otherVariables are those that are read and stand for no flag.
var otherVariables = []struct{ name, does string }{
	{"FAULT_ACTIVE_HELP", "0: completion explains nothing"},
	{"HTTP_PROXY, HTTPS_PROXY, NO_PROXY", "`fault demo run`: how it gets to other hosts"},
	{"NO_COLOR, CLICOLOR_FORCE", "no colour; colour where there is no terminal"},
	{"LC_ALL, LC_CTYPE, LANG, TERM", "which glyphs the terminal has"},
	{"SSL_CERT_FILE, SSL_CERT_DIR", "the authorities to trust instead of the system's"},
}

// environmentTopic is the variables of all commands, and their flags.
func environmentTopic(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(`A variable is read where its flag is not given. An empty one is an unset one,
and booleans are true, 1, yes, on or false, 0, no, off.
`)
	write := func(title string, flags []*pflag.Flag) {
		if !slices.ContainsFunc(flags, func(f *pflag.Flag) bool { return inVariables(f) != "" }) {
			return
		}
		fmt.Fprintf(&b, "\n%s:\n", title)
		for _, f := range flags {
			for _, name := range f.Annotations[variableAnnotation] {
				fmt.Fprintf(&b, "  %-40s --%s\n", name, f.Name)
			}
		}
	}
	write("All commands", globalFlags(root))
	eachCommand(root, func(cmd *cobra.Command) { write("`"+cmd.CommandPath()+"`", ownFlags(cmd)) })
	b.WriteString("\nWithout a flag:\n")
	for _, v := range otherVariables {
		writeColumns(&b, "  "+v.name, 43, " ", strings.Fields(v.does))
	}
	return b.String()
}

// eachCommand visits a command and those below it that its help shows.
func eachCommand(cmd *cobra.Command, visit func(*cobra.Command)) {
	visit(cmd)
	for _, sub := range cmd.Commands() {
		if !sub.Hidden {
			eachCommand(sub, visit)
		}
	}
}
