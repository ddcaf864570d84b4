package main

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/lines"
)

// namespaces is a flag value: network namespaces as people call them. Whether
// they are there the agent finds out.
type namespaces []string

func (n *namespaces) Type() string   { return "NETNS" }
func (n *namespaces) String() string { return strings.Join(*n, ",") }

// GetSlice is for cobra, which then offers the flag again.
func (n *namespaces) GetSlice() []string { return *n }

func (n *namespaces) Set(text string) error {
	for one := range strings.SplitSeq(text, ",") {
		one = strings.TrimSpace(one)
		if one == "" {
			return errors.New("is empty; write a name, a path, a process id or `" + agent.OwnNetns + "`")
		}
		if strings.ContainsRune(one, 0) {
			return fmt.Errorf("`%s` has a zero byte", lines.Shown(one, 64))
		}
		*n = append(*n, one)
	}
	return nil
}

// complete offers those with names. Of a list it completes the last one.
func (n *namespaces) complete(typed string) ([]string, cobra.ShellCompDirective) {
	before := typed[:strings.LastIndex(typed, ",")+1]
	meaning := "that of fault itself"
	if before != "" {
		meaning = "" // as for patterns
	}
	choices := []string{described(before+agent.OwnNetns, meaning)}
	for _, name := range agent.NamedNetns() {
		if lines.Shown(name, math.MaxInt) == name && !strings.Contains(name, ",") {
			choices = append(choices, before+name)
		}
	}
	return choices, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}
