package agent

import (
	"cmp"
	"slices"
	"time"

	"github.com/faultproxy/fault/agent/lines"
	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
)

const (
	// mostPairs bounds the table; what does not fit is one more row.
	mostPairs = 4096
	// rankEvery keeps rows where they are for that long, and recently is how
	// much of the past decides about their order.
	rankEvery = 2 * time.Second
	recently  = 10 * time.Second
	// shownPairs is more than a screen has rows.
	shownPairs = 128
)

// pairs is who talks to whom. It must be locked by its owner. The nil table is
// of nobody.
type pairs struct {
	of     map[pairKey]*pair
	open   map[uint64]*pair // by flow
	others *pair            // of which there is no room for
	ranked []*pair
	next   time.Duration // when they are ranked again
}

type pairKey struct{ process, upstream string }

// pair is one row.
type pair struct {
	pairKey
	pid         uint32 // 0 if there are several
	flows, open uint64
	delayed     uint64
	delay       time.Duration // of all of those
	bytes       uint64
	seconds     [recently / time.Second]uint64 // flows that began, by second
	last        int64                          // the second of the last one
}

func newPairs() *pairs {
	return &pairs{of: make(map[pairKey]*pair), open: make(map[uint64]*pair)}
}

func (p *pairs) opened(f *proxy.Flow) {
	if p == nil {
		return
	}
	one := p.row(f)
	one.flows++
	one.open++
	one.began(f.Started)
	p.open[f.ID] = one
}

// row is that of a flow.
func (p *pairs) row(f *proxy.Flow) *pair {
	key := pairKey{lines.Shown(f.Process.Name, 15), lines.Shown(f.Host, shownHost)}
	if one, ok := p.of[key]; ok {
		if one.pid != f.Process.PID {
			one.pid = 0
		}
		return one
	}
	if len(p.of) >= mostPairs && !p.makeRoom(f.Started) {
		return p.rest()
	}
	one := &pair{pairKey: key, pid: f.Process.PID}
	p.of[key] = one
	p.ranked = append(p.ranked, one) // until the next ranking
	return one
}

// rest is the row of what has none.
func (p *pairs) rest() *pair {
	if p.others == nil {
		p.others = &pair{pairKey: pairKey{process: "others"}}
	}
	return p.others
}

// makeRoom puts those that nobody has used lately into one row.
func (p *pairs) makeRoom(now time.Duration) bool {
	if now < p.next {
		return false // as nothing has been ranked since the last try
	}
	for key, one := range p.of {
		if one.open == 0 && one.recent(now) == 0 {
			p.rest().add(one)
			delete(p.of, key)
		}
	}
	p.rank(now)
	return len(p.of) < mostPairs
}

func (p *pairs) injected(flow uint64, held time.Duration) {
	if p == nil {
		return
	}
	if one := p.open[flow]; one != nil {
		one.delayed++
		one.delay += held
	}
}

func (p *pairs) ended(f *proxy.Flow) {
	if p == nil {
		return
	}
	if one := p.open[f.ID]; one != nil {
		one.open--
		one.bytes += uint64(f.Bytes[faults.ToServer] + f.Bytes[faults.ToClient])
		delete(p.open, f.ID)
	}
}

// top is the first rows, and how many there are behind them.
func (p *pairs) top(now time.Duration) (rows []Pair, more int) {
	if p == nil {
		return nil, 0
	}
	if now >= p.next {
		p.rank(now)
	}
	all := p.ranked
	if p.others != nil {
		all = append(slices.Clip(all), p.others)
	}
	for _, one := range all[:min(len(all), shownPairs)] {
		row := Pair{
			Process: one.process, PID: one.pid, Upstream: one.upstream,
			Flows: one.flows, Open: one.open, Delayed: one.delayed, Bytes: one.bytes,
		}
		if one.delayed > 0 {
			row.MeanDelay = one.delay / time.Duration(one.delayed)
		}
		rows = append(rows, row)
	}
	return rows, len(all) - len(rows)
}

// rank puts those first that had most flows lately.
func (p *pairs) rank(now time.Duration) {
	type counted struct {
		*pair
		lately uint64
	}
	all := make([]counted, 0, len(p.of))
	for _, one := range p.of {
		all = append(all, counted{one, one.recent(now)})
	}
	slices.SortFunc(all, func(a, b counted) int {
		return cmp.Or(cmp.Compare(b.lately, a.lately), cmp.Compare(b.flows, a.flows),
			cmp.Compare(a.process, b.process), cmp.Compare(a.upstream, b.upstream))
	})
	p.ranked = p.ranked[:0]
	for _, one := range all {
		p.ranked = append(p.ranked, one.pair)
	}
	p.next = now + rankEvery
}

// began counts a flow.
func (p *pair) began(at time.Duration) {
	p.forget(at)
	p.seconds[p.last%int64(len(p.seconds))]++
}

// recent is how many flows began lately.
func (p *pair) recent(now time.Duration) uint64 {
	p.forget(now)
	var n uint64
	for _, one := range p.seconds {
		n += one
	}
	return n
}

// forget empties the seconds that are over.
func (p *pair) forget(now time.Duration) {
	second := int64(now / time.Second)
	for p.last < second {
		if second-p.last > int64(len(p.seconds)) {
			p.last = second - int64(len(p.seconds))
		}
		p.last++
		p.seconds[p.last%int64(len(p.seconds))] = 0
	}
}

// add takes over what another counted.
func (p *pair) add(other *pair) {
	p.flows += other.flows
	p.delayed += other.delayed
	p.delay += other.delay
	p.bytes += other.bytes
}
