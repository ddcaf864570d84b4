package load

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// What the first byte of a connection asks the server for.
const (
	sink   = 'S' // to read until the end
	source = 'G' // to write until the end
	echo   = 'E' // to send back what comes
	once   = 'O' // to send this byte back
)

// Serve serves the jobs of clients at an address, until the process is ended.
func Serve(address string) error {
	at, err := sockaddr(address)
	if err != nil {
		return err
	}
	listener, err := listen(at)
	if err != nil {
		return fmt.Errorf("listen at %s: %w", address, err)
	}
	s := &server{listener: listener}
	if s.fresh, err = newPoller(); err != nil {
		return err
	}
	for i := range s.echoes {
		if s.echoes[i], err = newPoller(); err != nil {
			return err
		}
		go serveEchoes(s.echoes[i])
	}
	if err := s.fresh.add(listener); err != nil {
		return err
	}
	return s.serve()
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

// server accepts on one thread, which also answers once; other connections move
// to a thread for echoes, or get one of their own.
type server struct {
	listener int
	fresh    *poller
	echoes   [2]*poller
	nEchoes  int
}

func (s *server) serve() error {
	runtime.LockOSThread()
	for {
		ready, err := s.fresh.wait(-1)
		if err != nil {
			return err
		}
		for _, e := range ready {
			if int(e.Fd) == s.listener {
				s.accept()
			} else {
				s.begin(int(e.Fd))
			}
		}
	}
}

func (s *server) accept() {
	for {
		fd, _, err := unix.Accept4(s.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch err {
		case nil:
			if s.fresh.add(fd) != nil {
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
		go alone(fd, func(b []byte) (int, error) { return read(fd, b) })
	case source:
		_ = s.fresh.remove(fd)
		go alone(fd, func(b []byte) (int, error) { return len(b), write(fd, b) })
	default:
		unix.Close(fd)
	}
}

// alone repeats a blocking call on a thread of its own until it fails.
func alone(fd int, call func([]byte) (int, error)) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer unix.Close(fd)
	if unix.SetNonblock(fd, false) != nil {
		return
	}
	b := make([]byte, bulkPiece)
	for {
		if _, err := call(b); err != nil {
			return
		}
	}
}

func serveEchoes(p *poller) {
	runtime.LockOSThread()
	b := make([]byte, 64<<10)
	for {
		ready, err := p.wait(-1)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
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
