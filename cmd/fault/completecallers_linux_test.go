package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

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
