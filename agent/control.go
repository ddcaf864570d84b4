package agent

import (
	"sync"
)

// Control is how a run is watched and steered by others than its caller, from
// any goroutine.
type Control struct {
	run *reporter

	mu    sync.Mutex
	asked chan Reason   // has the first reason to end, and only that
	hurry chan struct{} // closed when there is a second one
	ends  int
}

func newControl(run *reporter) *Control {
	return &Control{run: run, asked: make(chan Reason, 1), hurry: make(chan struct{})}
}

// Snapshot is the run at this moment.
func (c *Control) Snapshot() Snapshot { return c.run.snapshot() }

// Pause lets all that arrives pass unaltered until Resume. What faults hold by
// then stays held. False means that it did so already, or is ending.
func (c *Control) Pause() bool { return c.run.pause() }

// Resume ends what Pause began. False means that nothing was paused.
func (c *Control) Resume() bool { return c.run.resume() }

// End ends the run. Called again, it no longer waits for flows.
func (c *Control) End(reason Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.ends++; c.ends {
	case 1:
		c.asked <- reason
	case 2:
		close(c.hurry)
	}
}

// Screen shows a run while it lasts, instead of lines.
type Screen interface {
	// Show is called once the run is ready, and Hide before its summary is
	// written. Neither may take long.
	Show(*Control)
	Hide()
}
