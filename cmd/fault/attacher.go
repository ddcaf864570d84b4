package main

import (
	"github.com/spf13/cobra"

	"github.com/faultproxy/fault/agent"
)

// newAttacher is what `fault run` starts for the part that takes capabilities.
// It takes no settings but those that come over its socket.
func newAttacher() *cobra.Command {
	return &cobra.Command{
		Use:    agent.AttacherCommand,
		Short:  "Attach the programs of a run that has dropped its capabilities",
		Hidden: true,
		Args:   noArguments,
		RunE:   func(*cobra.Command, []string) error { return agent.ServeAttacher() },
	}
}
