// Package control lets others see and steer a run from outside: `fault status`,
// `pause`, `resume` and `stop`.
//
// A run listens on an abstract unix socket, which is no file and no TCP port,
// and is gone with the process whatever ended it. Every process of its network
// namespace can see the name; only root and the run's own user get an answer.
// A connection is one line of JSON each way.
package control

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// ErrUnsupported says that this system has no abstract unix sockets.
var ErrUnsupported = errors.New("agents answer on an abstract unix socket, which this system does not have")

// Agent is what a run answers with. It is called from any goroutine, from
// several at once, and none of its methods may wait for the run to end.
type Agent interface {
	Status() Status
	// Pause lets everything pass through unaltered. False: it did so already,
	// or is ending.
	Pause() bool
	// Resume ends what Pause began. False: nothing was paused.
	Resume() bool
	// Stop begins to end the run; called again, it no longer waits for flows.
	Stop()
}

// Status is a run at a moment. Its JSON follows the rules of package event, so
// lists are empty, but not nil.
type Status struct {
	// PID is what the run knows itself by.
	PID     int    `json:"pid"`
	Version string `json:"version"`
	// UpS is how long the run is ready, in seconds, EndsInS how long until it
	// ends by itself; nil if it does not.
	UpS     float64  `json:"up_s"`
	EndsInS *float64 `json:"ends_in_s,omitempty"`
	Mode    string   `json:"mode"` // "transparent" or "explicit"
	// Listen is where clients ask for the proxy.
	Listen    string   `json:"listen,omitempty"`
	Upstreams []string `json:"upstreams"`
	// Netns are the network namespaces in which it intercepts, as they were asked
	// for; absent if they were not.
	Netns []string `json:"netns,omitempty"`
	// Open flows have not ended; Matched and Errors count those that have.
	Open    int64  `json:"open_flows"`
	Matched uint64 `json:"matched"`
	Errors  uint64 `json:"errors"`
	// LeftAlone is connections that the kernel never gave us; nil if unknown.
	LeftAlone *uint64 `json:"left_alone,omitempty"`
	Faults    []Fault `json:"faults"`
	// Paused says that all faults are, Ending that new connections go direct
	// and the last flows drain.
	Paused bool `json:"paused"`
	Ending bool `json:"ending"`
}

// Fault is one of the plan, and whether its schedule is on.
type Fault struct {
	ID string `json:"id"`
	On bool   `json:"on"`
}

// Verb is what an agent is asked to do.
type Verb string

// The verbs.
const (
	Look   Verb = "status"
	Pause  Verb = "pause"
	Resume Verb = "resume"
	Stop   Verb = "stop"
)

// Request is what a client sends.
type Request struct {
	Schema int  `json:"schema"`
	Do     Verb `json:"do"`
}

// Reply is what it gets. If Error is not empty, nothing was done, and the rest
// is absent.
type Reply struct {
	Schema int    `json:"schema"`
	Error  Code   `json:"error,omitempty"`
	Text   string `json:"text,omitempty"` // the error in words
	// Changed says that the request made a difference.
	Changed bool `json:"changed"`
	// Status is after it did.
	Status *Status `json:"status,omitempty"`
}

// Code is why there is no answer.
type Code string

// The codes.
const (
	NotAllowed Code = "not-allowed" // for this user
	BadRequest Code = "bad-request"
	NoAnswer   Code = "no-answer" // in time, or none that makes sense
	Ended      Code = "ended"     // meanwhile
)

// Error is why there is no answer; Text goes on from the agent's name.
type Error struct {
	Code Code
	Text string
}

func (e *Error) Error() string { return e.Text }

// Is says whether an error has a code.
func Is(err error, code Code) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && e.Code == code
}

// Peer is an agent as another process sees it.
type Peer struct {
	// PID is what the agent is called in the pid namespace of this process; 0
	// if it cannot be seen from there. Own is what it calls itself.
	PID, Own int
	// UID is its user, -1 if unknown.
	UID int

	name string // of its socket
}

// ID is the pid by which the agent is addressed: that of this pid namespace,
// or, if it has none here, its own.
func (p Peer) ID() int {
	if p.PID != 0 {
		return p.PID
	}
	return p.Own
}

// String names the agent, and says so if its pid is another elsewhere.
func (p Peer) String() string {
	switch p.PID {
	case p.Own:
		return fmt.Sprintf("fault[%d]", p.Own)
	case 0:
		return fmt.Sprintf("fault[%d] (in a pid namespace that is not seen from here)", p.Own)
	}
	return fmt.Sprintf("fault[%d] (%d in its own pid namespace)", p.PID, p.Own)
}

// Ours says whether the agent should answer this process.
func (p Peer) Ours() bool {
	uid := os.Geteuid()
	return uid == 0 || p.UID == uid || p.UID < 0
}

// answerTime is how long a connection may take, at either end.
const answerTime = 2 * time.Second
