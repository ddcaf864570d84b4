package main

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/faultproxy/fault/agent/procfs"
)

const backgroundTitle = "Background"

// backgroundFlags are the flags for runs that somebody else watches.
type backgroundFlags struct {
	ready, pid text
	stay       stay
}

func addBackgroundFlags(cmd *cobra.Command) *backgroundFlags {
	f := &backgroundFlags{ready: text{kind: "PATH", isPath: true}, pid: text{kind: "PATH", isPath: true}}
	s := section{cmd, backgroundTitle}
	more(s.value(&f.ready, "ready-file", "a file that is there while the run is ready", "FAULT_READY_FILE"),
		"It holds the URL of the proxy, if there is one. `fault status --wait TIME` waits without a file.")
	more(s.value(&f.pid, "pid-file", "a file with the pid, while the process runs", "FAULT_PID_FILE"),
		"Both files appear whole and are removed at the end, unless `kill -9` was it. A file that is something else is not touched.")
	f.stay.add(s)
	return f
}

// open writes the pid, and returns what to call once the run is ready and what
// removes the files.
func (f *backgroundFlags) open() (ready func(proxy netip.AddrPort) error, remove func(), err error) {
	readyFile := runFile{flag: "ready-file", path: f.ready.value, kind: "ready file", looks: readyContent}
	pidFile := runFile{flag: "pid-file", path: f.pid.value, kind: "pid file", looks: pidContent}
	remove = func() {
		readyFile.remove()
		pidFile.remove()
	}
	if readyFile.path != "" && filepath.Clean(readyFile.path) == filepath.Clean(pidFile.path) {
		return nil, nil, usage(fmt.Sprintf("--ready-file and --pid-file are both `%s`", pidFile.path), "")
	}
	for _, file := range []*runFile{&pidFile, &readyFile} {
		if err == nil {
			err = file.prepare()
		}
	}
	if err == nil {
		err = pidFile.appear(strconv.Itoa(os.Getpid()) + "\n")
	}
	if err != nil {
		remove()
		return nil, nil, err
	}
	return func(proxy netip.AddrPort) error {
		content := "\n"
		if proxy.IsValid() {
			content = "http://" + proxy.String() + "\n"
		}
		return readyFile.appear(content)
	}, remove, nil
}

// What such files hold: nothing else is replaced.
var (
	readyContent = regexp.MustCompile(`^(http://[0-9.:]+)?\n?$`)
	pidContent   = regexp.MustCompile(`^([0-9]{1,10}\n?)?$`)
)

// runFile is a file that is there while something holds of a run. Without a
// path there is none, and its methods do nothing.
type runFile struct {
	flag, path string
	kind       string         // in words
	looks      *regexp.Regexp // what such a file holds

	temporary string // what is to become it
	content   string // of it, once it is there
}

// prepare makes sure that the file can appear later, and removes one that a
// run left that was killed.
func (f *runFile) prepare() error {
	if f.path == "" {
		return nil
	}
	if err := f.removeStale(); err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(f.path), ".fault-*")
	if err != nil {
		return &hostError{fmt.Sprintf("--%s `%s` cannot be written: %v", f.flag, f.path, withoutPath(err)), ""}
	}
	f.temporary = temporary.Name()
	return temporary.Close()
}

func (f *runFile) removeStale() error {
	old, err := os.Lstat(f.path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return &hostError{fmt.Sprintf("--%s `%s`: %v", f.flag, f.path, withoutPath(err)), ""}
	}
	content, err := f.read(old)
	if err != nil || !f.looks.MatchString(content) {
		return usage(fmt.Sprintf("--%s `%s` is there already, and no %s", f.flag, f.path, f.kind), "name a file that may be replaced")
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(content)); err == nil && pid != os.Getpid() && procfs.ByID(pid).Name == "fault" {
		return &hostError{fmt.Sprintf("--%s `%s` is that of fault[%d], which runs", f.flag, f.path, pid), fmt.Sprintf("`fault stop %d`", pid)}
	}
	return os.Remove(f.path)
}

// read gives what an old file holds, if that is short.
func (f *runFile) read(old os.FileInfo) (string, error) {
	const most = 64
	if !old.Mode().IsRegular() || old.Size() > most {
		return "", os.ErrInvalid
	}
	file, err := os.Open(f.path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, most))
	return string(content), err
}

// appear makes the file be there, whole.
func (f *runFile) appear(content string) error {
	if f.path == "" {
		return nil
	}
	err := os.WriteFile(f.temporary, []byte(content), 0)
	if err == nil {
		err = os.Chmod(f.temporary, 0o644)
	}
	if err == nil {
		err = os.Rename(f.temporary, f.path)
	}
	if err != nil {
		return &hostError{fmt.Sprintf("--%s `%s` cannot be written: %v", f.flag, f.path, withoutPath(err)), ""}
	}
	f.temporary, f.content = "", content
	return nil
}

// remove removes what is ours of it; somebody else may have replaced it.
func (f *runFile) remove() {
	if f.temporary != "" {
		os.Remove(f.temporary)
		f.temporary = ""
	}
	if f.content == "" {
		return
	}
	// That it is another's shows by what it holds; the number of a removed
	// inode may be given to the next.
	there, err := os.Lstat(f.path)
	if err != nil {
		return
	}
	if content, err := f.read(there); err == nil && content == f.content {
		os.Remove(f.path)
	}
	f.content = ""
}

// withoutPath is an error of a file whose path was said already.
func withoutPath(err error) error {
	switch e := err.(type) {
	case *os.PathError:
		return e.Err
	case *os.LinkError:
		return e.Err
	}
	return err
}
