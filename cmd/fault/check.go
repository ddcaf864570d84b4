package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/faultproxy/fault/agent/check"
	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/agent/style"
)

// errImpossible is that connections cannot be intercepted, which has been said.
var errImpossible = errors.New("cannot intercept")

// errNotClean is that something of fault is left, which has been said.
var errNotClean = errors.New("not clean")

func newCheck(env environment) *cobra.Command {
	var asJSON, after bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say what this host can do, and how to get the rest",
		Long: `Say what this host can do, and how to get the rest. Exit code 1: connections
cannot be intercepted.

With the capabilities for it, the programs are loaded and attached to an empty
cgroup that is made for that, and all is removed again. To a terminal it is a
table; elsewhere the state, the name, the text and the fix, separated by tabs,
with no header.`,
		Args:              noArguments,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// A signal meanwhile waits: it is a matter of milliseconds.
			if after {
				left := check.After(cmd.Context())
				fmt.Fprint(env.stdout, rendered(reportOnRemains(left), asJSON, env.style(cmd, env.stdout)))
				if !left.Clean {
					return errNotClean
				}
				return nil
			}
			result := check.Run(cmd.Context())
			fmt.Fprint(env.stdout, rendered(reportOnHost(result), asJSON, env.style(cmd, env.stdout)))
			if !result.Transparent.Possible {
				return errImpossible
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one object")
	cmd.Flags().BoolVar(&after, "after", false, "prove that nothing of fault is left on this host; exit code 1 if something is")
	return cmd
}

// checkedObject is a result for programs.
type checkedObject struct {
	Schema  int    `json:"schema"`
	Version string `json:"version"`
	check.Result
}

// remainsObject is what is left, for programs.
type remainsObject struct {
	Schema  int    `json:"schema"`
	Version string `json:"version"`
	check.Remains
}

// report is what was found out, for all who read it.
type report struct {
	verdicts []namedVerdict
	probes   []check.Probe
	object   any // for JSON
}

type namedVerdict struct {
	name string
	said check.Verdict
}

func reportOnHost(r check.Result) report {
	return report{
		[]namedVerdict{{"transparent", r.Transparent}, {"explicit", r.Explicit}}, r.Probes,
		checkedObject{event.Schema, version, r},
	}
}

func reportOnRemains(r check.Remains) report {
	return report{
		[]namedVerdict{{"clean", check.Verdict{Possible: r.Clean, Why: r.Why}}}, r.Probes,
		remainsObject{event.Schema, version, r},
	}
}

// rendered is a report for a program, for a terminal or for a pipe.
func rendered(r report, asJSON bool, s style.Style) string {
	switch {
	case asJSON:
		object, err := json.Marshal(r.object)
		if err != nil {
			panic(err) // strings and booleans only
		}
		return string(object) + "\n"
	case s.Columns > 0:
		return checkTable(r, s)
	}
	return checkRows(r)
}

// checkRows are a report for a pipe: a row for each verdict and each probe.
func checkRows(r report) string {
	var b strings.Builder
	row := func(cells ...string) {
		for i := range cells {
			cells[i] = oneLine(cells[i])
		}
		b.WriteString(strings.Join(cells, "\t") + "\n")
	}
	for _, v := range r.verdicts {
		state, text, _ := strings.Cut(v.said.String(), ", ")
		row(state, v.name, text, "")
	}
	for _, p := range r.probes {
		row(string(p.State), p.Name, p.Text, p.Fix)
	}
	return b.String()
}
