package agent

import (
	"sync"
	"sync/atomic"
)

// flowLimit keeps flows from taking the last descriptors, and the last ports of
// the callers. At the limit new connections go direct, until some have ended.
type flowLimit struct {
	limit         int64
	pause, resume func() error

	open   atomic.Int64
	mu     sync.Mutex
	paused bool
}

// descriptorsPerFlow is what one flow needs: two sockets.
const descriptorsPerFlow = 2

// Limit is how many intercepted flows this process can carry at once, and what
// of: the descriptors that it may have open, and the ports from which callers in
// its network namespace connect.
type Limit struct{ Flows, Descriptors, Ports int64 }

// FlowLimit is that of now.
func FlowLimit() Limit {
	l := Limit{Descriptors: descriptorLimit(), Ports: ephemeralPorts()}
	// Everything that is not a flow, and what flows need while they begin.
	own := min(64+l.Descriptors/8, 1024)
	// Whoever they call, all callers connect to one address of ours. The rest is
	// for connections that have ended, whose ports rest a while (TIME_WAIT).
	ports := l.Ports * 3 / 4
	l.Flows = max(1, min((l.Descriptors-own)/descriptorsPerFlow, ports))
	return l
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
