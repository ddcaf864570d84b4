package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// pipeSize is the largest pipe that needs no privilege.
const pipeSize = 1 << 20

// move copies src to dst until its end, and counts, with splice(2) where that
// pays. An error of dst is a writeError.
//
// It waits in read(2), and never in splice(2) as io.Copy does: that takes an
// urgent byte for the end of the stream, and an idle connection would hold a
// pipe.
func move(dst, src *net.TCPConn, count func(n int)) error {
	buf := make([]byte, copySize)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			w, err := dst.Write(buf[:n])
			count(w)
			if err != nil {
				return writeError{err}
			}
		}
		if n == len(buf) { // there is more, worth a pipe
			if err := splice(dst, src, count); err != nil {
				return err
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return err
		}
	}
}

// splice moves what there is without waiting for more. What it leaves, be it
// nothing, an urgent byte or the end, is for read(2) to tell.
func splice(dst, src *net.TCPConn, count func(n int)) error {
	from, err := src.SyscallConn()
	if err != nil {
		return err
	}
	to, err := dst.SyscallConn()
	if err != nil {
		return err
	}
	p, err := getPipe()
	if err != nil {
		return nil // out of descriptors: copying works without
	}
	for {
		in, err := p.fill(from)
		if in == 0 || err != nil {
			p.put()
			return err
		}
		out, err := p.drain(to, in)
		count(out)
		if err != nil {
			p.close() // with the bytes that nobody took
			return writeError{err}
		}
	}
}

// pipe is what splice(2) moves bytes through. It is empty between uses.
type pipe struct{ r, w int }

// pipes are spare ones. More than a few never move bytes at the same time.
var pipes = make(chan pipe, 16)

func getPipe() (pipe, error) {
	select {
	case p := <-pipes:
		return p, nil
	default:
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return pipe{}, err
	}
	// A smaller one works, too.
	_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, pipeSize)
	return pipe{fds[0], fds[1]}, nil
}

func (p pipe) put() {
	select {
	case pipes <- p:
	default:
		p.close()
	}
}

func (p pipe) close() {
	_ = unix.Close(p.r)
	_ = unix.Close(p.w)
}

// fill takes what a socket has.
func (p pipe) fill(from syscall.RawConn) (n int, err error) {
	cerr := from.Read(func(fd uintptr) bool {
		n, err = transfer(int(fd), p.w, pipeSize)
		return true
	})
	// EINVAL is a socket that cannot be spliced.
	if cerr == nil && (err == unix.EAGAIN || err == unix.EINVAL) {
		return 0, nil
	}
	return n, errors.Join(cerr, os.NewSyscallError("splice", err))
}

// drain gives a socket the n bytes of the pipe, waiting for room.
func (p pipe) drain(to syscall.RawConn, n int) (done int, err error) {
	cerr := to.Write(func(fd uintptr) bool {
		for done < n {
			var m int
			if m, err = transfer(p.r, int(fd), n-done); err == unix.EAGAIN {
				err = nil
				return false
			}
			if err != nil {
				return true
			}
			done += m
		}
		return true
	})
	return done, errors.Join(cerr, os.NewSyscallError("splice", err))
}

func transfer(from, to, n int) (int, error) {
	for {
		m, err := unix.Splice(from, nil, to, nil, n, unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
		if err != unix.EINTR {
			return max(0, int(m)), err
		}
	}
}
