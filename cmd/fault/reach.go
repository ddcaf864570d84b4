package main

import (
	"github.com/spf13/cobra"

	"github.com/faultproxy/fault/agent"
)

const reachTitle = "Reach"

// reachFlags say what interception reaches beyond new TCP connections.
type reachFlags struct {
	reset bool
}

func addReachFlags(cmd *cobra.Command) *reachFlags {
	f := &reachFlags{}
	s := section{cmd, reachTitle}
	more(s.toggle(&f.reset, "reset-existing", "reset matching connections that are open", "FAULT_RESET_EXISTING"),
		"Connections that were open before the run are not affected, and the start page counts those that match. "+
			"With this they are reset once new ones are intercepted, so that pools connect anew, through the faults. "+
			"Programs see `ECONNABORTED`, upstreams a reset. Connections that others opened to this host stay, and so does whatever is in doubt.")
	return f
}

// check looks at the flags beside those that say whether connections are
// intercepted.
func (f *reachFlags) check(traffic *trafficFlags, line *commandLine) error {
	if traffic.transparent.value == string(agent.Off) {
		line.ignore("with --transparent off", "reset-existing")
		f.reset = false
		return nil
	}
	if f.reset && !traffic.intercepts() {
		return usage(line.called("reset-existing")+" needs --upstream, which says which connections", "`--upstream '*'` means all of them")
	}
	return nil
}
