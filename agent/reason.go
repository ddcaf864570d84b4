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
)

// ErrParentGone is the cause of a context that ends because a process has ended
// that had started this one.
var ErrParentGone = errors.New("the process that started this one has ended")

// askedBy is why a context has ended.
func askedBy(ctx context.Context) Reason {
	if errors.Is(context.Cause(ctx), ErrParentGone) {
		return ByParent
	}
	return BySignal
}
