package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/faultproxy/fault/faults"
)

// FaultError is a connection that did not come to be because of a fault.
type FaultError struct {
	// Fault is its name, and How what it did.
	Fault string
	How   faults.ConnectFailure
}

var failures = map[faults.ConnectFailure]syscall.Errno{
	faults.Refused:         syscall.ECONNREFUSED,
	faults.ResetAtOnce:     syscall.ECONNRESET,
	faults.HostUnreachable: syscall.EHOSTUNREACH,
	faults.NetUnreachable:  syscall.ENETUNREACH,
	faults.TimedOut:        syscall.ETIMEDOUT,
}

func (e *FaultError) Error() string { return e.Unwrap().Error() + ", by the fault " + e.Fault }

// Unwrap is what the same failure would be without a fault: a syscall.Errno.
func (e *FaultError) Unwrap() error { return failures[e.How] }

// failedBy says whether an error is that of a fault that has connections fail
// in some way.
func failedBy(err error, how faults.ConnectFailure) bool {
	var by *FaultError
	return errors.As(err, &by) && by.How == how
}

// reach dials an upstream for a flow, through the faults that making a
// connection meets. When it returns, a client that waits in that way may be
// told. What a fault did is a [FaultError]; of a client that is told nothing it
// returns when ctx ends, and with [ErrEnded] when the run does.
func (s *Server) reach(ctx context.Context, f *Flow, wait faults.Wait, address string, like Socket) (*net.TCPConn, error) {
	if !f.Matched || !s.Plan.Connects(wait) {
		return s.dial(ctx, address, like)
	}
	a := &attempt{server: s, flow: f, life: life{stop: ctx.Done(), ending: s.ending}, made: s.Plan.Connect(f.ID, s.Clock.Now(), wait)}
	conn, err := a.dial(ctx, address, like)
	if err != nil && (ctx.Err() != nil || errors.Is(err, ErrEnded)) {
		return nil, err // and nobody waits any more
	}
	if unanswered := a.await(a.made.Answer(s.Clock.Now())); unanswered != nil {
		if conn != nil {
			reset(conn)
		}
		return nil, unanswered
	}
	return conn, err
}

// attempt is one to make the connection of a flow.
type attempt struct {
	server *Server
	flow   *Flow
	life   life
	made   *faults.Connect
	by     string // the fault that keeps it from being made, if one does
}

// dial connects, or fails as a fault has it.
func (a *attempt) dial(ctx context.Context, address string, like Socket) (*net.TCPConn, error) {
	if how := a.made.Fail; how != "" {
		a.tell(false, 0)
		return nil, &FaultError{a.by, how}
	}
	if err := a.await(a.made.Dial); err != nil {
		return nil, err
	}
	return a.server.dial(ctx, address, like)
}

// await waits until a time that faults have set, and tells what they did.
func (a *attempt) await(until time.Duration) error {
	a.tell(false, 0)
	switch err := a.life.wait(a.server.Clock, until); {
	case err == errStopped && until == faults.Never:
		return &FaultError{a.by, faults.TimedOut}
	case err != nil:
		return gone(err)
	}
	a.tell(true, max(0, a.server.Clock.Now()-until))
	return nil
}

// tell reports what the faults did, but for what was told before: what they
// delayed once that was waited for, anything else without waiting.
func (a *attempt) tell(waited bool, late time.Duration) {
	now := a.server.Clock.Now()
	for link, effects := range a.made.Effects {
		a.made.Effects[link] = nil
		for _, e := range effects {
			if delayed := e.Delay != 0 && e.Delay != faults.Never; delayed != waited {
				a.made.Effects[link] = append(a.made.Effects[link], e)
				continue
			}
			if e.Hit > 0 || e.Delay == faults.Never {
				a.by = a.server.Plan.Faults[e.Fault].Name()
			}
			a.flow.did.of(faults.Link(link)).add(e, late, now)
			a.server.Observer.Injected(a.flow, faults.Link(link), e, late)
		}
	}
}

// sitOut has a client wait that was accepted, and whose upstream a fault has
// not answer: nothing comes until it leaves, or the run ends.
func (s *Server) sitOut(c *net.TCPConn) error {
	left := make(chan struct{})
	go func() {
		select {
		case <-left:
		case <-s.ending:
			_ = c.SetReadDeadline(time.Unix(1, 0))
		}
	}()
	_, err := io.Copy(io.Discard, c)
	close(left)
	if timeout := (net.Error)(nil); errors.As(err, &timeout) && timeout.Timeout() {
		return ErrEnded
	}
	return nil
}
