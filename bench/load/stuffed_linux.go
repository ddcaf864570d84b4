package load

import (
	"golang.org/x/sys/unix"
)

// mostStuffed is more than any bound that is meant to be one.
const mostStuffed = 1 << 30

// stuffed writes to a server that does not read, until nothing is taken for the
// length of the window.
func stuffed(j Job) (Result, error) {
	fds, err := j.dialAll(hold)
	if err != nil {
		return Result{}, err
	}
	defer closeAll(fds)
	fd := fds[0]
	defer abort(fd)
	patient := unix.NsecToTimeval(int64(j.Window))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &patient); err != nil {
		return Result{}, err
	}
	b := make([]byte, bulkPiece)
	var taken int64
	for taken < mostStuffed {
		n, err := unix.Write(fd, b)
		switch err {
		case nil:
			taken += int64(n)
		case unix.EINTR:
		case unix.EAGAIN:
			return Result{Bytes: taken}, nil
		default:
			return Result{}, err
		}
	}
	return Result{Bytes: taken}, nil
}
