package view

import (
	"os"

	"golang.org/x/sys/unix"
)

func foregroundGroup(fd int) (int, error) {
	group, err := unix.IoctlGetUint32(fd, unix.TIOCGPGRP)
	return int(group), err
}

// discardInput forgets what nobody has read: answers of the terminal that come
// late would be keys for the shell.
func discardInput(f *os.File) { _ = unix.IoctlSetInt(int(f.Fd()), unix.TCFLSH, unix.TCIFLUSH) }
