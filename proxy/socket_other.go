//go:build !linux

package proxy

import (
	"net"
	"syscall"
)

// keepUrgent has nothing to set here.
func keepUrgent(syscall.RawConn) error { return nil }

// hurry has nothing to set either.
func hurry(*net.TCPConn) {}

// apply has nothing to set: programs are known on Linux only.
func (s Socket) apply(string, syscall.RawConn) error { return nil }

// broken cannot tell here; a reset shows at the next read or write.
func broken(*net.TCPConn) error { return nil }

// torn cannot tell either.
func torn(*net.TCPConn) bool { return false }
