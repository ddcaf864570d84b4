//go:build !linux

package main

import "github.com/rogpeppe/go-internal/testscript"

// What scripts need on Linux only.
var hostCommands map[string]func(*testscript.TestScript, bool, []string)

func cgroup2() string { return "" }

func setUpCgroup(*testscript.Env) error { return nil }
