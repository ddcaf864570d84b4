package agent

import (
	"time"

	"github.com/faultproxy/fault/faults"
)

// paceOver is how much of the past a pace is taken from.
const paceOver = 2 * time.Second

// pace is how fast counters grow, as far as somebody looks often enough.
type pace struct{ samples []sample }

// sample is what counters were at a time of the run.
type sample struct {
	at      time.Duration
	began   uint64 // flows
	carried [2]int64
}

// per is what came in a second, lately.
func (p *pace) per(now sample) (flows float64, bytes [2]float64) {
	p.samples = append(p.samples, now)
	for len(p.samples) > 2 && p.samples[1].at <= now.at-paceOver {
		p.samples = p.samples[1:]
	}
	first := p.samples[0]
	took := (now.at - first.at).Seconds()
	if took <= 0 {
		return 0, bytes
	}
	for _, link := range []faults.Link{faults.ToServer, faults.ToClient} {
		bytes[link] = float64(now.carried[link]-first.carried[link]) / took
	}
	return float64(now.began-first.began) / took, bytes
}
