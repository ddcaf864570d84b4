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

func newCheck(env environment) *cobra.Command {
	var asJSON bool
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
			result := check.Run(cmd.Context())
			fmt.Fprint(env.stdout, checked(result, asJSON, env.style(cmd, env.stdout)))
			if !result.Transparent.Possible {
				return errImpossible
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one object")
	return cmd
}

// checkedObject is a result for programs.
type checkedObject struct {
	Schema  int    `json:"schema"`
	Version string `json:"version"`
	check.Result
}

// checked is a result for a program, for a terminal or for a pipe.
func checked(r check.Result, asJSON bool, s style.Style) string {
	switch {
	case asJSON:
		object, err := json.Marshal(checkedObject{event.Schema, version, r})
		if err != nil {
			panic(err) // strings and booleans only
		}
		return string(object) + "\n"
	case s.Columns > 0:
		return checkTable(r, s)
	}
	return checkRows(r)
}

// checkRows are a result for a pipe: a row for each verdict and each probe.
func checkRows(r check.Result) string {
	var b strings.Builder
	row := func(cells ...string) {
		for i := range cells {
			cells[i] = oneLine(cells[i])
		}
		b.WriteString(strings.Join(cells, "\t") + "\n")
	}
	for _, v := range verdicts(r) {
		state, text, _ := strings.Cut(v.said.String(), ", ")
		row(state, v.name, text, "")
	}
	for _, p := range r.Probes {
		row(string(p.State), p.Name, p.Text, p.Fix)
	}
	return b.String()
}

type namedVerdict struct {
	name string
	said check.Verdict
}

func verdicts(r check.Result) []namedVerdict {
	return []namedVerdict{{"transparent", r.Transparent}, {"explicit", r.Explicit}}
}
