//go:build !linux

package proxy

import (
	"net"
	"syscall"
)

// setUpRaw and setUpLocalConn have nothing to set here.
func setUpRaw(syscall.RawConn) error { return nil }

func setUpLocalConn(*net.TCPConn) {}

// Inherit has nothing to set either.
func Inherit(string, string, syscall.RawConn) error { return nil }

// apply has nothing to set: programs are known on Linux only.
func (s Socket) apply(string, syscall.RawConn) error { return nil }

// broken cannot tell here; a reset shows at the next read or write.
func broken(*net.TCPConn) error { return nil }

// torn cannot tell either.
func torn(*net.TCPConn) bool { return false }
