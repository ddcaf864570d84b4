package main

import (
	"fmt"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/spf13/cobra"
)

// nearest is the name that was probably meant: the first of those with the
// fewest letters to change, if that is one letter or a third of what was typed;
// empty if there is none. Capitals do not count.
func nearest(typed string, names []string) string {
	found, least := "", max(1, len(typed)/3)+1
	for _, name := range names {
		if distance := levenshtein.ComputeDistance(strings.ToLower(typed), strings.ToLower(name)); distance < least {
			found, least = name, distance
		}
	}
	return found
}

// hint asks whether something near was meant, and says what else there is to
// say; either may be empty.
func hint(near, otherwise string) string {
	if near == "" {
		return otherwise
	}
	return strings.TrimSuffix(fmt.Sprintf("did you mean `%s`? %s", near, otherwise), " ")
}

// commandNames are the commands below one that its help shows.
func commandNames(cmd *cobra.Command) []string {
	var names []string
	for _, sub := range cmd.Commands() {
		if !sub.Hidden {
			names = append(names, sub.Name())
		}
	}
	return names
}
