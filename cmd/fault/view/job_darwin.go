package view

import (
	"os"

	"golang.org/x/sys/unix"
)

func foregroundGroup(fd int) (int, error) { return unix.IoctlGetInt(fd, unix.TIOCGPGRP) }

// discardInput forgets what nobody has read: answers of the terminal that come
// late would be keys for the shell.
func discardInput(f *os.File) {
	const reading = 1 // FREAD
	_ = unix.IoctlSetPointerInt(int(f.Fd()), unix.TIOCFLUSH, reading)
}
