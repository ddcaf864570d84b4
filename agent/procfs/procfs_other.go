//go:build !linux

package procfs

import "errors"

// Sockets fails.
func Sockets(string) ([]Socket, error) { return nil, errors.ErrUnsupported }

// HolderOf finds nobody.
func HolderOf(Socket) (Process, bool) { return Process{}, false }
