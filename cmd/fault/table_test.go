package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// noVariable is why a flag has none.
var noVariable = map[string]string{
	"after":           "what it does is another thing",
	"no-color":        "NO_COLOR is one of any value, and not only ours",
	"help":            "it runs nothing",
	"version":         "it runs nothing",
	"json":            "it is about one answer; that of `fault run` has one",
	"wait":            "it is about one answer, too",
	"no-descriptions": "it is about a script, whose user sets FAULT_COMPLETION_DESCRIPTIONS",
}

// TestFlagTable holds that whatever is to be known of a flag stands in the
// table, and that all that is made from it has every flag.
func TestFlagTable(t *testing.T) {
	faults := try(nil, "help", "faults").stdout
	environmentText := try(nil, "help", "environment").stdout
	eachCommand(newRoot(environment{}), func(cmd *cobra.Command) {
		cmd.InitDefaultHelpFlag()
		help := try(nil, append(strings.Fields(cmd.CommandPath())[1:], "--help")...).stdout
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Hidden || cmd.HasParent() && cmd.Parent().Name() == "help" {
				return
			}
			name := cmd.CommandPath() + " --" + f.Name
			if f.Usage == "" || strings.Contains(f.Usage, "\n") {
				t.Errorf("%s is not explained in a line: %q", name, f.Usage)
			}
			variables := f.Annotations[variableAnnotation]
			if len(variables) == 0 && noVariable[f.Name] == "" {
				t.Errorf("%s has no variable, and no reason why not", name)
			}
			for _, v := range variables {
				if !strings.Contains(environmentText, " "+v+" ") {
					t.Errorf("`fault help environment` has no %s", v)
				}
			}
			if _, ok := cmd.GetFlagCompletionFunc(f.Name); !ok && noVariable[f.Name] == "" || !completes(f.Value) {
				t.Errorf("%s does not say how it is completed", name)
			}
			shared := regexp.MustCompile(`^\w+(-\w+)?-(side|direction|sched|probability)$`).ReplaceAllString(f.Name, "FAULT-$2")
			if !strings.Contains(help, "--"+f.Name) && !strings.Contains(help, "--"+shared) {
				t.Errorf("%s is not in its help", name)
			}
			if section := sectionOf(f); (cmd.CommandPath() == "fault run" || section == globalTitle) && section != "" && !strings.Contains(faults, "  --"+f.Name) {
				t.Errorf("%s is not in `fault help faults`", name)
			}
		})
	})
}

// completes says whether a value offers something, explains itself, or has said
// that there is nothing to offer.
func completes(value pflag.Value) bool {
	_, offers := value.(completed)
	_, explains := value.(ranged)
	return offers || explains || value.Type() == "bool"
}

// TestParagraphs go on from the line of a flag: sentences, whose backticks are
// pairs.
func TestParagraphs(t *testing.T) {
	n := 0
	eachCommand(newRoot(environment{}), func(cmd *cobra.Command) {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			paragraph := annotated(f, paragraphAnnotation)
			if paragraph == "" {
				return
			}
			n++
			if strings.Count(paragraph, "`")%2 != 0 || !regexp.MustCompile("^[A-Z`].*[A-Za-z`]\\.$").MatchString(paragraph) {
				t.Errorf("--%s: %s", f.Name, paragraph)
			}
		})
	})
	if n < 20 {
		t.Errorf("only %d", n)
	}
}
