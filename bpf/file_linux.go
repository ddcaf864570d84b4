package bpf

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// FileAt is the file at a path, as the kernel itself tells it from others. What
// stat(2) says of a file can differ from that: on overlayfs and btrfs the device
// is one that was made up for it.
func FileAt(path string) (File, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return File{}, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return File{}, err
	}
	info, err := os.Open(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	if err != nil {
		return File{}, err
	}
	defer info.Close()
	mount, ino := fileInfo(info)
	if ino == 0 { // before Linux 5.14
		ino = st.Ino
	}
	mounts, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return File{}, err
	}
	defer mounts.Close()
	dev, ok := deviceOf(mounts, mount)
	if !ok { // such as a mount of another namespace
		dev = kernelDevice(unix.Major(st.Dev), unix.Minor(st.Dev))
	}
	return File{Dev: dev, Ino: ino}, nil
}

// fileInfo reads what /proc/PID/fdinfo says of where a file is.
func fileInfo(info io.Reader) (mount int, ino uint64) {
	for lines := bufio.NewScanner(info); lines.Scan(); {
		_, _ = fmt.Sscanf(lines.Text(), "mnt_id:\t%d", &mount)
		_, _ = fmt.Sscanf(lines.Text(), "ino:\t%d", &ino)
	}
	return mount, ino
}

// deviceOf is the device of a mount, by a /proc/PID/mountinfo.
func deviceOf(mountinfo io.Reader, mount int) (uint32, bool) {
	for lines := bufio.NewScanner(mountinfo); lines.Scan(); {
		var id, parent int
		var major, minor uint32
		n, _ := fmt.Fscanf(strings.NewReader(lines.Text()), "%d %d %d:%d", &id, &parent, &major, &minor)
		if n == 4 && id == mount {
			return kernelDevice(major, minor), true
		}
	}
	return 0, false
}

// kernelDevice is a device's number as the kernel keeps it.
func kernelDevice(major, minor uint32) uint32 { return major<<20 | minor }
