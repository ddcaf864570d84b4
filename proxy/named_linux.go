package proxy

import (
	"context"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// listen looks at what a client says first, and leaves it where it is. It ends
// when that names a server or cannot, and at once if the server speaks or leaves:
// then the client may be waiting for that.
func (s *Server) listen(client, upstream *net.TCPConn) hello {
	l := listener{client: client}
	var watching sync.WaitGroup
	watching.Go(func() {
		if whenReadable(upstream, func(int, int16) bool { return true }) == nil {
			l.interrupt()
		}
	})
	stop := context.AfterFunc(s.ctx, l.interrupt)
	said := l.hear(func(buf []byte, before int) (int, error) { return peek(client, buf, before) })
	stop() // and if that is too late, so is what follows
	_ = upstream.SetReadDeadline(time.Unix(1, 0))
	watching.Wait()
	_ = upstream.SetReadDeadline(time.Time{})
	_ = client.SetReadDeadline(time.Time{})
	return said
}

// peek waits until a connection has more bytes than before, and copies what it
// has without taking it. io.EOF is that no more will come.
func peek(c *net.TCPConn, buf []byte, before int) (n int, err error) {
	werr := whenReadable(c, func(fd int, events int16) bool {
		if events&(unix.POLLERR|unix.POLLHUP) != 0 { // which is for others to read
			err = io.EOF
			return true
		}
		n, _, err = unix.Recvfrom(fd, buf, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if err == nil && n <= before && events&unix.POLLRDHUP != 0 {
			err = io.EOF
		}
		return err != nil || n > before
	})
	if werr != nil {
		return 0, werr
	}
	return n, err
}

// whenReadable waits until a connection has something to be read, and done says
// that this was it.
func whenReadable(c *net.TCPConn, done func(fd int, events int16) bool) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP}}
		n, err := unix.Poll(p, 0)
		return err == nil && n > 0 && done(int(fd), p[0].Revents)
	})
}
