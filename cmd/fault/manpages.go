//go:build man

package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// rootPage is fault(1).
func rootPage(root *cobra.Command) string {
	p := newPage("fault", "slow, throttle and break the connections of unmodified programs")
	p.section("SYNOPSIS", "**fault** _COMMAND_ [_FLAG_...]")
	about, _, _ := strings.Cut(root.Long, "\n\n")
	p.section("DESCRIPTION", escaped(about)+`

On Linux it diverts **connect**(2) with eBPF and carries the bytes through the faults. Elsewhere, and without
privilege, it is an HTTP proxy with the same faults. **fault-run**(1) has all of that.`)
	p.section("COMMANDS", "")
	eachCommand(root, func(cmd *cobra.Command) {
		if path := strings.TrimPrefix(cmd.CommandPath(), "fault "); cmd != root && !strings.HasPrefix(path, "help ") {
			p.item("**"+cmd.CommandPath()+"**"+escaped(strings.TrimPrefix(cmd.Use, cmd.Name())), sentence(escaped(cmd.Short)))
		}
	})
	p.section("OPTIONS", "These go before or behind the command.")
	for _, f := range globalFlags(root) {
		p.flag(f)
	}
	p.item("**-h**, **--help**", "Explain the command.")
	p.item("**-V**, **--version**", "Print the version.")
	eachCommand(root, func(cmd *cobra.Command) {
		if cmd == root || cmd.CommandPath() == "fault run" {
			return
		}
		title := "\n### " + cmd.CommandPath() + "\n"
		for _, f := range ownFlags(cmd) {
			p.WriteString(title)
			title = ""
			p.flag(f)
		}
	})
	p.section("ENVIRONMENT", "A variable is read where its flag is not given; an empty one is an unset one.")
	for _, v := range otherVariables {
		p.item("**"+escaped(v.name)+"**", sentence(escaped(v.does)))
	}
	p.section("EXIT STATUS", code(exitCodesTopic(root)))
	p.section("EXAMPLES", code(root.Long[strings.Index(root.Long, "\n\n"):]))
	p.section("SEE ALSO", "**fault-run**(1)")
	return p.String()
}

// runPage is fault-run(1).
func runPage(root *cobra.Command) string {
	run := known(root, "run")
	p := newPage("fault-run", lower(run.Short))
	p.section("SYNOPSIS", "**fault run** [_FLAG_...]")
	_, about, _ := strings.Cut(run.Long, "\n\n")
	p.section("DESCRIPTION", escaped(about)+`

SIGINT, SIGTERM, SIGHUP and the end of **--duration** detach first; open flows then have five seconds to end. A second
signal ends them at once.

### Links

Each fault but HTTP response acts on a link of a connection. **--FAULT-side** and **--FAULT-direction** name it: server
ingress, the default, and client egress are what the client receives; server egress and client ingress are what it
sends; both is both.

### Upstreams

`+code(upstreamsTopic)+`

### Callers

`+code(callersTopic)+`

### Schedules

`+code(schedulesTopic))
	p.section("OPTIONS", "Pieces meet faults in this order.")
	for _, title := range sections(run) {
		p.WriteString("\n### " + title + "\n")
		for _, f := range sectionFlags(run, title) {
			p.flag(f)
		}
	}
	p.WriteString("\n### Of every command\n")
	for _, f := range globalFlags(root) {
		p.flag(f)
	}
	p.section("ENVIRONMENT", "A variable is read where its flag is not given. An empty one is an unset one, "+
		"and booleans are true, 1, yes, on or false, 0, no, off. Each flag above names its own.")
	p.section("EXIT STATUS", code(exitCodesTopic(root)))
	p.section("EXAMPLES", code(run.Example))
	p.section("NOTES", "`kill -STOP` freezes the connections that are open: their bytes go through this process. "+
		"`kill -CONT` lets them go on.\n\n"+
		"When it is killed by SIGKILL the kernel detaches the programs and new connections go direct, "+
		"but the terminal stays in the view; `reset` heals it.\n\n"+
		"Nothing is left behind: there are no iptables rules, routes, qdiscs, sysctls, files or pinned BPF objects.")
	p.section("SEE ALSO", "**fault**(1), **bpf**(2), **cgroups**(7), **capabilities**(7)")
	return p.String()
}
