package main

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// completion is what the shell offers behind a flag: what its value completes,
// or else says that it takes.
func completion(value pflag.Value) cobra.CompletionFunc {
	if v, ok := value.(completed); ok {
		return func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			return v.complete(typed)
		}
	}
	if v, ok := value.(ranged); ok {
		return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return explained(value.Type() + " is " + v.takes())
		}
	}
	return cobra.FixedCompletions([]string{"true", "false"}, cobra.ShellCompDirectiveNoFileComp)
}

// explained offers nothing, and says what to type.
func explained(text string) ([]string, cobra.ShellCompDirective) {
	return cobra.AppendActiveHelp(nil, text), cobra.ShellCompDirectiveNoFileComp
}

// described is a word with what the shell shows behind it, which may be empty.
func described(word, meaning string) string {
	if meaning == "" {
		return word
	}
	return cobra.CompletionWithDesc(word, meaning)
}

// addCompletion adds `fault completion`, which cobra writes. Where nothing else
// is said, no files are offered.
func addCompletion(root *cobra.Command) {
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.InitDefaultCompletionCmd()
	cmd, _, err := root.Find([]string{"completion"})
	if err != nil {
		panic(err)
	}
	cmd.Short = "Write the completion of a shell"
	cmd.Args = noArguments
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.PersistentPreRunE = needsNoVariables
	for _, shell := range cmd.Commands() {
		shell.Args = noArguments
	}
}

// needsNoVariables is of commands that must work whatever the variables say.
func needsNoVariables(*cobra.Command, []string) error { return nil }
