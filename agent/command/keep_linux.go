package command

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// keeper is a child that removes a cgroup when its parent closes a pipe, or is
// killed.
type keeper struct {
	cmd  *exec.Cmd
	hold *os.File
}

// startKeeper starts one for a cgroup in a folder.
func startKeeper(argument string, in *os.File, name string) (*keeper, error) {
	theirs, hold, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	k := &keeper{hold: hold, cmd: &exec.Cmd{
		Path: "/proc/self/exe", Args: []string{"fault", argument, name}, Env: []string{},
		ExtraFiles: []*os.File{theirs, in},
		// What ends our session or our process group does not end it.
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}}
	if err := k.cmd.Start(); err != nil {
		hold.Close()
		return nil, err
	}
	return k, nil
}

// end has the cgroup removed.
func (k *keeper) end() {
	k.hold.Close()
	_ = k.cmd.Wait()
}

// removalTime bounds how long it is tried to remove a cgroup.
const removalTime = 5 * time.Second

// Keep is a keeper's side: it gets a pipe and a folder as descriptors.
func Keep(name string) error {
	hold, in := os.NewFile(3, "pipe"), os.NewFile(4, "cgroup")
	var st unix.Stat_t
	if unix.Fstat(3, &st) != nil || unix.Fstat(4, &st) != nil || name != filepath.Base(name) {
		return errors.New("there is no cgroup to keep: `fault run -- COMMAND` starts this by itself")
	}
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	_, _ = io.Copy(io.Discard, hold)
	defer in.Close()
	const above = "/proc/self/fd/4"
	for end := time.Now().Add(removalTime); ; time.Sleep(10 * time.Millisecond) {
		err := remove(filepath.Join(above, name), filepath.Join(above, "cgroup.procs"))
		if err == nil || errors.Is(err, os.ErrNotExist) || time.Now().After(end) {
			return err
		}
	}
}

// remove removes a cgroup with those below it, and moves their processes.
func remove(folder, to string) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := remove(filepath.Join(folder, e.Name()), to); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	procs, err := os.ReadFile(filepath.Join(folder, "cgroup.procs"))
	if err != nil {
		return err
	}
	for pid := range strings.FieldsSeq(string(procs)) {
		if err := os.WriteFile(to, []byte(pid), 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return os.Remove(folder)
}
