package netns

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// namesFolder is where ip-netns(8) keeps the names: a file for each, at which
// the namespace is mounted.
const namesFolder = "/run/netns"

// Names are those that ip-netns(8) knows, sorted.
func Names() ([]string, error) {
	entries, err := os.ReadDir(namesFolder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list network namespaces: %w", err)
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// Find gives the path of what people call a namespace, for [Open]: a path, which
// has a slash, a name of ip-netns(8), or else the number of a process. A name and
// a process have to be there; otherwise the error wraps fs.ErrNotExist.
func Find(called string) (path string, err error) {
	if strings.Contains(called, "/") {
		return called, nil
	}
	if called == "" || called == "." || called == ".." || strings.ContainsRune(called, 0) {
		return "", fmt.Errorf("%q is no name: %w", called, fs.ErrNotExist)
	}
	path = filepath.Join(namesFolder, called)
	if _, err := os.Lstat(path); err == nil || !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	pid, err := strconv.ParseUint(called, 10, 31)
	if err != nil {
		return "", fmt.Errorf("no network namespace has this name: %w", fs.ErrNotExist)
	}
	path = fmt.Sprintf("/proc/%d/ns/net", pid)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
		return "", fmt.Errorf("no process, and no network namespace, is called this: %w", fs.ErrNotExist)
	}
	return path, nil
}

// IsAt says whether the namespace is what is at a path, for instance that of a
// name that may have been deleted since.
func (ns *NS) IsAt(path string) bool {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	if errors.Is(err, fs.ErrPermission) { // nothing says that it is not
		return true
	}
	return err == nil && st.Ino == ns.inode
}

// Inhabited says whether a process is in the namespace, of those that this user
// may ask.
func (ns *NS) Inhabited() bool {
	of, _ := filepath.Glob("/proc/[0-9]*/ns/net")
	for _, path := range of {
		var st unix.Stat_t
		if unix.Stat(path, &st) == nil && st.Ino == ns.inode {
			return true
		}
	}
	return false
}
