package lines

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestShown(t *testing.T) {
	for text, want := range map[string]string{
		"/ping":                    "/ping",
		"/é東 x":                    "/é東 x",
		"a\nb\tc\x00d\x7fe":        "a?b?c?d?e",
		"\x1b]0;title\a":           "?]0;title?",
		"c1\u009b\u0085":           "c1??",
		"bidi\u202e\u2066\u200f.":  "bidi???.",
		"\u2028\u2029\ufeff\u00ad": "????",
		"broken\xff\xfe":           "broken??",
		"0123456789abcdef":         "0123456789abcdef",
		"0123456789abcdefg":        "01234567…abcdefg",
	} {
		if got := Shown(text, 16); got != want {
			t.Errorf("Shown(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestDropsWhatDoesNotFit(t *testing.T) {
	blocked, release := make(chan struct{}), make(chan struct{})
	var out bytes.Buffer
	w := NewWriter(writerFunc(func(p []byte) (int, error) {
		if out.Len() == 0 {
			close(blocked)
			<-release
		}
		return out.Write(p)
	}))
	w.Print("first\n")
	<-blocked
	line := strings.Repeat("x", 1023) + "\n"
	for range queueLimit/len(line) + 3 {
		w.Print(line)
	}
	close(release)
	w.Close(time.Hour)
	w.Print("after the end\n")
	want := fmt.Sprintf("first\n%sand 3 more lines\n", strings.Repeat(line, queueLimit/len(line)))
	if out.String() != want {
		t.Errorf("%d bytes, ending in %q; want %d", out.Len(), out.Bytes()[max(0, out.Len()-40):], len(want))
	}
}

// TestForPrograms holds that no line is there which a program cannot read, and
// that the last one is.
func TestForPrograms(t *testing.T) {
	blocked, release := make(chan struct{}), make(chan struct{})
	var out bytes.Buffer
	w := NewWriter(writerFunc(func(p []byte) (int, error) {
		if out.Len() == 0 {
			close(blocked)
			<-release
		}
		return out.Write(p)
	}))
	w.ForPrograms()
	w.Print("first\n")
	<-blocked
	full := strings.Repeat("x", queueLimit-1) + "\n"
	w.Print(full)
	for range 3 {
		w.Print("one too many\n")
	}
	if n := w.Dropped(); n != 3 {
		t.Errorf("%d lines were dropped, want 3", n)
	}
	w.PrintLast("last\n")
	close(release)
	w.Close(time.Hour)
	if want := "first\n" + full + "last\n"; out.String() != want || w.Dropped() != 3 {
		t.Errorf("%d bytes, ending in %q, and %d lines dropped", out.Len(), out.Bytes()[max(0, out.Len()-40):], w.Dropped())
	}
}

// writerFunc is an io.Writer made of a function.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
