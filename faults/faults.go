// Package faults says when bytes may go on.
//
// A [Fault] is a setting. A [Shaper] is that setting applied to one link of
// one flow: a function from a piece's arrival to its departure. Nothing here
// reads a clock, sleeps, or knows a socket, so ten minutes of traffic are
// tested in microseconds, and exactly:
//
//	plan := faults.Plan{Faults: []faults.Fault{latency}, Seed: 42}
//	chain := plan.Chain(flow, faults.ToClient)
//	leave, delays, err := chain.Shape(arrival, n)
//
// Faults stack by folding: the departure from one is the arrival at the next.
// Times are durations since the run began, on its monotonic clock.
//
// To add a fault, write one file with its settings and its shaper; everything
// else asks the interfaces.
package faults

import (
	"math"
	"math/rand/v2"
	"time"
)

// Never is the departure of a piece that does not arrive.
const Never time.Duration = math.MaxInt64

// Link is one direction of a flow.
type Link uint8

// The two links of a flow.
const (
	ToServer Link = iota // request bytes
	ToClient             // response bytes
)

// String gives the word that flags, logs and JSON use.
func (l Link) String() string {
	if l == ToServer {
		return "to-server"
	}
	return "to-client"
}

// Links is a set of links.
type Links uint8

// LinksOf gives the links that a side and a direction name: traffic that
// leaves the client or arrives at the server's side of the proxy, and so on.
//
//	server ingress, client egress   to client
//	server egress, client ingress   to server
//	both                            both
func LinksOf(side Side, direction Direction) Links {
	switch {
	case direction == Both:
		return 1<<ToServer | 1<<ToClient
	case (side == Server) == (direction == Ingress):
		return 1 << ToClient
	}
	return 1 << ToServer
}

// Has says whether a link is in the set.
func (s Links) Has(l Link) bool { return s&(1<<l) != 0 }

// String gives "to client", "to server" or "both links".
func (s Links) String() string {
	switch {
	case s.Has(ToServer) && s.Has(ToClient):
		return "both links"
	case s.Has(ToServer):
		return "to server"
	case s.Has(ToClient):
		return "to client"
	}
	return "no link"
}

// Side is which of the proxy's two connections a fault is described on.
type Side string

// The sides.
const (
	Client Side = "client"
	Server Side = "server"
)

// Direction is whether bytes come into the proxy on that side, or leave it.
type Direction string

// The directions.
const (
	Ingress Direction = "ingress"
	Egress  Direction = "egress"
	Both    Direction = "both"
)

// Fault is the settings of one fault. It is immutable.
type Fault interface {
	// Name is the word of flags, logs and JSON, such as "latency".
	Name() string
	// String describes the settings as people read them.
	String() string
	// Links says which links the fault touches.
	Links() Links
	// Shaper gives the fault's part in one link of one flow. It draws from
	// rng and from nothing else.
	Shaper(rng *rand.Rand) Shaper
}

// Shaper decides when the pieces of one link leave. It is used by one
// goroutine, with arrivals that do not decrease.
type Shaper interface {
	// Shape returns when a piece of n bytes that arrived at a time may leave:
	// not before it arrived, and [Never] if it does not. The end of the stream
	// is a piece of 0 bytes. An error ends the flow with a reset.
	Shape(at time.Duration, n int) (leave time.Duration, err error)
	// Spent says that no later piece will be altered, so that the rest of the
	// stream needs no shaping.
	Spent() bool
}

// Plan is all faults of a run.
type Plan struct {
	Faults []Fault
	// Seed decides every draw: the same seed gives the same flow, counted in
	// the order of arrival, the same fate.
	Seed uint64
}

// Chain gives what the plan does to one link of a flow. Flows are numbered.
func (p *Plan) Chain(flow uint64, link Link) *Chain {
	c := &Chain{}
	for i, f := range p.Faults {
		if !f.Links().Has(link) {
			continue
		}
		// Each link of each flow draws from a stream of its own, so that how
		// the two links interleave does not decide who draws what.
		stream := splitMix(splitMix(flow) + uint64(i)<<1 + uint64(link))
		rng := rand.New(rand.NewPCG(p.Seed, stream))
		c.stages = append(c.stages, stage{fault: i, shaper: f.Shaper(rng)})
	}
	return c
}

// splitMix is the finalizer of SplitMix64 (Steele, Lea, Flood: "Fast
// splittable pseudorandom number generators", 2014). It makes streams of
// neighbouring flows unlike each other.
func splitMix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Chain is the shapers of one link, one after another.
type Chain struct{ stages []stage }

type stage struct {
	fault  int
	shaper Shaper
}

// Delay is how long one fault of the plan holds a piece.
type Delay struct {
	Fault  int // index in [Plan.Faults]
	Length time.Duration
}

// Shape is that of the shapers together. It also returns what each fault that
// delayed the piece contributed.
func (c *Chain) Shape(at time.Duration, n int) (leave time.Duration, delays []Delay, err error) {
	for _, s := range c.stages {
		leave, err := s.shaper.Shape(at, n)
		if err != nil {
			return at, delays, err
		}
		if leave > at {
			delays = append(delays, Delay{s.fault, leave - at})
		}
		if at = leave; at == Never {
			break
		}
	}
	return at, delays, nil
}

// Spent says that no later piece will be altered.
func (c *Chain) Spent() bool {
	for _, s := range c.stages {
		if !s.shaper.Spent() {
			return false
		}
	}
	return true
}
