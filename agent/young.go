package agent

import (
	"container/list"
	"slices"
	"sync"
	"time"

	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
)

// openAfter is how long a flow may be open before that is told: who waits for
// ever is otherwise never heard of.
const openAfter = 5 * time.Second

// young keeps the flows that have not been open for that long, the oldest
// first. Nobody but the one timer of the run looks at them.
type young struct {
	tell bool // somebody wants to know

	mu    sync.Mutex
	flows list.List // of *proxy.Flow
	of    map[uint64]*list.Element
}

// add keeps what is known of a flow at its beginning; the rest is still being
// written.
func (y *young) add(f *proxy.Flow) {
	if !y.tell {
		return
	}
	known := &proxy.Flow{
		ID: f.ID, Entry: f.Entry, Client: f.Client, Process: f.Process, Host: f.Host, Started: f.Started,
		Matched: f.Matched, MatchedBy: f.MatchedBy,
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.of == nil {
		y.of = make(map[uint64]*list.Element)
	}
	y.of[f.ID] = y.flows.PushBack(known)
}

// named notes what a client called its upstream, and what that has decided.
func (y *young) named(f *proxy.Flow) {
	if !y.tell {
		return
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	if e, ok := y.of[f.ID]; ok {
		known := e.Value.(*proxy.Flow)
		known.Matched, known.MatchedBy, known.Name = f.Matched, f.MatchedBy, f.Name
	}
}

// held notes that a fault lets nothing more of a flow arrive.
func (y *young) held(id uint64, fault int, link faults.Link) {
	if !y.tell {
		return
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	e, ok := y.of[id]
	if !ok {
		return
	}
	f := e.Value.(*proxy.Flow)
	if !slices.ContainsFunc(f.Injected, func(in proxy.Injection) bool { return in.Fault == fault && in.Link == link }) {
		f.Injected = append(f.Injected, proxy.Injection{Fault: fault, Link: link})
	}
}

// remove waits for what is being told of open flows: nothing is told of one
// that has ended.
func (y *young) remove(id uint64) {
	if !y.tell {
		return
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	if e, ok := y.of[id]; ok {
		y.flows.Remove(e)
		delete(y.of, id)
	}
}

// grown tells of the flows that have been open for long enough, and returns
// when to look again.
func (y *young) grown(now time.Duration, tell func(*proxy.Flow)) time.Duration {
	if !y.tell {
		return faults.Never
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	for e := y.flows.Front(); e != nil; e = y.flows.Front() {
		f := e.Value.(*proxy.Flow)
		if f.Started+openAfter > now {
			return f.Started + openAfter
		}
		f.Lasted = now - f.Started
		tell(f)
		y.flows.Remove(e)
		delete(y.of, f.ID)
	}
	return now + openAfter // no other can be due before
}
