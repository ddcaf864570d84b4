package agent

import (
	"sync"
	"sync/atomic"
)

// flowLimit keeps flows from taking the last descriptors. At the limit new
// connections go direct, until some have ended.
type flowLimit struct {
	limit         int64
	pause, resume func() error

	open   atomic.Int64
	mu     sync.Mutex
	paused bool
}

// descriptorsPerFlow is what one flow needs: two sockets.
const descriptorsPerFlow = 2

// FlowLimit is how many intercepted flows this process can carry at once, and
// of how many descriptors it may have open that is a part.
func FlowLimit() (flows, descriptors int64) { return maxFlows(), descriptorLimit() }

func maxFlows() int64 {
	limit := descriptorLimit()
	// Everything that is not a flow, and what flows need while they begin.
	own := min(64+limit/8, 1024)
	return max(1, (limit-own)/descriptorsPerFlow)
}

func (l *flowLimit) add(n int64) {
	open := l.open.Add(n)
	if open != l.limit && open != l.limit*9/10 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch open := l.open.Load(); {
	case !l.paused && open >= l.limit:
		l.paused = l.pause() == nil
	case l.paused && open <= l.limit*9/10:
		l.paused = l.resume() != nil
	}
}
