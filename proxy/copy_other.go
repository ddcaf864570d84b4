//go:build !linux

package proxy

import (
	"io"
	"net"
)

// move copies src to dst until its end. An error of dst is a writeError.
func move(dst, src *net.TCPConn) (int64, error) { return io.Copy(writer{dst}, src) }
