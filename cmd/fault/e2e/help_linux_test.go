package e2e

import (
	"regexp"
	"strings"
	"testing"
)

// flagLine is a flag in a help text: its name, its type if it takes a value,
// and its description.
var flagLine = regexp.MustCompile(`(?m)^ +(?:-\w, |    )--([\w-]+)(?: (\w+))?   +(.*)$`)

// TestHelp holds that each flag says what it does and which variable stands
// for it, and that the variable does.
func TestHelp(t *testing.T) {
	for _, command := range [][]string{{}, {"run"}, {"demo"}, {"demo", "run"}, {"version"}} {
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
			flags := flagLine.FindAllStringSubmatch(help, -1)
			if len(flags) == 0 {
				t.Fatalf("no flags in\n%s", help)
			}
			for _, f := range flags {
				if name := f[1]; name != "help" && name != "version" {
					flagIsComplete(t, command, name, f[2], f[3])
				}
			}
		})
	}
}

func flagIsComplete(t *testing.T, command []string, flag, kind, text string) {
	t.Helper()
	m := regexp.MustCompile(`^(\S.*) \(\$(FAULT_[A-Z_]+)\)`).FindStringSubmatch(text)
	if m == nil {
		t.Errorf("--%s: no text or no variable: %s", flag, text)
		return
	}
	if kind == "string" || kind == "strings" || len(command) == 0 || command[len(command)-1] != "run" {
		return // takes anything, or does not run
	}
	// A value that no flag can take shows that the variable is read.
	cmd := fault(command...)
	cmd.Env = append(cmd.Env, m[2]+"=?")
	_, stderr, code := finish(t, nil, cmd)
	if code != 2 || !strings.HasPrefix(stderr, "error: ") || !strings.Contains(stderr, m[2]) || !strings.Contains(stderr, "--"+flag) {
		t.Errorf("%s=? : exit %d: %s", m[2], code, stderr)
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
