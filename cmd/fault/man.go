//go:build man

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// A build with this file has one more command, which writes the man pages.
func init() {
	buildCommands = append(buildCommands, func() *cobra.Command {
		return &cobra.Command{
			Use:    "man DIR",
			Short:  "Write the man pages into a folder",
			Hidden: true,
			Args:   cobra.ExactArgs(1),
			RunE:   func(cmd *cobra.Command, args []string) error { return writePages(cmd.Root(), args[0]) },
		}
	})
}

func writePages(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, markdown := range map[string]string{"fault.1": rootPage(root), "fault-run.1": runPage(root)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(roff(markdown)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// roff is a page as man reads it. Names are not divided, and what md2man leaves
// a hyphen is the dash of a flag.
func roff(markdown string) string {
	dashes := strings.NewReplacer(`\-`, `\-`, "-", `\-`)
	rows := strings.Split(string(md2man.Render([]byte(markdown))), "\n")
	for i, row := range rows {
		switch {
		case strings.HasPrefix(row, ".TH "):
			rows[i] += "\n.nr HY 0\n.nh\n.ad l"
		case !strings.HasPrefix(row, "."):
			rows[i] = dashes.Replace(row)
		}
	}
	return strings.Join(rows, "\n")
}

// page is a man page in Markdown, as md2man takes it.
type page struct{ strings.Builder }

func newPage(name, about string) *page {
	p := &page{}
	fmt.Fprintf(p, "%% %q \"1\" \"\" %q \"User Commands\"\n", strings.ToUpper(name), "fault "+version)
	p.section("NAME", escaped(name)+" - "+escaped(about))
	return p
}

func (p *page) section(title, text string) {
	fmt.Fprintf(p, "\n# %s\n\n%s\n", title, text)
}

// flag describes a flag: what it takes, its line, its range, its default, its
// paragraph and its variables.
func (p *page) flag(f *pflag.Flag) {
	name := "**--" + f.Name + "**"
	if f.Shorthand != "" {
		name = "**-" + f.Shorthand + "**, " + name
	}
	switch {
	case f.Value.Type() == "bool":
	case f.NoOptDefVal != "":
		name += "[=" + "_" + escaped(f.Value.Type()) + "_]"
	default:
		name += " _" + escaped(f.Value.Type()) + "_"
	}
	says := sentence(escaped(f.Usage))
	if text := takes(f); text != "" {
		says += fmt.Sprintf(" Value: %s.", escaped(text))
	}
	if f.DefValue != "" && f.Value.Type() != "bool" {
		says += fmt.Sprintf(" Default: %s.", escaped(f.DefValue))
	}
	if paragraph := annotated(f, paragraphAnnotation); paragraph != "" {
		says += " " + escaped(paragraph)
	}
	if variables := f.Annotations[variableAnnotation]; len(variables) > 0 {
		says += " Variable: " + escaped(strings.Join(variables, ", ")) + "."
	}
	p.item(name, says)
}

func (p *page) item(name, says string) { fmt.Fprintf(p, "\n%s\n: %s\n", name, says) }

// special is what means something in Markdown outside of `code`.
var special = regexp.MustCompile("`[^`]*`|[\\\\*_{}\\[\\]<>#|~]")

func escaped(text string) string {
	return special.ReplaceAllStringFunc(text, func(found string) string {
		if strings.HasPrefix(found, "`") {
			return found
		}
		return `\` + found
	})
}

func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] + "." }

// code is text that is shown as it is.
func code(text string) string { return "```\n" + strings.Trim(text, "\n") + "\n```" }
