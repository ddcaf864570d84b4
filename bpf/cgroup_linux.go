package bpf

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// openCgroup opens the cgroup to attach to, and says which it is: the path of
// the folder, or "/" for the topmost one.
func openCgroup(path string) (*os.File, string, error) {
	mount, mountErr := cgroup2Mount("/proc/self/mountinfo")
	if path == "" {
		if mount != "" {
			f, err := openCgroup2(mount)
			return f, mount, err
		}
		f, err := mountPrivately()
		if err != nil {
			return nil, "", &MissingError{
				What: "no cgroup2 is mounted here, and mounting one privately failed",
				Hint: "`ip netns exec` hides it, `nsenter --net=/run/netns/NAME fault …` keeps it; in a container mount the host's /sys/fs/cgroup",
				Err:  errors.Join(mountErr, err),
			}
		}
		return f, "/", nil
	}
	f, err := openCgroup2(path)
	if err != nil && mount != "" {
		if below, err := openCgroup2(filepath.Join(mount, path)); err == nil {
			return below, filepath.Join(mount, path), nil
		}
	}
	if err != nil {
		return nil, "", &CgroupError{path, err}
	}
	return f, path, nil
}

// openCgroup2 opens a folder and insists that it is a cgroup of version 2.
func openCgroup2(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, errors.Unwrap(err) // the caller names the path
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil {
		f.Close()
		return nil, err
	}
	if fs.Type != unix.CGROUP2_SUPER_MAGIC {
		f.Close()
		return nil, errors.New("not a folder of a cgroup2 file system")
	}
	return f, nil
}

// TopCgroup is the cgroup that [Attach] takes by default: the path of its
// folder, "/" if it is not mounted anywhere, and whether every process of the
// host is in it. The error is that of Attach.
func TopCgroup() (path string, whole bool, err error) {
	f, path, err := openCgroup("")
	if err != nil {
		return "", false, err
	}
	defer f.Close()
	// Only the root of the hierarchy has no type.
	var st unix.Stat_t
	err = unix.Fstatat(int(f.Fd()), "cgroup.type", &st, 0)
	return path, errors.Is(err, unix.ENOENT), nil
}

// OpenTopCgroup opens the folder of [TopCgroup]. The caller closes it.
func OpenTopCgroup() (*os.File, error) {
	f, _, err := openCgroup("")
	return f, err
}

// FindCgroup finds the folder of a cgroup, as [Config.Cgroup] says it, and where
// to attach so that it is below: "" for the topmost cgroup. That is another one
// for a folder of the host's cgroups, mounted into a container that has its own.
func FindCgroup(path string) (folder, attach string, err error) {
	f, folder, err := openCgroup(path)
	if err != nil {
		return "", "", err
	}
	f.Close()
	top, _, err := openCgroup("")
	if err != nil {
		return folder, folder, nil
	}
	defer top.Close()
	wanted, err := top.Stat()
	if err != nil {
		return "", "", err
	}
	if folder, err = filepath.Abs(folder); err != nil {
		return "", "", err
	}
	for attach = folder; ; attach = filepath.Dir(attach) {
		if here, err := os.Stat(attach); err == nil && os.SameFile(here, wanted) {
			return folder, "", nil
		}
		above, err := openCgroup2(filepath.Dir(attach))
		if err != nil || attach == "/" {
			return folder, attach, nil
		}
		above.Close()
	}
}

// What the names of the cgroups begin with that we make: to try programs, and for
// the command of a run.
const (
	CgroupPrefix    = "fault-check-"
	RunCgroupPrefix = "fault-run-"
)

// MakeCgroup makes a cgroup below that of this process, so that what limits this
// one limits the new one, too; or where that is not allowed, at the top. It gives
// the folder, and the one that it is in, which the caller both closes. Removing
// it is up to the caller.
func MakeCgroup(name string) (folder, in *os.File, err error) {
	top, err := OpenTopCgroup()
	if err != nil {
		return nil, nil, err
	}
	if own, err := ownCgroup(); err == nil && own != "/" {
		below, err := openAt(top, strings.TrimPrefix(own, "/"))
		if err == nil {
			if folder, err = makeFolder(below, name); err == nil {
				top.Close()
				return folder, below, nil
			}
			below.Close()
		}
	}
	if folder, err = makeFolder(top, name); err != nil {
		top.Close()
		return nil, nil, err
	}
	return folder, top, nil
}

func makeFolder(in *os.File, name string) (*os.File, error) {
	if err := unix.Mkdirat(int(in.Fd()), name, 0o755); err != nil {
		return nil, err
	}
	folder, err := openAt(in, name)
	if err != nil {
		return nil, errors.Join(err, unix.Unlinkat(int(in.Fd()), name, unix.AT_REMOVEDIR))
	}
	return folder, nil
}

func openAt(in *os.File, path string) (*os.File, error) {
	fd, err := unix.Openat(int(in.Fd()), path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// emptyCgroup makes a cgroup without processes. The caller closes it, and
// removes it by the function that is returned.
func emptyCgroup() (dir *os.File, remove func() error, err error) {
	top, _, err := openCgroup("")
	if err != nil {
		return nil, nil, err
	}
	defer top.Close()
	name := fmt.Sprintf("%s%d", CgroupPrefix, os.Getpid())
	if dir, remove, err = makeCgroup(top, name); err == nil {
		return dir, remove, nil
	}
	// Users have cgroups of their own in which they may make more.
	if own, ownErr := ownCgroup(); ownErr == nil && own != "/" {
		dir, remove, ownErr = makeCgroup(top, filepath.Join(strings.TrimPrefix(own, "/"), name))
		if ownErr == nil {
			return dir, remove, nil
		}
	}
	return nil, nil, err
}

// makeCgroup makes a folder below one that is open.
func makeCgroup(top *os.File, path string) (dir *os.File, remove func() error, err error) {
	at, err := unix.FcntlInt(top.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	if dir, err = makeFolder(top, path); err != nil {
		unix.Close(at)
		return nil, nil, err
	}
	return dir, func() error {
		defer unix.Close(at)
		if err := unix.Unlinkat(at, path, unix.AT_REMOVEDIR); err != nil {
			return fmt.Errorf("remove cgroup %s: %w", path, err)
		}
		return nil
	}, nil
}

// ownCgroup is the path of this process within cgroup2.
func ownCgroup() (string, error) {
	f, err := os.Open("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if path, ok := strings.CutPrefix(lines.Text(), "0::"); ok {
			return path, nil
		}
	}
	return "", errors.Join(lines.Err(), errors.New("no cgroup2 in /proc/self/cgroup"))
}

// cgroup2Mount returns where cgroup2 is mounted, preferring a mount of its
// root; "" if it is not. Hybrid hosts do not have it at /sys/fs/cgroup.
func cgroup2Mount(mountinfo string) (string, error) {
	f, err := os.Open(mountinfo)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return findCgroup2(f)
}

func findCgroup2(mountinfo io.Reader) (string, error) {
	var found string
	lines := bufio.NewScanner(mountinfo)
	for lines.Scan() {
		// proc(5): id parent major:minor root mountpoint options… - type …
		before, after, ok := strings.Cut(lines.Text(), " - ")
		fields := strings.Fields(before)
		if !ok || len(fields) < 5 || !strings.HasPrefix(after, "cgroup2 ") {
			continue
		}
		path := unescapeMount(fields[4])
		if fields[3] == "/" {
			return path, nil
		}
		if found == "" {
			found = path
		}
	}
	return found, lines.Err()
}

// unescapeMount undoes the octal escapes of blanks in mountinfo.
var unescapeMount = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace

// mountPrivately gives the topmost cgroup where no mount of it is in sight
// (`ip netns exec` hides it). The mount is never attached to a path and is
// gone when the returned file is closed. Requires CAP_SYS_ADMIN.
func mountPrivately() (*os.File, error) {
	fs, err := unix.Fsopen("cgroup2", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, err
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(mount)
	// The mount's own descriptor is O_PATH, which bpf(2) does not take.
	dir, err := unix.Openat(mount, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(dir), "cgroup2"), nil
}
