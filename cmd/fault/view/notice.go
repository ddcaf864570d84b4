package view

import (
	"slices"
	"sync"
	"time"
)

// Notice is something that the user must know although the run goes on.
type Notice struct {
	At   time.Time
	Text string
	// Hint says what to do; empty if there is nothing.
	Hint string
}

// noticeTime is how long one is shown.
const noticeTime = 10 * time.Second

// notices are those of a run, for use from any goroutine.
type notices struct {
	mu  sync.Mutex
	all []Notice
}

// add keeps a notice. One that is there already is shown again instead.
func (n *notices) add(notice Notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = slices.DeleteFunc(n.all, func(o Notice) bool { return o.Text == notice.Text && o.Hint == notice.Hint })
	n.all = append(n.all, notice)
}

// list is all of them, the oldest first.
func (n *notices) list() []Notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.all)
}

// current is the text of the last one at a time; empty if its time is over.
func current(all []Notice, now time.Time) string {
	if len(all) == 0 {
		return ""
	}
	last := all[len(all)-1]
	if now.Sub(last.At) >= noticeTime {
		return ""
	}
	return last.Text
}
