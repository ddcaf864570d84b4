package proxy

import (
	"sync"
	"time"

	"github.com/faultproxy/fault/faults"
)

// tally sums up what the faults did to one link. Pieces that go on and pieces
// that are lost are counted by different goroutines.
type tally struct {
	mu    sync.Mutex
	sums  []Injection // by fault of the plan, in the order of their first effect
	times []second    // by index in sums
}

// second is how many bytes went on in a second of the run.
type second struct {
	number int64
	bytes  int64
}

// tallies are those of a flow, by [faults.Link].
type tallies [2]tally

// of gives that of a link; nil if there are none.
func (t *tallies) of(link faults.Link) *tally {
	if t == nil {
		return nil
	}
	return &t[link]
}

// told gives the sums of both.
func (t *tallies) told() []Injection {
	if t == nil {
		return nil
	}
	return append(t[faults.ToServer].told(faults.ToServer), t[faults.ToClient].told(faults.ToClient)...)
}

func (t *tally) add(e faults.Effect, late, now time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.of(e.Fault)
	sum := &t.sums[i]
	sum.Tried += e.Tried
	sum.Hit += e.Hit
	if e.Delay == faults.Never {
		sum.Swallowed += int64(e.Bytes)
		return
	}
	if n := int64(now / time.Second); n != t.times[i].number {
		t.times[i] = second{number: n}
	}
	t.times[i].bytes += int64(e.Bytes)
	sum.BusiestSecond = max(sum.BusiestSecond, t.times[i].bytes)
	if e.Delay == 0 {
		return
	}
	held := e.Delay + late
	sum.Pieces++
	sum.Sum += held
	sum.Max = max(sum.Max, held)
	sum.Late = max(sum.Late, late)
	if len(sum.Drawn) < drawnKept {
		sum.Drawn = append(sum.Drawn, e.Delay)
	}
}

func (t *tally) of(fault int) int {
	for i := range t.sums {
		if t.sums[i].Fault == fault {
			return i
		}
	}
	t.sums = append(t.sums, Injection{Fault: fault})
	t.times = append(t.times, second{})
	return len(t.sums) - 1
}

// told gives the sums of a link.
func (t *tally) told(link faults.Link) []Injection {
	t.mu.Lock()
	defer t.mu.Unlock()
	sums := append([]Injection(nil), t.sums...)
	for i := range sums {
		sums[i].Link = link
	}
	return sums
}
