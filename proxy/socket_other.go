//go:build !linux

package proxy

import (
	"net"
	"syscall"
)

func prepareSocket(syscall.RawConn, bool) error { return nil }

// broken cannot tell here; a reset shows at the next read or write.
func broken(*net.TCPConn) error { return nil }

// torn cannot tell either.
func torn(*net.TCPConn) bool { return false }
