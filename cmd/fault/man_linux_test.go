package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/faultproxy/fault/internal/requires"
)

// manPages are fault(1) and fault-run(1) as they are made for a release.
func manPages(t *testing.T) map[string]string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "run", "-tags", "man", ".", "man", dir)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return map[string]string{"fault": filepath.Join(dir, "fault.1"), "fault-run": filepath.Join(dir, "fault-run.1")}
}

// withoutComplaint is what a command writes, which must be all.
func withoutComplaint(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LC_ALL=C.UTF-8", "MANWIDTH=84", "MANPAGER=cat"}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil || complaints.Len() > 0 {
		t.Errorf("%s: %v: %s", args, err, &complaints)
	}
	return string(out)
}

// TestManPages are understood without a warning, have their sections, and every
// flag with its variables and paragraph.
func TestManPages(t *testing.T) {
	requires.Tools(t, "man", "groff", "lexgrog")
	pages := make(map[string]string)
	for name, path := range manPages(t) {
		pages[name] = withoutComplaint(t, "man", "--warnings", "-l", path)
		withoutComplaint(t, "groff", "-ww", "-man", "-Tutf8", path)
		if out, err := exec.Command("lexgrog", path).CombinedOutput(); err != nil || !strings.Contains(string(out), `"`+name+` - `) {
			t.Errorf("%s has no name for whatis: %v: %s", name, err, out)
		}
	}
	for name, sections := range map[string]string{
		"fault":     "NAME SYNOPSIS DESCRIPTION COMMANDS OPTIONS ENVIRONMENT EXIT_STATUS EXAMPLES SEE_ALSO",
		"fault-run": "NAME SYNOPSIS DESCRIPTION OPTIONS ENVIRONMENT EXIT_STATUS EXAMPLES NOTES SEE_ALSO",
	} {
		got := strings.Join(regexp.MustCompile(`(?m)^[A-Z][A-Z ]+$`).FindAllString(pages[name], -1), "|")
		if want := strings.ReplaceAll(strings.ReplaceAll(sections, " ", "|"), "_", " "); got != want {
			t.Errorf("%s has %s, want %s", name, got, want)
		}
	}
	eachCommand(newRoot(environment{}), func(cmd *cobra.Command) {
		name := "fault"
		if cmd.CommandPath() == "fault run" {
			name = "fault-run"
		}
		page := strings.Join(strings.Fields(pages[name]), " ")
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Hidden {
				return
			}
			for _, want := range append([]string{"--" + f.Name, annotated(f, paragraphAnnotation)}, f.Annotations[variableAnnotation]...) {
				if !strings.Contains(page, strings.ReplaceAll(want, "`", "")) {
					t.Errorf("%s(1) has no %q", name, want)
				}
			}
		})
	})
	for _, want := range []string{"kill -STOP freezes the connections", "the terminal stays in the view; reset heals it"} {
		if page := strings.Join(strings.Fields(pages["fault-run"]), " "); !strings.Contains(page, want) {
			t.Errorf("fault-run(1) has no %q", want)
		}
	}
}
