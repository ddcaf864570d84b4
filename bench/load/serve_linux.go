package load

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// What the first byte of a connection asks the server for.
const (
	sink   = 'S' // to read until the end
	source = 'G' // to write until the end
	echo   = 'E' // to send back what comes
	once   = 'O' // to send this byte back
	hold   = 'N' // to read nothing, until the connection is gone
	push   = 'P' // to send a message now and then
)

// pushEvery is the time between two messages.
const pushEvery = 2 * time.Millisecond

// Serve serves the jobs of clients at an address, and a page at another, until
// the process is ended.
func Serve(address, web string) error {
	s := new(server)
	err := s.fresh.open(address)
	for i := range s.echoes {
		if err == nil {
			s.echoes[i], err = newPoller()
		}
	}
	var paged acceptor
	if err == nil {
		err = paged.open(web)
	}
	if err != nil {
		return err
	}
	for _, p := range s.echoes {
		go serve(func() error { return serveEchoes(p) })
	}
	go serve(func() error { return paged.serve(make(pages).answer) })
	return s.fresh.serve(s.begin)
}

// serve ends the process if a part of the server cannot go on.
func serve(part func() error) {
	if err := part(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func listen(at unix.Sockaddr) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return -1, err
	}
	// Accepted sockets inherit it.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return -1, err
	}
	if err := unix.Bind(fd, at); err != nil {
		return -1, err
	}
	return fd, unix.Listen(fd, 8192)
}

// acceptor accepts connections, and waits for bytes on them, on one thread.
type acceptor struct {
	*poller
	listener int
}

func (a *acceptor) open(address string) error {
	at, err := sockaddr(address)
	if err == nil {
		a.listener, err = listen(at)
	}
	if err == nil {
		a.poller, err = newPoller()
	}
	if err == nil {
		err = a.add(a.listener)
	}
	if err != nil {
		return fmt.Errorf("listen at %s: %w", address, err)
	}
	return nil
}

func (a *acceptor) serve(readable func(fd int)) error {
	runtime.LockOSThread()
	for {
		ready, err := a.wait(-1)
		if err != nil {
			return err
		}
		for _, e := range ready {
			if int(e.Fd) == a.listener {
				a.accept()
			} else {
				readable(int(e.Fd))
			}
		}
	}
}

func (a *acceptor) accept() {
	for {
		fd, _, err := unix.Accept4(a.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
			if a.add(fd) != nil {
				unix.Close(fd)
			}
		case unix.EINTR, unix.ECONNABORTED:
		case unix.EAGAIN:
			return
		default:
			fmt.Fprintln(os.Stderr, "accept:", err)
			return
		}
	}
}

// server answers once where it accepts; other connections move to a thread for
// echoes, or get one of their own.
type server struct {
	fresh   acceptor
	echoes  [2]*poller
	nEchoes int
}

// begin does what the first byte asks for.
func (s *server) begin(fd int) {
	var command [1]byte
	if _, err := read(fd, command[:]); err != nil {
		if err != unix.EAGAIN {
			unix.Close(fd)
		}
		return
	}
	switch command[0] {
	case once:
		_ = write(fd, command[:])
	case echo:
		_ = s.fresh.remove(fd)
		s.nEchoes++
		if s.echoes[s.nEchoes%len(s.echoes)].add(fd) != nil {
			unix.Close(fd)
		}
	case sink:
		_ = s.fresh.remove(fd)
		go alone(fd, func(b []byte) error {
			_, err := read(fd, b)
			return err
		})
	case source:
		_ = s.fresh.remove(fd)
		go alone(fd, func(b []byte) error { return write(fd, b) })
	case push:
		_ = s.fresh.remove(fd)
		go alone(fd, func(b []byte) error {
			sleepUntil(time.Now().Add(pushEvery))
			return write(fd, b[:messageSize])
		})
	case hold:
		_ = s.fresh.remove(fd)
		go alone(fd, func([]byte) error { return gone(fd) })
	default:
		unix.Close(fd)
	}
}

// gone waits until the other side has closed or reset a connection, which it
// says as an error.
func gone(fd int) error {
	err := again(func() error {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}, -1)
		return err
	})
	if err == nil {
		err = io.EOF
	}
	return err
}

// alone repeats a blocking call on a thread of its own until it fails.
func alone(fd int, call func([]byte) error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer unix.Close(fd)
	if unix.SetNonblock(fd, false) != nil {
		return
	}
	b := make([]byte, bulkPiece)
	for {
		if call(b) != nil {
			return
		}
	}
}

func serveEchoes(p *poller) error {
	runtime.LockOSThread()
	b := make([]byte, 64<<10)
	for {
		ready, err := p.wait(-1)
		if err != nil {
			return err
		}
		for _, e := range ready {
			fd := int(e.Fd)
			n, err := read(fd, b)
			if err == unix.EAGAIN {
				continue
			}
			if err == nil {
				// Clients wait for the answer, so it always fits.
				err = write(fd, b[:n])
			}
			if err != nil {
				unix.Close(fd)
			}
		}
	}
}

// page is what every request is answered with.
var page = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 128\r\n\r\n" + strings.Repeat("fault..\n", 16))

// pages answers requests, which have no bodies, and keeps the parts of those
// that are not all there yet.
type pages map[int][]byte

func (p pages) answer(fd int) {
	var b [16 << 10]byte
	n, err := read(fd, b[:])
	if err == unix.EAGAIN {
		return
	}
	request := bytes.ToLower(append(p[fd], b[:n]...))
	delete(p, fd)
	if err == nil && !bytes.HasSuffix(request, []byte("\r\n\r\n")) {
		p[fd] = request
		return
	}
	if err == nil {
		err = write(fd, page)
	}
	if err != nil || bytes.Contains(request, []byte("\r\nconnection: close\r\n")) || bytes.Contains(request, []byte(" http/1.0\r\n")) {
		unix.Close(fd)
	}
}
