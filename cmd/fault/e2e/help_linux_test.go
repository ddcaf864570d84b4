package e2e

import (
	"regexp"
	"strings"
	"testing"
)

// flagLine is a flag in a help text: its name, its type if it takes a value,
// and its description.
var flagLine = regexp.MustCompile(`(?m)^ +(?:-\w, |    )--([\w-]+)(?: (\w+))?   +(.*)$`)

// TestHelp holds that help is the same however it is asked for, that each flag
// says what it does and which variable stands for it, and that the variable
// does.
func TestHelp(t *testing.T) {
	for _, command := range [][]string{{"demo"}, {"demo", "run"}, {"version"}, {"completion", "bash"}} {
		t.Run(strings.Join(append([]string{"fault"}, command...), " "), func(t *testing.T) {
			help, stderr, code := finish(t, nil, fault(append(command, "--help")...))
			if code != 0 || stderr != "" {
				t.Fatalf("exit %d: %s", code, stderr)
			}
			short, _, _ := finish(t, nil, fault(append(command, "-h")...))
			topic, _, _ := finish(t, nil, fault(append([]string{"help"}, command...)...))
			if short != help || topic != help {
				t.Error("-h, --help and `fault help` differ")
			}
			// A row that begins in the column of the texts goes on with one.
			rows := regexp.MustCompile(`\n {31}`).ReplaceAllString(help, " ")
			flags := flagLine.FindAllStringSubmatch(rows, -1)
			if command[len(command)-1] == "run" && len(flags) != 3 {
				t.Errorf("%d flags in\n%s", len(flags), help)
			}
			for _, f := range flags {
				if name := f[1]; name != "no-descriptions" {
					flagIsComplete(t, command, name, f[2], f[3])
				}
			}
		})
	}
}

func flagIsComplete(t *testing.T, command []string, flag, kind, text string) {
	t.Helper()
	m := regexp.MustCompile(`^(\S.*) \(\$(FAULT_[A-Z_]+)\)$`).FindStringSubmatch(text)
	if m == nil {
		t.Errorf("--%s: no text or no variable: %s", flag, text)
		return
	}
	if anything[kind] || command[len(command)-1] != "run" {
		return // takes anything, or does not run
	}
	variableIsRead(t, command, flag, m[2])
}

// anything is the kinds of values of which none is wrong, or none as long as
// its fault is off.
var anything = map[string]bool{"HOST": true, "PATH": true, "NAME": true, "TEXT": true, "[=PATH]": true, "SCHEDULE": true}

// variableIsRead gives a variable a value that no flag can take.
func variableIsRead(t *testing.T, command []string, flag, name string) {
	t.Helper()
	cmd := fault(command...)
	cmd.Env = append(cmd.Env, name+"=?")
	_, stderr, code := finish(t, nil, cmd)
	if code != 2 || !strings.HasPrefix(stderr, "error: ") || !strings.Contains(stderr, name) || !strings.Contains(stderr, "--"+flag) {
		t.Errorf("%s=? : exit %d: %s", name, code, stderr)
	}
}

// longFlag is a flag in `fault help faults`: its name, what it takes, and its
// text over some lines, with its variables.
var longFlag = regexp.MustCompile(`(?m)^  --([\w-]+) ?(\S*)( \[.*\])?\n((?: {6}.*\n)+)`)

// TestFaultsHelp holds the same of the flags of the run, which are too many for
// its own help.
func TestFaultsHelp(t *testing.T) {
	text, stderr, code := finish(t, nil, fault("help", "faults"))
	if code != 0 || stderr != "" {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	short, _, _ := finish(t, nil, fault("run", "--help"))
	flags := longFlag.FindAllStringSubmatch(text, -1)
	if len(flags) < 50 {
		t.Errorf("only %d flags in\n%s", len(flags), text)
	}
	for _, f := range flags {
		name, kind := f[1], f[2]
		variables := regexp.MustCompile(`\$(FAULT_[A-Z_]+)`).FindAllStringSubmatch(f[4], -1)
		if len(variables) == 0 && name != "no-color" { // which is NO_COLOR, but not by its value
			t.Errorf("--%s has no variable: %s", name, f[4])
		}
		common := regexp.MustCompile(`-(side|direction|sched|probability)$`).ReplaceAllString(name, "")
		if !strings.Contains(short, "--"+name) && common == name {
			t.Errorf("--%s is not in the help of the run", name)
		}
		for _, v := range variables {
			if !anything[kind] {
				variableIsRead(t, []string{"run"}, name, v[1])
			}
		}
	}
}

// TestVersion is what a bug report begins with.
func TestVersion(t *testing.T) {
	for _, args := range [][]string{{"version"}, {"--version"}, {"-V"}} {
		stdout, stderr, code := finish(t, nil, fault(args...))
		if code != 0 || stderr != "" || !regexp.MustCompile(`^fault \d+\.\d+\.\d+`).MatchString(stdout) {
			t.Errorf("%v: exit %d: %s%s", args, code, stdout, stderr)
		}
	}
}
