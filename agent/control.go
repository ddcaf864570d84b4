package agent

// Control is how a run is watched and steered by others than its caller, from
// any goroutine.
type Control struct {
	run *reporter
}

// Snapshot is the run at this moment.
func (c *Control) Snapshot() Snapshot { return Snapshot{} }

// Pause lets everything pass through unaltered until Resume. False means that
// it did so already, or is ending.
func (c *Control) Pause() bool { return false }

// Resume ends what Pause began. False means that nothing was paused.
func (c *Control) Resume() bool { return false }

// End ends the run. Called again, it no longer waits for flows.
func (c *Control) End(reason Reason) {}

// Screen shows a run while it lasts, instead of lines.
type Screen interface {
	// Show is called once the run is ready, and Hide before its summary is
	// written. Neither may take long.
	Show(*Control)
	Hide()
}
