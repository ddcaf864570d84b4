package faults

import "sync/atomic"

// Gate pauses all faults of a plan at once. It does what the end of a period
// of a [Schedule] does, at a time that nobody knew before: what arrives while
// it is closed passes unaltered, behind what is already on its way, and what a
// fault holds or has swallowed stays so. A link is then where it was, so that
// nothing is drawn anew. The zero gate, and a nil one, is open. It may be used
// by many goroutines.
type Gate struct{ closed atomic.Bool }

// Close pauses the faults, and says whether they were not.
func (g *Gate) Close() bool { return g.closed.CompareAndSwap(false, true) }

// Open ends a pause, and says whether there was one.
func (g *Gate) Open() bool { return g.closed.CompareAndSwap(true, false) }

// Closed says whether faults are paused.
func (g *Gate) Closed() bool { return g != nil && g.closed.Load() }
