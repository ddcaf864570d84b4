package parent

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const status = `Name:	a) S 1\nPPid:\t7
Umask:	0022
State:	S (sleeping)
Pid:	48120
PPid:	48100
NSpid:	48120	20
NSpgid:	48119	19
SigIgn:	0000000000001001
SigCgt:	0000000000000000
`

// TestParseStatus reads what the kernel writes, and nothing else.
func TestParseStatus(t *testing.T) {
	want := kin{parent: 48100, group: 48119, name: `a) S 1\nPPid:\t7`, ignoresHangup: true}
	if got, ok := parseStatus(status); got != want || !ok {
		t.Errorf("%+v, %t, want %+v", got, ok, want)
	}
	for name, text := range map[string]string{
		"empty":          "",
		"cut off":        status[:strings.Index(status, "SigIgn")],
		"no number":      strings.Replace(status, "48100", "many", 1),
		"no set":         strings.Replace(status, "0000000000001001", "none", 1),
		"no namespace":   strings.Replace(status, "NSpgid:\t48119\t19\n", "", 1),
		"one key only":   strings.Repeat("Name:\ta\n", 4),
		"an empty group": strings.Replace(status, "48119\t19", "", 1),
	} {
		if got, ok := parseStatus(text); ok {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestLookUp holds that we are seen as others are.
func TestLookUp(t *testing.T) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	want, ok := parseStatus(string(text))
	got, seen := lookUp()(os.Getpid())
	want.name = ""
	if !ok || !seen || got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if _, ok := lookUp()(os.Getppid()); !ok {
		t.Error("the parent is not seen")
	}
	if k, ok := lookUp()(1 << 30); ok {
		t.Errorf("nobody is %+v", k)
	}
	if got, want := got.group, unix.Getpgrp(); got != want {
		t.Errorf("group %d, want %d", got, want)
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add(status)
	f.Add("")
	f.Add("Name\nName\nName\nName")
	f.Fuzz(func(t *testing.T, text string) {
		k, ok := parseStatus(text)
		if ok && (strings.Contains(k.name, "\n") || !strings.Contains(text, "PPid:\t")) {
			t.Errorf("%+v of %q", k, text)
		}
	})
}
