package proxy

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/faultproxy/fault/faults"
)

// Who is held hears of a failure by a fault what the kernel would have said.
func TestHeldConnectErrors(t *testing.T) {
	for how, told := range map[faults.ConnectFailure]syscall.Errno{
		faults.Refused: syscall.ECONNREFUSED, faults.HostUnreachable: syscall.EHOSTUNREACH, faults.NetUnreachable: syscall.ENETUNREACH,
	} {
		t.Run(string(how), func(t *testing.T) {
			upstream := listen(t)
			p, w := hold(t, &Server{Plan: failing(how)}, addrPort(upstream.Addr()))
			if got := next(t, w.denied); got != told {
				t.Errorf("told %v, want %v", got, told)
			}
			p.Gone(nil, w.client)
			failedByFault(t, next(t, p.ended), how)
			unvisited(t, upstream)
		})
	}
}

// A connection that is to be reset is let in before.
func TestHeldReset(t *testing.T) {
	upstream := listen(t)
	p, w := hold(t, &Server{Plan: failing(faults.ResetAtOnce)}, addrPort(upstream.Addr()))
	c := next(t, w.conn)
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read %v", err)
	}
	failedByFault(t, next(t, p.ended), faults.ResetAtOnce)
	unvisited(t, upstream)
}

// Nothing is told of a timeout, or in a blackhole, until the client gives up or
// the run ends.
func TestHeldUnanswered(t *testing.T) {
	for name, plan := range map[string]*faults.Plan{
		"timeout": failing(faults.TimedOut), "to client": dark(faults.Server, faults.Ingress), "to server": dark(faults.Server, faults.Egress),
	} {
		t.Run(name, func(t *testing.T) {
			upstream := listen(t)
			p, w := hold(t, &Server{Plan: plan}, addrPort(upstream.Addr()))
			select {
			case errno := <-w.denied:
				t.Errorf("told %v", errno)
			case <-w.conn:
				t.Error("let in")
			case <-time.After(quiet):
			}
			p.Gone(nil, w.client)
			if f := next(t, p.ended); Failure(f.Err) != "injected" || f.EndedBy != EndFault || len(f.Injected) != 1 {
				t.Errorf("%v; %+v", f.Err, f)
			}
			unvisited(t, upstream)
		})
	}
}

func TestHeldUnansweredEndsWithTheRun(t *testing.T) {
	p, w := hold(t, &Server{Plan: failing(faults.TimedOut)}, addrPort(listen(t).Addr()))
	if !within(func() bool { return len(p.injected(faults.ToServer)) > 0 }) {
		t.Fatal("nothing was injected")
	}
	go p.Drain(t.Context())
	if got := next(t, w.denied); got != syscall.ECONNREFUSED {
		t.Errorf("told %v", got)
	}
	p.Gone(nil, w.client)
	if f := next(t, p.ended); Failure(f.Err) != "cut-off" {
		t.Errorf("%v", f.Err)
	}
}

// By default both the connect and the bytes of who is held are delayed.
func TestHeldLatency(t *testing.T) {
	const d = 60 * ms
	for phase, pieces := range map[faults.Phase][2]int{
		faults.AtDefault: {1, 2}, faults.AtBoth: {1, 2}, faults.AtConnect: {1, 1}, faults.AtData: {0, 1},
	} {
		t.Run("on "+string(phase), func(t *testing.T) {
			upstream := listen(t)
			p, w := hold(t, &Server{Plan: slowConnect(d, phase)}, addrPort(upstream.Addr()))
			server := accept(t, upstream)
			c := next(t, w.conn)
			if now := p.Clock.Now(); now < time.Duration(pieces[0])*d {
				t.Errorf("let in at %v", now)
			}
			send(t, server, "hello")
			expect(t, c, "hello")
			if now := p.Clock.Now(); now < time.Duration(pieces[1])*d {
				t.Errorf("heard at %v", now)
			}
			server.Close()
			c.Close()
			if f := next(t, p.ended); injectedInto(t, f, faults.ToClient).Pieces != pieces[1] {
				t.Errorf("%+v", f.Injected)
			}
		})
	}
}
