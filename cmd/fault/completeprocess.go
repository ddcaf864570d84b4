package main

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/faultproxy/fault/agent/lines"
)

// process is one that runs.
type process struct {
	pid  uint32
	name string
}

// processNames are the names of the processes that run, sorted, each once.
// What a terminal must not be shown is left out, as it would not be the name.
func processNames() []string {
	var names []string
	for _, p := range processes() {
		if lines.Shown(p.name, math.MaxInt) == p.name {
			names = append(names, p.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// processID is a flag value: a number above 0 that is a process's.
type processID struct{ number }

// complete offers the processes that run.
func (*processID) complete(string) ([]string, cobra.ShellCompDirective) {
	running := processes()
	slices.SortFunc(running, func(a, b process) int { return cmp.Compare(a.pid, b.pid) })
	var choices []string
	for _, p := range running {
		choices = append(choices, described(strconv.FormatUint(uint64(p.pid), 10), lines.Shown(p.name, 40)))
	}
	return choices, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
