package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

const commandColumn = 12 // of what a command does behind its name

// shown is the commands in the order of the help, with those that are only
// named behind another one.
var shown = []struct {
	path string
	also []string
}{
	{path: "run"},
	{path: "check"},
	{path: "status", also: []string{"pause", "resume", "stop"}},
	{path: "demo run"},
}

// rootHelp is `fault --help`.
func rootHelp(root *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nCommands:\n", root.Long)
	for _, c := range shown {
		cmd := known(root, c.path)
		if cmd == nil {
			continue
		}
		var also []string
		for _, path := range c.also {
			if known(root, path) != nil {
				also = append(also, path)
			}
		}
		says := lower(cmd.Short)
		if len(also) > 0 {
			says += " (also: " + strings.Join(also, ", ") + ")"
		}
		writeColumns(&b, "  "+c.path, commandColumn, " ", strings.Fields(says))
	}
	writeColumns(&b, "  help", commandColumn, " ", append([]string{"topics:"}, strings.SplitAfter(strings.Join(topicNames(), ","), ",")...))
	b.WriteString("  completion, version (also: -V, --version)\n\nGlobal flags, before or after the command:\n")
	var flags []string
	for _, f := range globalFlags(root) {
		flags = append(flags, spelled(f))
	}
	writeColumns(&b, "", 2, "   ", append(flags, "-h, --help"))
	return b.String()
}

// known is the command of a path such as "demo run"; nil if there is none.
func known(root *cobra.Command, path string) *cobra.Command {
	cmd, rest, err := root.Find(strings.Fields(path))
	if err != nil || len(rest) > 0 || cmd.Hidden {
		return nil
	}
	return cmd
}
