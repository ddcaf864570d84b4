package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestParseStat(t *testing.T) {
	const rest = " 1 10 10 34816 10 4194560 100 0 0 0"
	for text, want := range map[string]process{
		"10 (curl) S" + rest:                      {10, "curl"},
		"10 (tmux: server) R" + rest:              {10, "tmux: server"},
		"10 (a) S 1 (b)) S" + rest:                {10, "a) S 1 (b)"},
		"10 () S" + rest:                          {10, ""},
		"10 (gone) Z" + rest:                      {},
		"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0": {},
		"10 (curl) S 1":                           {},
		"x (curl) S" + rest:                       {},
		"":                                        {},
	} {
		if got, ok := parseStat(text); ok != (want != process{}) || ok && got != want {
			t.Errorf("%q: %v, %v, want %v", text, got, ok, want)
		}
	}
}

// TestProcesses has one that runs, but neither this one nor the kernel's.
func TestProcesses(t *testing.T) {
	const name = "fault-processes"
	pid := runProcess(t, name)
	names := processNames()
	if !slices.Contains(names, name) || !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) {
		t.Errorf("no %s, not sorted or not distinct: %q", name, names)
	}
	if slices.Contains(names, "kthreadd") {
		t.Errorf("there are threads of the kernel: %q", names)
	}
	if words, _ := offered(t, "run --capture-process "); !slices.Contains(words, name) {
		t.Errorf("not offered: %q", words)
	}
	words, _ := offered(t, "run --capture-pid ")
	if !slices.Contains(words, fmt.Sprintf("%d\t%s", pid, name)) {
		t.Errorf("not offered: %q", words)
	}
	if own := fmt.Sprintf("%d\t", os.Getpid()); slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, own) }) {
		t.Errorf("this process is offered: %q", words)
	}
}

// FuzzParseStat holds that a name is the one in the parentheses.
func FuzzParseStat(f *testing.F) {
	f.Add("10 (tmux: server) S 1 10 10 34816 10 4194560")
	f.Fuzz(func(t *testing.T, text string) {
		if p, ok := parseStat(text); ok && !strings.Contains(text, " ("+p.name+") ") {
			t.Fatalf("%q: %v", text, p)
		}
	})
}
