// Package parent watches the processes that have started this one, so that it
// can end when they have: also those that are behind sudo and a shell, whose
// end nobody would tell us of.
//
// On Linux these are the parent and its parents, up to the program that the
// user or a scheduler started: see [Watch]. Elsewhere on Unix, and where the
// kernel or a container's seccomp refuses pidfd_open(2), it is the parent
// alone. On Windows it is nobody.
package parent

import "sync"

// Process is one that is watched.
type Process struct {
	PID int
	// Name is what it calls itself, unchecked text from outside; empty if that
	// is not known.
	Name string
}

// Starters are the processes that are watched. A nil one has none.
type Starters struct {
	all  []Process // the parent first
	gone chan struct{}
	once sync.Once
}

func newStarters() *Starters { return &Starters{gone: make(chan struct{})} }

// Gone is closed when the first of them has ended.
func (s *Starters) Gone() <-chan struct{} {
	if s == nil {
		return nil
	}
	return s.gone
}

// First is the one that started the others; the zero Process if nobody is
// watched.
func (s *Starters) First() Process {
	if s == nil || len(s.all) == 0 {
		return Process{}
	}
	return s.all[len(s.all)-1]
}

// end says that one has ended.
func (s *Starters) end() { s.once.Do(func() { close(s.gone) }) }
