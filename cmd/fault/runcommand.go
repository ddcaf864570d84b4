package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/command"
)

// keeperCommand is the command of fault by which a run starts a child that
// removes the cgroup of a command.
const keeperCommand = "keep-cgroup"

func newKeeper() *cobra.Command {
	return &cobra.Command{
		Use:    keeperCommand,
		Short:  "Remove the cgroup of the command of a run when that ends",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE:   func(_ *cobra.Command, args []string) error { return command.Keep(args[0]) },
	}
}

// checkCommand wants one behind the `--`.
func checkCommand(args []string) error {
	if len(args) == 0 || args[0] == "" {
		return usage("there is no command behind `--`", "`fault run … -- curl https://example.com/` affects that curl only")
	}
	return nil
}

// completeCommand offers files behind a command.
func completeCommand(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if cmd.ArgsLenAtDash() == 0 && len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}

// prepare settles what a command leaves no choice about: it is for interception,
// of all its connections if nothing else is said, and standard output is its own.
func (f *runFlags) prepare(line *commandLine) error {
	traffic := f.traffic
	if traffic.transparent.value == string(agent.Off) && !traffic.stealth {
		return usage(fmt.Sprintf("a command is affected by interception, but %s is `off`", line.called("transparent")), "leave it out")
	}
	if f.output.json == jsonStdout {
		return usage(fmt.Sprintf("%s would write to stdout, which is the command's", line.called("json")), "`--json=PATH` writes the events to a file")
	}
	traffic.transparent.value, traffic.command = string(agent.On), true
	return nil
}

// beside is an environment in which standard output is a command's.
func beside(env environment) environment {
	env.stdout = env.stderr
	return env
}

// exit is an exit code about which there is nothing to say.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit %d", int(e)) }

// exitAs waits for a command to end and is what it ended with; nil is success.
func exitAs(c *command.Command) error {
	code, err := c.Code()
	if err == nil && code != 0 {
		err = exit(code)
	}
	return err
}
