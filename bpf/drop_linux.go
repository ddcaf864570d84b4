package bpf

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Privileged says whether this process has capabilities without being root:
// those of its file, or ambient ones.
func Privileged() bool {
	if os.Geteuid() == 0 {
		return false
	}
	own, err := capabilities()
	return err == nil && own[0].Permitted|own[1].Permitted != 0
}

// DropCapabilities gives up all capabilities of all threads for good, and
// then lets other processes of the user look into this one, which the kernel
// forbids for a program whose file has capabilities. If it fails, nothing has
// changed.
func DropCapabilities() error {
	// The order matters: who may trace one thread can write the memory of all.
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData // takes the ambient ones, too
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&none[0])), 0)
	switch {
	case errno == syscall.ENOTSUP:
		return errors.New("this build cannot drop them, one with CGO_ENABLED=0 can")
	case errno != 0:
		return fmt.Errorf("drop them: %w", errno)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("let others look: %w", err)
	}
	return nil
}

// capabilities is the sets of this thread.
func capabilities() (sets [2]unix.CapUserData, err error) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	err = unix.Capget(&hdr, &sets[0])
	return sets, err
}
