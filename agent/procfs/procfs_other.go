//go:build !linux

package procfs

import "errors"

// Sockets fails.
func Sockets(string) ([]Socket, error) { return nil, errors.ErrUnsupported }

// All finds none.
func All() ([]Running, error) { return nil, errors.ErrUnsupported }

// ByID knows no name.
func ByID(pid int) Process { return Process{PID: pid} }

// HolderOf finds nobody.
func HolderOf(Socket) (Process, bool) { return Process{}, false }
