package proxy

import (
	"container/heap"
	"time"

	"github.com/faultproxy/fault/faults"
)

// deadline is a time at which something is to be done.
type deadline struct {
	until time.Duration
	ring  func() // called when it has come
	index int    // in the heap, from 1; 0 if it is not there
}

// deadlines is a heap, the earliest first. It must be locked by its owner.
type deadlines []*deadline

// set has a deadline ring at another time, [faults.Never] not at all.
func (h *deadlines) set(d *deadline, until time.Duration) {
	switch d.until = until; {
	case until == faults.Never:
		h.remove(d)
	case d.index > 0:
		heap.Fix(h, d.index-1)
	default:
		heap.Push(h, d)
	}
}

// remove forgets a deadline, which may have been rung.
func (h *deadlines) remove(d *deadline) {
	if d.index > 0 {
		heap.Remove(h, d.index-1)
	}
}

// next is the earliest time, [faults.Never] if there is none.
func (h deadlines) next() time.Duration {
	if len(h) == 0 {
		return faults.Never
	}
	return h[0].until
}

// ring rings all whose time has come.
func (h *deadlines) ring(now time.Duration) {
	for h.next() <= now {
		heap.Pop(h).(*deadline).ring()
	}
}

func (h deadlines) Len() int           { return len(h) }
func (h deadlines) Less(i, j int) bool { return h[i].until < h[j].until }

func (h deadlines) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

// Push appends a *deadline.
func (h *deadlines) Push(x any) {
	d := x.(*deadline)
	*h = append(*h, d)
	d.index = len(*h)
}

// Pop takes the last out.
func (h *deadlines) Pop() any {
	last := len(*h) - 1
	d := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	d.index = 0
	return d
}
