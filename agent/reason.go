package agent

import (
	"context"
	"errors"
)

// Reason is why a run ended.
type Reason string

// The reasons.
const (
	ByDuration Reason = "duration"
	BySignal   Reason = "signal"
	ByKey      Reason = "key"         // a key of the screen
	ByStop     Reason = "stop"        // somebody asked the agent
	ByParent   Reason = "parent-gone" // who started us has ended
	ByCommand  Reason = "command"     // the command that the run was for has ended
)

// ErrParentGone is the cause of a context that ends because a process has ended
// that had started this one.
var ErrParentGone = errors.New("the process that started this one has ended")

// ErrCommandEnded is the cause of a context that ends because a command has
// ended, and the run was for that.
var ErrCommandEnded = errors.New("the command has ended")

// askedBy is why a context has ended.
func askedBy(ctx context.Context) Reason {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, ErrParentGone):
		return ByParent
	case errors.Is(cause, ErrCommandEnded):
		return ByCommand
	}
	return BySignal
}
