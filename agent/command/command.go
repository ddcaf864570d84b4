// Package command runs the command for which a run is: in a cgroup of its own, as
// its parent and in its process group, so that terminals treat both alike.
package command

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"strings"
)

// The exit codes of shells for commands that do not run.
const (
	notRunnable = 126
	notFound    = 127
	bySignal    = 128 // and the number of the signal
)

// Error is a command that does not run.
type Error struct {
	Name string
	Err  error
	// Code is what a shell would exit with.
	Code int
}

// Error names the command and the cause.
func (e *Error) Error() string { return "cannot run `" + e.Name + "`: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Find finds the program of a command and its arguments.
func Find(args []string) (*Command, error) {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return nil, failed(args[0], err)
	}
	return newCommand(path, args), nil
}

// failed says why a command does not run, as people know it.
func failed(name string, err error) *Error {
	e := &Error{Name: name, Err: err, Code: notRunnable}
	if lookup, ok := errors.AsType[*exec.Error](err); ok {
		e.Err = lookup.Err
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		e.Err = path.Err
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		e.Code = notFound
		if !strings.ContainsRune(name, os.PathSeparator) {
			e.Err = errors.New("not found in PATH")
		}
	}
	return e
}
