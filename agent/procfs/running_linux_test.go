package procfs

import (
	"os"
	"strings"
	"testing"
)

func TestParseStat(t *testing.T) {
	const rest = " 1 10 10 34816 10 4194560 100 0 0 0"
	for text, want := range map[string]Running{
		"10 (curl) S" + rest:                      {Process{10, "curl"}, 1},
		"10 (tmux: server) R" + rest:              {Process{10, "tmux: server"}, 1},
		"10 (a) S 1 (b)) S" + rest:                {Process{10, "a) S 1 (b)"}, 1},
		"10 () S" + rest:                          {Process{10, ""}, 1},
		"10 (gone) Z" + rest:                      {},
		"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0": {},
		"10 (curl) S 1":                           {},
		"x (curl) S" + rest:                       {},
		"":                                        {},
	} {
		if got, ok := parseStat(text); ok != (want != Running{}) || ok && got != want {
			t.Errorf("%q: %v, %v, want %v", text, got, ok, want)
		}
	}
}

// TestAll has this process, with its parent and user, and no thread of the
// kernel.
func TestAll(t *testing.T) {
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, p := range all {
		if p.PID == os.Getpid() {
			found = p.Parent == os.Getppid() && p.Name == ByID(p.PID).Name
		}
		if p.Name == "kthreadd" {
			t.Errorf("a thread of the kernel: %+v", p)
		}
	}
	if !found {
		t.Errorf("not this process: %+v", all)
	}
	if id, ok := UserOf(os.Getpid()); !ok || id != uint32(os.Getuid()) {
		t.Errorf("user %d, %v, want %d", id, ok, os.Getuid())
	}
	if id, ok := UserOf(1 << 30); ok {
		t.Errorf("user %d of nobody", id)
	}
}

// FuzzParseStat holds that a name is the one in the parentheses.
func FuzzParseStat(f *testing.F) {
	f.Add("10 (tmux: server) S 1 10 10 34816 10 4194560")
	f.Fuzz(func(t *testing.T, text string) {
		if p, ok := parseStat(text); ok && !strings.Contains(text, " ("+p.Name+") ") {
			t.Fatalf("%q: %v", text, p)
		}
	})
}
