// Package faults says when bytes may go on.
//
// A [Fault] is a setting. A [Shaper] is that setting applied to one link of
// one flow: a function from a piece's arrival to its departure. Nothing here
// reads a clock, sleeps, or knows a socket, so ten minutes of traffic are
// tested in microseconds, and exactly:
//
//	plan := faults.Plan{Faults: []faults.Planned{{Fault: latency}}, Seed: 42}
//	chain := plan.Chain(flow, faults.ToClient, faults.Stream)
//	departure := chain.Shape(arrival, n)
//
// Faults stack by folding: the departure from one is the arrival at the next.
// A [Schedule] is the gate before one of them. Times are durations since the
// run began, on its monotonic clock.
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
	// Validate says what is wrong with the settings.
	Validate() error
	// Links says which links the fault touches; none if it does not shape.
	Links() Links
}

// Shaping is a fault that decides when bytes go on.
type Shaping interface {
	Fault
	// Shaper gives the fault's part in one link of one flow. It draws from
	// rng and from nothing else.
	Shaper(rng *rand.Rand, carrier Carrier) Shaper
}

// Carrier is what a link carries.
type Carrier uint8

// The carriers. Of a stream no byte is ever lost or out of order: what gets
// lost on the way arrives later. A datagram that gets lost is gone.
const (
	Stream Carrier = iota
	Datagrams
)

// Shaper decides when the pieces of one link leave. It is used by one
// goroutine, with arrivals that do not decrease.
type Shaper interface {
	// Shape returns when a piece of n bytes that arrived at a time may leave:
	// not before it arrived, and [Never] if it does not. The end of the stream
	// is a piece of 0 bytes. An error ends the flow with a reset; see also
	// [ErrTruncated].
	Shape(at time.Duration, n int) (leave time.Duration, err error)
	// Spent says that no later piece will be altered, so that the rest of the
	// stream needs no shaping.
	Spent() bool
}

// A queue is a shaper in which pieces wait for the link, and do not travel on
// it: when the fault goes off they leave at once.
type queue interface {
	// depth is how long a piece may have to wait. A sender whose pieces would
	// wait longer is held back.
	depth() time.Duration
}

// A phased fault may leave the bytes alone.
type phased interface{ shapesData() bool }

// A divider is a fault to which a large piece is more than one event.
type divider interface {
	// most is how many bytes the next piece may have. Who draws that, draws from
	// rng.
	most(rng *rand.Rand) int
}

// A streamFault is one that does nothing to datagrams.
type streamFault interface{ ofStreams() }

// OfStreams says whether a fault does nothing to datagrams.
func OfStreams(f Fault) bool {
	_, ok := f.(streamFault)
	return ok
}

// A closer is a fault to which the end of a stream is an event of its own.
type closer interface{ awaitsEnd() }

// A sampler is a shaper that decides for one packet after another.
type sampler interface {
	// sampled is how many packets there were so far, and how many of them were
	// hit.
	sampled() (tried, hit int)
}

// Planned is a fault of a plan, and when it is on.
type Planned struct {
	Fault
	// Schedule is when the fault is on; nil is always.
	Schedule Schedule
	// Probability is the share of flows that the fault is for; nil is all of
	// them. See [Plan.Applies].
	Probability *float64
}

// Plan is all faults of a run, in the order in which pieces meet them.
type Plan struct {
	Faults []Planned
	// Seed decides every draw: the same seed gives the same flow, counted in
	// the order of arrival, the same fate.
	Seed uint64
	// Paused says whether all of them do nothing now; nil is never. It does
	// what the end of a period of a [Schedule] does, at a time that nobody
	// knew before: what arrives passes unaltered, behind what is already on its
	// way, and what a fault holds or has swallowed stays so. Afterwards a link
	// is where it was: nothing is drawn anew. It is called from many
	// goroutines.
	Paused func() bool
}

func (p *Plan) paused() bool { return p.Paused != nil && p.Paused() }

// Chain gives what the plan does to one link of a flow. Flows are numbered.
func (p *Plan) Chain(flow uint64, link Link, carrier Carrier) *Chain {
	c := &Chain{carrier: carrier, paused: p.paused}
	for i, f := range p.Faults {
		shaping, ok := f.Fault.(Shaping)
		if !ok || !f.Links().Has(link) || !p.Applies(flow, i) {
			continue
		}
		if carrier != Stream && OfStreams(f.Fault) {
			continue
		}
		if f, ok := f.Fault.(phased); ok && !f.shapesData() {
			continue
		}
		rng := p.rng(flow, i, link)
		s := stage{
			fault: i, schedule: f.Schedule, period: -1,
			draw: func() Shaper { return shaping.Shaper(rng, carrier) },
		}
		if d, ok := f.Fault.(divider); ok && carrier == Stream {
			s.most = func() int { return d.most(rng) }
		}
		if _, ok := f.Fault.(closer); ok {
			c.endsApart = true
		}
		c.stages = append(c.stages, s)
	}
	return c
}
