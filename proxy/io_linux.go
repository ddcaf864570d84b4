package proxy

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// readFD and writeFD are read(2) and write(2) for a connection, and never wait.
//
// The runtime is not told of them: that would cost a part of what they take, and
// when the kernel carries a packet to its receiver meanwhile, the runtime would
// think that they wait, and give the processor to another thread.
func readFD(fd int, b []byte) (int, error) { return transmit(unix.SYS_RECVFROM, fd, b) }

func writeFD(fd int, b []byte) (int, error) { return transmit(unix.SYS_SENDTO, fd, b) }

func transmit(call uintptr, fd int, b []byte) (int, error) {
	const flags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL
	n, _, errno := syscall.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), flags, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(n), nil
}
