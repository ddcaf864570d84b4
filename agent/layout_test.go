package agent

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/faultproxy/fault/agent/style"
)

func TestWrap(t *testing.T) {
	for _, tc := range []struct {
		text    string
		columns int
		want    []string
	}{
		{"", 10, []string{""}},
		{"one two three", 0, []string{"one two three"}},
		{"one two three", 13, []string{"one two three"}},
		{"one two three", 12, []string{"one two", "three"}},
		{"mean 300, stddev 50 ms; to client", 20, []string{"mean 300, stddev", "50 ms; to client"}},
		{"at 1 MB/s a flow", 6, []string{"at", "1 MB/s", "a flow"}},
		{"10.0.0.0/8,10.1.0.0/16,db", 16, []string{"10.0.0.0/8,", "10.1.0.0/16,db"}},
		{"a longlonglong word", 6, []string{"a", "longlo", "nglong", "word"}},
		{"東京東京", 5, []string{"東京", "東京"}},
	} {
		if got := wrap(tc.text, tc.columns); !slices.Equal(got, tc.want) {
			t.Errorf("%q in %d columns is %q, want %q", tc.text, tc.columns, got, tc.want)
		}
	}
}

func TestFigures(t *testing.T) {
	marked := style.Style{Palette: style.Marked}
	for text, want := range map[string]string{
		"p50 201, max 1,401 ms; x": "p50 ‹accent›201‹/›, max ‹accent›1,401‹/› ‹dim›ms‹/›; x",
		"3.02 %, 40 of 408":        "‹accent›3.02‹/› ‹dim›%‹/›, ‹accent›40‹/› of ‹accent›408‹/›",
		"a s b -":                  "a s b -",
		"":                         "",
	} {
		if got := figures(marked, style.Accent, text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// TestReplay holds that a shell takes the line for the arguments again, and
// that a terminal takes nothing in it for a command.
func TestReplay(t *testing.T) {
	args := []string{"run", "", "it's", "*", "a b", "é", "bell\a 'and' \\ escape\x1b[31m", "two\nlines\n", "\xff\xfe", "\u202e"}
	for _, look := range []style.Style{{}, {ASCII: true}} {
		line := replay(look, args)
		if shown := look.Glyphs(line); shown != line || !utf8.ValidString(line) || strings.ContainsAny(line, "\a\x1b\n\u202e") {
			t.Errorf("it is %q", line)
		}
		shell, err := exec.LookPath("bash")
		if err != nil {
			continue // the escapes are not those of every sh
		}
		out, err := exec.CommandContext(t.Context(), shell, "-c", `fault() { printf '%s\0' "$@"; }; `+line).Output()
		if want := strings.Join(args, "\x00") + "\x00"; err != nil || string(out) != want {
			t.Errorf("%s\nis %q, want %q: %v", line, out, want, err)
		}
	}
}
