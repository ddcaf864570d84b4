// Package callers is about whose connections a run is: selectors of processes,
// as people name them, and what they select on this host.
package callers

import (
	"fmt"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Kind is what a selector goes by; the words are those of the flags.
type Kind string

// The kinds.
const (
	Process       Kind = "process"         // the name of a process, or of the file that it runs; or the file
	PID           Kind = "pid"             // a process and its children
	User          Kind = "user"            // the real user
	Cgroup        Kind = "cgroup"          // a folder of cgroup2, and those below
	Unit          Kind = "unit"            // of systemd, wherever its cgroup is
	Container     Kind = "container"       // by its id, the beginning of that, or its name
	ExceptProcess Kind = "exclude-process" // as Process, and never meant
	Command       Kind = "command"         // what the run itself started, in a cgroup of its own
)

// Selector is one of a kind.
type Selector struct {
	Kind Kind
	// Value is what somebody said: a name, a path, a number.
	Value string
	// Folder is the cgroup of a Command.
	Folder string

	id uint32 // of a PID or a User
}

// String is as in "process nginx".
func (s Selector) String() string { return string(s.Kind) + " " + s.Value }

// ID is the number of a PID or a User.
func (s Selector) ID() uint32 { return s.id }

// isFile says whether a process is named by the file that it runs.
func (s Selector) isFile() bool {
	return (s.Kind == Process || s.Kind == ExceptProcess) && strings.ContainsRune(s.Value, filepath.Separator)
}

// Set is whose connections are meant: those of processes that any selector
// selects, or of all if there is none; but not of those that are excepted.
type Set []Selector

// Selects says whether there is a selector, and not only exceptions.
func (s Set) Selects() bool {
	for _, one := range s {
		if one.Kind != ExceptProcess {
			return true
		}
	}
	return false
}

// Containers are those that name containers.
func (s Set) Containers() Set {
	return slices.DeleteFunc(slices.Clone(s), func(one Selector) bool { return one.Kind != Container })
}

// Parse reads a selector of a kind. What the error says goes on from the name of
// a flag.
func Parse(kind Kind, text string) (Selector, error) {
	s := Selector{Kind: kind, Value: text}
	switch {
	case strings.TrimSpace(text) == "":
		return s, fmt.Errorf("is empty")
	case strings.ContainsRune(text, 0):
		return s, fmt.Errorf("%q has a NUL in it", text)
	}
	switch kind {
	case PID:
		id, err := strconv.ParseUint(text, 10, 31)
		if err != nil || id == 0 {
			return s, fmt.Errorf("`%s` must be a whole number above 0", text)
		}
		s.id = uint32(id)
	case User:
		id, err := userID(text)
		if err != nil {
			return s, err
		}
		s.id = id
	case Unit:
		if !isUnit(text) {
			return s, fmt.Errorf("`%s` is not the name of a unit that has processes, such as nginx.service", text)
		}
	case Process, ExceptProcess:
		if !s.isFile() {
			break
		}
		path, err := filepath.Abs(text)
		if err != nil {
			return s, err
		}
		s.Value = path
	}
	return s, nil
}

// userID is the number of a user. A number is taken whether or not there is a
// user of it.
func userID(text string) (uint32, error) {
	if id, err := strconv.ParseUint(text, 10, 32); err == nil {
		return uint32(id), nil
	}
	u, err := user.Lookup(text)
	if err != nil {
		return 0, fmt.Errorf("`%s` is no user of this host; a number is taken in any case", text)
	}
	id, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("`%s` has no number here: %s", text, u.Uid)
	}
	return uint32(id), nil
}

// isUnit says whether systemd could have a cgroup of this name.
func isUnit(name string) bool {
	for _, kind := range []string{".service", ".scope", ".slice", ".socket", ".mount", ".swap"} {
		if base, ok := strings.CutSuffix(name, kind); ok {
			return base != "" && !strings.ContainsRune(name, '/')
		}
	}
	return false
}

// unitCgroups are the names that the cgroup of a unit may have: systemd escapes
// what would look like a file of the kernel's, such as memory.service.
func unitCgroups(unit string) []string { return []string{unit, "_" + unit} }

// unitOf is the unit of a cgroup, of those that people name.
func unitOf(cgroup string) (string, bool) {
	name := strings.TrimPrefix(cgroup, "_")
	return name, strings.HasSuffix(name, ".service") && isUnit(name)
}

// SelectorError is a selector that this host has no use for.
type SelectorError struct {
	Selector Selector
	Err      error
}

// Error names the selector and the cause.
func (e *SelectorError) Error() string { return fmt.Sprintf("%v: %v", e.Selector, e.Err) }

// Unwrap gives the cause.
func (e *SelectorError) Unwrap() error { return e.Err }

// Match is what a selector selects at a moment.
type Match struct {
	Selector
	// Cgroup is the folder of one that it selects; empty if there is none.
	Cgroup string
	// Processes is how many it selects; -1 if that is not known.
	Processes int
	// Present says that what it names is there, as a unit is without processes.
	Present bool
}

// String says it, as in "5 processes now".
func (m Match) String() string {
	switch {
	case m.Processes == 1:
		return "1 process now"
	case m.Processes > 1:
		return fmt.Sprintf("%d processes now", m.Processes)
	case m.Processes < 0 && m.Present:
		return "is there, and who runs it cannot be seen"
	case m.Kind == Command:
		return "starts now"
	case m.Present:
		return "no process yet: waits for one"
	case m.Kind == ExceptProcess:
		return "no process yet"
	}
	return "nothing yet: waits for it"
}
