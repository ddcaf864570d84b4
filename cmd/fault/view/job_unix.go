//go:build linux || darwin

package view

import (
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// IgnoreStops keeps terminals from stopping this process from now on, which
// would freeze every connection that goes through it. Children inherit that.
func IgnoreStops() { signal.Ignore(syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGTTOU) }

// draws says whether a terminal of this name can do more than print lines.
func draws(name string) bool { return name != "" && name != "dumb" }

// inForeground says whether a terminal is ours, inBackground whether it is
// another process group's. It is neither if it is gone, or not the one that
// controls us.
func inForeground(f *os.File) bool {
	group, err := foregroundGroup(int(f.Fd()))
	return err == nil && group == unix.Getpgrp()
}

func inBackground(f *os.File) bool {
	group, err := foregroundGroup(int(f.Fd()))
	return err == nil && group != unix.Getpgrp()
}
