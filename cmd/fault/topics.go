package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// topic is a text of `fault help`.
type topic struct {
	name, about string
	text        func(root *cobra.Command) string
}

var topics = []topic{
	{"upstreams", "Which connections are meant, and which are seen", fixed(upstreamsTopic)},
	{"callers", "Whose connections are meant, and how to run a command", fixed(callersTopic)},
	{"faults", "Every flag of `fault run`: range, default, variable", faultsTopic},
	{"schedules", "When a fault is on, and for how long", fixed(schedulesTopic)},
	{"environment", "Every variable, and the flag that it stands for", environmentTopic},
	{"json", "What `fault run --json` writes", jsonTopic},
	{"exit-codes", "What the exit codes mean", exitCodesTopic},
}

func fixed(text string) func(*cobra.Command) string {
	return func(*cobra.Command) string { return text }
}

func topicNames() []string {
	var names []string
	for _, t := range topics {
		names = append(names, t.name)
	}
	return names
}

// newHelp is `fault help`: the topics are commands below it, and it shows the
// help of others.
func newHelp() *cobra.Command {
	help := &cobra.Command{
		Use:               "help [TOPIC | COMMAND]",
		Short:             "Explain a topic or a command",
		PersistentPreRunE: needsNoVariables,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				fmt.Fprint(cmd.OutOrStdout(), topicList(cmd.Root()))
				return nil
			}
			path := strings.Join(args, " ")
			about := known(cmd.Root(), path)
			if about == nil {
				near := nearest(path, append(topicNames(), commandNames(cmd.Root())...))
				return usage(fmt.Sprintf("unknown help topic `%s`", path), hint(near, "`fault help` lists the topics"))
			}
			about.InitDefaultHelpFlag() // which its usage counts
			return about.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var choices []string
			if above := known(cmd.Root(), strings.Join(args, " ")); above != nil {
				for _, sub := range above.Commands() {
					if sub.IsAvailableCommand() {
						choices = append(choices, described(sub.Name(), sub.Short))
					}
				}
			}
			return choices, cobra.ShellCompDirectiveNoFileComp
		},
	}
	for _, t := range topics {
		help.AddCommand(newTopic(t))
	}
	return help
}

func newTopic(t topic) *cobra.Command {
	write := func(cmd *cobra.Command) { fmt.Fprint(cmd.OutOrStdout(), t.text(cmd.Root())) }
	cmd := &cobra.Command{
		Use: t.name, Short: t.about, Args: noArguments,
		Run: func(cmd *cobra.Command, _ []string) { write(cmd) },
	}
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) { write(cmd) })
	return cmd
}

// topicList is `fault help` alone.
func topicList(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString("`fault help TOPIC` explains\n\n")
	for _, t := range topics {
		writeColumns(&b, "  "+t.name, aboutColumn, " ", strings.Fields(lower(t.about)))
	}
	b.WriteString("\n`fault help COMMAND` is the help of a command:\n\n")
	writeColumns(&b, "", 2, ", ", commandNames(root))
	return b.String()
}
