package e2e

import (
	"regexp"
	"strings"
	"testing"
)

// What a program writes to a terminal.
var (
	alternateScreen = regexp.MustCompile(`\x1b\[\?1049h`)
	// colour is one of the 16, of 256, or any, for text or behind it.
	colour = regexp.MustCompile(`\x1b\[([\d;]*;)?([349][0-7]|10[0-7]|[34]8;[\d;]*)(;[\d;]*)?m`)
	bold   = regexp.MustCompile(`\x1b\[1m`)
	above7 = regexp.MustCompile(`[^\x00-\x7f]`)
)

// TestLooks holds what a terminal gets that wants another look than ours, or
// no view.
func TestLooks(t *testing.T) {
	for name, tc := range map[string]struct {
		command string
		has, no []*regexp.Regexp
	}{
		"ours":         {"fault run", []*regexp.Regexp{alternateScreen, colour, bold, above7}, nil},
		"NO_COLOR":     {"NO_COLOR=yes fault run", []*regexp.Regexp{alternateScreen, bold, above7}, []*regexp.Regexp{colour}},
		"not UTF-8":    {"LC_ALL=C fault run", []*regexp.Regexp{alternateScreen, colour}, []*regexp.Regexp{above7}},
		"TERM=dumb":    {"TERM=dumb fault run", nil, []*regexp.Regexp{alternateScreen, colour, bold}},
		"no TERM":      {"env -u TERM fault run", nil, []*regexp.Regexp{alternateScreen, colour, bold}},
		"--tail":       {"fault run --tail", []*regexp.Regexp{colour, bold}, []*regexp.Regexp{alternateScreen}},
		"--log-stdout": {"fault run --log-stdout", []*regexp.Regexp{colour, bold}, []*regexp.Regexp{alternateScreen}},
		"stdin":        {"fault run </dev/null", []*regexp.Regexp{colour, bold}, []*regexp.Regexp{alternateScreen}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShown(t, 100, 30, tc.command+`; echo "code $?"`)
			if tc.has != nil && tc.has[0] == alternateScreen {
				s.until(" of 2:00 ")
				s.press("?")
				s.until("ready after ")
				s.press("x")
			} else {
				s.until("latency on")
			}
			s.press("C-c")
			s.until("code 0")
			eventually(t, "all that was written", func() bool { return strings.Contains(s.written(), "\ncode 0") })
			for _, what := range tc.has {
				if !what.MatchString(s.written()) {
					t.Errorf("%v is not in %q", what, s.written())
				}
			}
			for _, what := range tc.no {
				if found := what.FindString(s.written()); found != "" {
					t.Errorf("%q is in %q", found, s.written())
				}
			}
			if s.ended().summary(t).ExitCode != 0 {
				t.Error("it does not end well")
			}
		})
	}
}
