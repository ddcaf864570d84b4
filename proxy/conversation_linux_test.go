package proxy

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"

	"github.com/faultproxy/fault/faults"
)

// dialling is a conversation whose upstream does not answer, with a client that
// has said something.
func dialling(t *testing.T, plan *faults.Plan, says string) (p *running, c *net.TCPConn) {
	t.Helper()
	to := unanswered(t)
	dialled := make(chan struct{}, 1)
	p = run(t, &Server{
		Plan:   plan,
		Origin: func(net.Conn) (Intercepted, bool, error) { return Intercepted{Destination: to}, true, nil },
		Exempt: func(string, string, syscall.RawConn) error { dialled <- struct{}{}; return nil },
	})
	c = dial(t, p.addr)
	send(t, c, says)
	next(t, dialled)
	return p, c
}

// whileDialling are what a client may have said while nobody hears.
var whileDialling = map[string]string{"nothing": "", "a request": simple, "no request": "\x00"}

// Who leaves is not waited for.
func TestClientLeavesConversationWhileDialling(t *testing.T) {
	for name, says := range whileDialling {
		for _, shaped := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				noLeaks(t)
				plan := answering(0, 1)
				if shaped {
					plan.Faults = append(plan.Faults, delayed(short, true, 1).Faults...)
				}
				p, c := dialling(t, plan, says)
				reset(c)
				f := next(t, p.ended)
				if failure := Failure(f.Err); failure != "client-gone" && (says != "" || failure != "reset") {
					t.Errorf("%v (%s)", f.Err, failure)
				}
			})
		}
	}
}

// A client that needs nothing of an upstream that does not answer is answered,
// and may leave as it likes.
func TestAnsweredWhileDialling(t *testing.T) {
	for name, leave := range map[string]func(*net.TCPConn){
		"close": func(c *net.TCPConn) { c.Close() }, "reset": func(c *net.TCPConn) { reset(c) },
		"half-close": func(c *net.TCPConn) { _ = c.CloseWrite() },
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			p, c := dialling(t, answering(1, 1), "")
			for range 2 {
				send(t, c, simple)
				hears(t, "the client", c, notToday)
			}
			leave(c)
			if name == "half-close" {
				expectEnd(t, c, "")
			}
			f := next(t, p.ended)
			if f.Answered != 503 || name != "reset" && f.Err != nil {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestRunEndsWhileConversationDials(t *testing.T) {
	for name, says := range whileDialling {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			p, c := dialling(t, answering(0, 1), says)
			p.stop()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			p.Drain(ctx)
			expectReset(t, c)
			if f := next(t, p.ended); f.Err != ErrEnded {
				t.Error(f.Err)
			}
		})
	}
}

// A client that leaves while its answer waits for its turn is not waited for
// either.
func TestClientLeavesBeforeItsTurn(t *testing.T) {
	inEachStream(t, deciding(false, true), func(t *testing.T, p *running, c *net.TCPConn, ln *net.TCPListener) {
		send(t, c, simple+simple)
		server := accept(t, ln)
		hears(t, "the server", server, simple)
		silent(t, server) // the second waits
		reset(c)
		var err error
		for buf := make([]byte, 1<<10); err == nil; {
			_, err = server.Read(buf)
		}
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the server heard %v", err)
		}
		if f := next(t, p.ended); Failure(f.Err) != "reset" || f.Answered != 0 {
			t.Errorf("%+v", f)
		}
	})
}
