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
	// Started is a time of the run, Lasted how long the flow was open.
	Started, Lasted time.Duration
	// Bytes is what each link carried, by [faults.Link]; of a forwarded
	// request, the bodies.
	Bytes [2]int64
	// Injected is what the faults did to each link.
	Injected [2]Injection
	// Err is why the flow failed, nil if it ended as its ends wanted.
	Err error
}

// Delay is how long the faults held the flow's pieces in all.
func (f *Flow) Delay() time.Duration {
	return f.Injected[faults.ToServer].Sum + f.Injected[faults.ToClient].Sum
}

// Observer is told of flows as they happen, from many goroutines at once. It
// must not block: it is on the path of the bytes.
type Observer interface {
	// FlowOpened is called before the upstream is dialled.
	FlowOpened(*Flow)
	// FlowEnded is called once for each opened flow.
	FlowEnded(*Flow)
	// Injected is called for each piece that a fault held, after it went on:
	// with what was drawn, and how much later than that it left.
	Injected(link faults.Link, d faults.Delay, late time.Duration)
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
