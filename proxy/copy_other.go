//go:build !linux

package proxy

import (
	"io"
	"net"
)

// move copies src to dst until its end, and counts. An error of dst is a
// writeError.
func move(dst, src *net.TCPConn, count func(n int)) error {
	_, err := io.Copy(writer{dst, count}, src)
	return err
}
