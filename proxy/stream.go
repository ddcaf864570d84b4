package proxy

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"sync/atomic"
	"syscall"
)

// stream is a TCP connection, or TLS on one, or one that is still to be
// dialled.
type stream interface {
	io.ReadWriteCloser
	CloseWrite() error
}

// asStream is a connection as a stream, if there is one.
func asStream(c *net.TCPConn, err error) (stream, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
}

// half is one of the connections, and whether we have sent it the end of the
// stream.
type half struct {
	stream
	ended atomic.Bool
}

// CloseWrite sends the end of the stream.
func (h *half) CloseWrite() error {
	h.ended.Store(true)
	return sendEnd(h.stream)
}

// sendEnd sends the end of a stream. TLS has one of its own, of which some
// servers take no notice.
func sendEnd(c stream) error {
	err := c.CloseWrite()
	if t, ok := c.(*tls.Conn); ok && err == nil {
		err = tcpOf(t).CloseWrite()
	}
	return err
}

// eof says what it means that reading came to an end. The kernel tells of a
// reset once: if that was our write, reading looks as if the peer had finished.
func (h *half) eof() error {
	// Asked first, so that an end of ours in between is not taken for theirs.
	tcp := tcpOf(h.stream)
	if torn := tcp != nil && torn(tcp); torn && !h.ended.Load() {
		return syscall.ECONNRESET
	}
	return io.EOF
}

// reset closes a connection so that its peer sees a reset.
func reset(c stream) {
	tcp := tcpOf(c)
	if tcp == nil {
		c.Close()
		return
	}
	_ = tcp.SetLinger(0)
	tcp.Close()
}

// tcpOf is the connection under a stream; nil if it was not dialled.
func tcpOf(c stream) *net.TCPConn {
	switch c := c.(type) {
	case *tls.Conn:
		return c.NetConn().(*net.TCPConn)
	case *lazy:
		if conn := c.dialled(); conn != nil {
			return tcpOf(conn)
		}
		return nil
	}
	return c.(*net.TCPConn)
}

// withEarly reads what was read from a connection before, and then the rest.
func withEarly(early []byte, conn *net.TCPConn) io.Reader {
	if len(early) == 0 {
		return conn
	}
	return &prefixed{bytes.NewReader(early), conn}
}

// prefixed reads some bytes and then a connection.
type prefixed struct {
	prefix *bytes.Reader
	conn   *net.TCPConn
}

func (p *prefixed) Read(b []byte) (int, error) {
	if p.prefix.Len() > 0 {
		return p.prefix.Read(b)
	}
	return p.conn.Read(b)
}
