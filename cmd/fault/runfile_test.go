package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestRunFileOfOthers stays: who replaced ours while we ran has it.
func TestRunFileOfOthers(t *testing.T) {
	dir := t.TempDir()
	f := runFile{flag: "pid-file", path: filepath.Join(dir, "pid"), kind: "pid file", looks: pidContent}
	if err := f.prepare(); err != nil {
		t.Fatal(err)
	}
	if err := f.appear("1\n"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(f.path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.path, []byte("2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.remove()
	if content, err := os.ReadFile(f.path); string(content) != "2\n" {
		t.Errorf("the file of another is %q, %v", content, err)
	}
}

// TestRunFileContents holds which files are taken for stale ones.
func TestRunFileContents(t *testing.T) {
	for _, tc := range []struct {
		content    string
		pid, ready bool
	}{
		{"", true, true},
		{"\n", false, true},
		{"4711\n", true, false},
		{"4711", true, false},
		{"http://127.0.0.1:3180\n", false, true},
		{"http://example.com/\n", false, false},
		{"4711\n4712\n", false, false},
		{"root:x:0:0\n", false, false},
		{"-1\n", false, false},
	} {
		if got := pidContent.MatchString(tc.content); got != tc.pid {
			t.Errorf("%q is a pid file: %t, want %t", tc.content, got, tc.pid)
		}
		if got := readyContent.MatchString(tc.content); got != tc.ready {
			t.Errorf("%q is a ready file: %t, want %t", tc.content, got, tc.ready)
		}
	}
}
