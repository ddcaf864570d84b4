//go:build !linux

package proxy

import (
	"io"
	"net"
)

// move copies src to dst until its end. An error of dst is a writeError.
func move(dst, src *net.TCPConn) (int64, error) { return io.Copy(writer{dst}, src) }

// writer marks the errors of writing.
type writer struct{ io.Writer }

func (w writer) Write(p []byte) (int, error) {
	n, err := w.Writer.Write(p)
	if err != nil {
		err = writeError{err}
	}
	return n, err
}
