package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// runHelp is the help of `fault run`: one screen, on which the flags of faults,
// delays and for the background have their names only.
func runHelp(cmd *cobra.Command, all []*faultFlags) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nUsage: fault %s\n\nExamples:\n%s\n", cmd.Long, cmd.Use, cmd.Example)
	writeLines(&b, cmd, "Traffic")
	writeColumns(&b, callersTitle+":", namesColumn, "  ", names(cmd, callersTitle))
	writeColumns(&b, reachTitle+":", namesColumn, "  ", names(cmd, reachTitle))
	writeFaults(&b, cmd, all)
	b.WriteString(`Every fault FAULT above also takes (connect-error, http-response: the last two):
          --FAULT-side server|client [server]
          --FAULT-direction ingress|egress|both [ingress]
          --FAULT-sched 'start:30s,duration:1m;start:90%,duration:5%'
          --FAULT-probability P (the share of connections) [1]
`)
	writeLines(&b, cmd, "Run")
	writeColumns(&b, delaysTitle+":", namesColumn, "  ", names(cmd, delaysTitle))
	writeColumns(&b, backgroundTitle+":", namesColumn, "  ", names(cmd, backgroundTitle))
	writeLines(&b, cmd, outputTitle)
	writeGlobal(&b, cmd)
	b.WriteString("Learn more:  fault help faults (ranges, variables), upstreams; man fault-run\n")
	return b.String()
}

// writeLines writes a section with a line for each flag.
func writeLines(b *strings.Builder, cmd *cobra.Command, title string) {
	fmt.Fprintf(b, "%s:\n", title)
	for _, f := range sectionFlags(cmd, title) {
		writeLine(b, f, f.Usage+byDefault(f))
	}
}

// faultColumn is where the flags of faults begin.
const faultColumn = 10

// writeFaults writes the flags of faults without what they do, but for those
// that all have. A fault that does not fit into a row begins one.
func writeFaults(b *strings.Builder, cmd *cobra.Command, all []*faultFlags) {
	const title, apart = "Faults:", "  "
	var rows []string
	for _, f := range all {
		own := names(cmd, f.title, f.name+"-side", f.name+"-direction", f.name+"-sched", f.name+"-probability")
		if whole := strings.Join(own, apart); faultColumn+len(whole) <= helpWidth {
			own = []string{whole}
		}
		for i, text := range own {
			last := len(rows) - 1
			if last < 0 || i == 0 && len(own) > 1 || len(rows[last]+apart+text) > helpWidth {
				rows = append(rows, strings.Repeat(" ", faultColumn)+text)
			} else {
				rows[last] += apart + text
			}
		}
	}
	b.WriteString(title + strings.Join(rows, "\n")[len(title):] + "\n")
}

// names are the flags of a section without what they do, but for those that
// are said elsewhere.
func names(cmd *cobra.Command, title string, elsewhere ...string) []string {
	var names []string
	for _, f := range sectionFlags(cmd, title) {
		if !slices.Contains(elsewhere, f.Name) {
			names = append(names, spelled(f)+byDefault(f))
		}
	}
	return names
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

// sections are the titles of a command's flags, in their order, but for the
// global one.
func sections(cmd *cobra.Command) []string {
	var titles []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if title := sectionOf(f); title != "" && title != globalTitle && !slices.Contains(titles, title) {
			titles = append(titles, title)
		}
	})
	return titles
}
