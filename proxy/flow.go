package proxy

import (
	"errors"
	"net/netip"
	"time"

	"github.com/faultproxy/fault/faults"
)

// Entry is how a flow came to us.
type Entry string

// The entries.
const (
	EntryIntercepted Entry = "intercepted" // diverted by the kernel
	EntryConnect     Entry = "connect"     // HTTP CONNECT
	EntryHTTP        Entry = "http"        // a request for the forward proxy
	EntryMapping     Entry = "mapping"     // a client of a mapping, or a request of one
)

// MatchedBy is how it is known whether faults are for the upstream of a diverted
// connection.
type MatchedBy string

// The ways.
const (
	ByAddress MatchedBy = "address" // its address and port
	ByDNS     MatchedBy = "dns"     // its address is known as that of a name
	// Where several names have the address, what the client says first decides.
	BySNI       MatchedBy = "sni"       // its TLS names the server
	ByHost      MatchedBy = "host"      // its HTTP names the host
	ByAmbiguous MatchedBy = "ambiguous" // it names none; then faults do not apply
)

// End is who ended a flow.
type End string

// The ends.
const (
	EndClient   End = "client"
	EndUpstream End = "upstream"
	EndFault    End = "fault" // a request was answered, the flow reset, truncated or kept from connecting
	EndRun      End = "end"   // the run ended
)

// Flow is the story of one connection, or of one request to the forward proxy.
// It is complete once [Observer.FlowEnded] has it.
type Flow struct {
	// ID counts flows in the order of their arrival, from 1. With the seed it
	// decides every draw.
	ID     uint64
	Entry  Entry
	Client netip.AddrPort
	// Process is who connected; zero unless intercepted.
	Process Process
	// Host is where the flow was going as the client put it, host:port.
	Host string
	// Upstream is where it went, invalid if it did not get there.
	Upstream netip.AddrPort
	// Matched says that faults applied; otherwise the flow passed through.
	Matched bool
	secured bool // we speak TLS to the upstream
	// MatchedBy says how that is known of a diverted connection; "" of others.
	// It is known from the beginning, but for an address that several names
	// have: that begins as ByAmbiguous, and [Observer.FlowNamed] may follow.
	MatchedBy MatchedBy
	// Name is what the client called the upstream, if that decided.
	Name string
	// Started is a time of the run, Lasted how long the flow was open.
	Started, Lasted time.Duration
	// Bytes is what each link carried, by [faults.Link]; of a forwarded
	// request, the bodies.
	Bytes [2]int64
	// Injected is what the faults did, each to each link; those that did
	// nothing are not there.
	Injected []Injection
	// Answered is the status of the response that was injected last, 0 if none
	// was.
	Answered int
	// Status is that of the response that a forwarded request got; 0 if none,
	// or if that is not known.
	Status int
	// EndedBy is who was the first to end the flow, "" if that is not known.
	EndedBy End
	// Err is why the flow failed, nil if it ended as its ends wanted.
	Err error

	did    *tallies     // nil if the run has no faults
	shared *Intercepted // an address that several names have
}

// Injection sums up what one fault did to one link of a flow: how long the
// pieces that it held took from their arrival at us until they went on.
type Injection struct {
	Fault int // index in [faults.Plan.Faults]
	Link  faults.Link
	// Pieces is how many were held; Sum and Max are how long.
	Pieces   int
	Sum, Max time.Duration
	// Drawn is how long the first of them were to be held.
	Drawn []time.Duration
	// Late is the most that one went on later than that.
	Late time.Duration
	// Tried and Hit count the packets, or the requests, that the fault decided
	// about, and those that it chose; see [faults.Effect].
	Tried, Hit int
	// Swallowed is how many bytes never went on.
	Swallowed int64
	// BusiestSecond is how many bytes went on in one second of the run, at
	// most.
	BusiestSecond int64
}

// drawnKept is how many draws an injection remembers.
const drawnKept = 16

// Observer is told of flows as they happen, from many goroutines at once. It
// must not block: it is on the path of the bytes.
type Observer interface {
	// FlowOpened is called before the upstream is dialled.
	FlowOpened(*Flow)
	// FlowNamed is called once the client of a flow that began as ByAmbiguous has
	// named its upstream.
	FlowNamed(*Flow)
	// FlowEnded is called once for each opened flow.
	FlowEnded(*Flow)
	// Injected is called for each piece that a fault did something to, after
	// it went on: with what was drawn, and how much later than that it left.
	// The flow is open, and its fields are not to be looked at but for those
	// that it was opened with.
	Injected(f *Flow, link faults.Link, e faults.Effect, late time.Duration)
}

// Failures of flows that are not the network's.
var (
	// ErrOrigin is a connection that was diverted to us, and nobody knows
	// from where to.
	ErrOrigin = errors.New("origin unknown")
	// ErrSelf is a request whose upstream would be this proxy.
	ErrSelf = errors.New("the upstream is this proxy itself")
	// ErrEnded is a flow that was cut off because the run ended.
	ErrEnded = errors.New("the run ended")
)
