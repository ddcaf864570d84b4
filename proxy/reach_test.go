package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/faultproxy/fault/faults"
)

// toClientOnly is the link that faults are on by default.
var toClientOnly = faults.LinksOf(faults.Server, faults.Ingress)

func failing(how faults.ConnectFailure) *faults.Plan {
	return planOf(faults.ConnectError{Kind: how, Probability: 1})
}

// slowConnect is a plan with one latency, that connecting meets or does not.
func slowConnect(d time.Duration, phase faults.Phase) *faults.Plan {
	return planOf(faults.Latency{Delay: constant(d), On: toClientOnly, Phase: phase})
}

// unvisited checks that nobody has connected to a listener.
func unvisited(t *testing.T, ln *net.TCPListener) {
	t.Helper()
	c := dial(t, ln.Addr().String())
	if first := accept(t, ln); first.RemoteAddr().String() != c.LocalAddr().String() {
		t.Errorf("%v has connected to the upstream", first.RemoteAddr())
	}
}

// failedByFault checks what is told of a flow that a fault has kept from
// connecting.
func failedByFault(t *testing.T, f Flow, how faults.ConnectFailure) {
	t.Helper()
	var by *FaultError
	if !errors.As(f.Err, &by) || by.Fault != "connect-error" || by.How != how || Failure(f.Err) != "injected" ||
		f.EndedBy != EndFault || f.Upstream.IsValid() || !f.Matched {
		t.Errorf("%s: %v, %s; %+v", how, f.Err, Failure(f.Err), f)
	}
	if in := injectedInto(t, f, faults.ToServer); in.Tried != 1 || in.Hit != 1 {
		t.Errorf("%s: %+v", how, f.Injected)
	}
}

func TestConnectErrorIsAnswered(t *testing.T) {
	for _, tc := range []struct {
		how             faults.ConnectFailure
		status, connect int
	}{
		{faults.Refused, 502, 502},
		{faults.HostUnreachable, 502, 502},
		{faults.NetUnreachable, 502, 502},
		{faults.ResetAtOnce, 502, 200},
		{faults.TimedOut, 504, 504},
	} {
		t.Run(string(tc.how), func(t *testing.T) {
			noLeaks(t)
			ln, p := listen(t), run(t, &Server{Plan: failing(tc.how)})
			for request, want := range map[string]int{
				"GET http://" + ln.Addr().String() + "/ HTTP/1.1\r\nHost: x\r\n\r\n": tc.status,
				"CONNECT " + ln.Addr().String() + " HTTP/1.1\r\nHost: x\r\n\r\n":     tc.connect,
			} {
				c := dial(t, p.addr)
				send(t, c, request)
				head := readHead(t, c)
				if !strings.HasPrefix(head, fmt.Sprintf("HTTP/1.1 %d ", want)) {
					t.Errorf("%.7s is answered with %q", request, head)
				}
				if want == 200 {
					if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
						t.Errorf("a tunnel that is to be reset ends with %v", err)
					}
				} else {
					c.CloseWrite()
					body, err := io.ReadAll(c)
					if err != nil || !strings.Contains(string(body), "by the fault connect-error") || !strings.Contains(head, "text/plain") {
						t.Errorf("%q%q, %v", head, body, err)
					}
				}
				c.Close()
				failedByFault(t, next(t, p.ended), tc.how)
			}
			unvisited(t, ln)
		})
	}
}

// A mapping's client is connected already: a failure is a reset, and a timeout
// silence.
func TestConnectErrorOfAcceptedClients(t *testing.T) {
	for _, how := range faults.ConnectFailures {
		t.Run(string(how), func(t *testing.T) {
			noLeaks(t)
			ln := listen(t)
			p := mapTo(t, &Server{Plan: failing(how)}, "", ln.Addr().String())
			c, err := net.Dial("tcp", p.addr)
			if how == faults.TimedOut {
				send(t, c, "hello")
				silent(t, c)
				c.Close()
			} else if err == nil { // it is not reset yet
				_, err = bounded(t, c.(*net.TCPConn)).Read(make([]byte, 1))
			}
			if how != faults.TimedOut && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the client gets %v", err)
			}
			failedByFault(t, next(t, p.ended), how)
			unvisited(t, ln)
		})
	}
}

// Nobody waits for what will never come when the run ends.
func TestUnansweredClientsEndWithTheRun(t *testing.T) {
	target := listen(t)
	for name, tc := range map[string]struct {
		plan *faults.Plan
		open func(t *testing.T, s *Server) *running
		says string
	}{
		"a mapping that times out": {failing(faults.TimedOut), func(t *testing.T, s *Server) *running {
			return mapTo(t, s, "", target.Addr().String())
		}, "hello"},
		"CONNECT into a blackhole": {dark(faults.Server, faults.Ingress), func(t *testing.T, s *Server) *running {
			return run(t, s)
		}, "CONNECT " + target.Addr().String() + " HTTP/1.1\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			p := tc.open(t, &Server{Plan: tc.plan})
			c := dial(t, p.addr)
			send(t, c, tc.says)
			if !within(func() bool { return len(p.injected(faults.ToServer))+len(p.injected(faults.ToClient)) > 0 }) {
				t.Fatal("nothing was injected")
			}
			p.stop()
			p.Drain(t.Context())
			if f := next(t, p.ended); Failure(f.Err) != "cut-off" {
				t.Errorf("%v; %+v", f.Err, f)
			}
		})
	}
}

// The answer to CONNECT waits where that is asked for, whatever it is.
func TestLatencyOnCONNECT(t *testing.T) {
	const d = 60 * ms
	closed := listen(t)
	closed.Close()
	for phase, pieces := range map[faults.Phase][2]int{ // of a tunnel with an answer, and of a refusal
		faults.AtDefault: {1, 0}, faults.AtData: {1, 0}, faults.AtConnect: {1, 1}, faults.AtBoth: {2, 1},
	} {
		t.Run(string("on "+phase), func(t *testing.T) {
			noLeaks(t)
			ln, p := listen(t), run(t, &Server{Plan: slowConnect(d, phase)})
			began := time.Now()
			c := tunnelled(t, p.addr, ln.Addr().String())
			connected := time.Since(began)
			server := accept(t, ln)
			send(t, server, "hello")
			expect(t, c, "hello")
			heard := time.Since(began)
			c.Close()
			server.Close()
			if f := next(t, p.ended); injectedInto(t, f, faults.ToClient).Pieces != pieces[0] ||
				injectedInto(t, f, faults.ToClient).Sum < time.Duration(pieces[0])*d || heard < time.Duration(pieces[0])*d {
				t.Errorf("heard after %v; %+v", heard, f.Injected)
			}
			if pieces[1] > 0 && connected < d {
				t.Errorf("connected after %v", connected)
			}
			began = time.Now()
			code, _ := status(t, p.addr, "CONNECT "+closed.Addr().String()+" HTTP/1.1\r\nHost: x\r\n\r\n")
			if refused := time.Since(began); code != 502 || pieces[1] > 0 && refused < d {
				t.Errorf("%d after %v", code, refused)
			}
			if f := next(t, p.ended); Failure(f.Err) != "refused" || injectedInto(t, f, faults.ToClient).Pieces != pieces[1] {
				t.Errorf("%v; %+v", f.Err, f.Injected)
			}
		})
	}
}

// On a forward proxy and a mapping what follows the dialling waits for it.
func TestLatencyOnConnectOfAcceptedClients(t *testing.T) {
	const d = 60 * ms
	for _, from := range []string{"", "http:"} {
		t.Run("mapping "+from, func(t *testing.T) {
			noLeaks(t)
			ln := listen(t)
			p := mapTo(t, &Server{Plan: slowConnect(d, faults.AtConnect)}, from, "http://"+ln.Addr().String())
			c := dial(t, p.addr)
			began := time.Now()
			send(t, c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			server := accept(t, ln)
			expect(t, server, "GET / HTTP/1.1\r\n")
			if took := time.Since(began); took < d {
				t.Errorf("sent after %v", took)
			}
			send(t, server, strings.Replace(ok, "\r\n", "\r\nConnection: close\r\n", 1))
			server.Close()
			expect(t, c, "HTTP/1.1 200 OK")
			c.Close()
			if f := next(t, p.ended); injectedInto(t, f, faults.ToClient).Pieces != 1 {
				t.Errorf("%v; %+v", f.Err, f.Injected)
			}
		})
	}
}

// In a blackhole CONNECT gets no answer, whichever link is dark, and the
// upstream hears nothing.
func TestCONNECTInTheDark(t *testing.T) {
	for _, direction := range []faults.Direction{faults.Ingress, faults.Egress, faults.Both} {
		t.Run(string(direction), func(t *testing.T) {
			noLeaks(t)
			ln, p := listen(t), run(t, &Server{Plan: dark(faults.Server, direction)})
			c := dial(t, p.addr)
			send(t, c, "CONNECT "+ln.Addr().String()+" HTTP/1.1\r\nHost: x\r\n\r\n")
			silent(t, c)
			c.Close()
			f := next(t, p.ended)
			var by *FaultError
			if !errors.As(f.Err, &by) || by.Fault != "blackhole" || f.EndedBy != EndFault || len(f.Injected) != 1 {
				t.Errorf("%v; %+v", f.Err, f)
			}
			unvisited(t, ln)
		})
	}
}

// When the hole closes, the answer comes.
func TestCONNECTBehindTheDark(t *testing.T) {
	noLeaks(t)
	const end = 80 * ms
	plan := dark(faults.Server, faults.Both)
	plan.Faults[0].Schedule = faults.Schedule{{Start: 0, End: end}}
	ln, p := listen(t), run(t, &Server{Plan: plan})
	c := tunnelled(t, p.addr, ln.Addr().String())
	if now := p.Clock.Now(); now < end {
		t.Errorf("connected at %v", now)
	}
	server := accept(t, ln)
	send(t, server, "hello")
	expect(t, c, "hello")
	c.Close()
	server.Close()
	if f := next(t, p.ended); f.Err != nil || len(f.Injected) != 1 || f.Injected[0].Pieces != 1 {
		t.Errorf("%v; %+v", f.Err, f)
	}
}

// What does not match is not met by faults at connect either.
func TestConnectFaultsOfOthers(t *testing.T) {
	noLeaks(t)
	plan := failing(faults.Refused)
	plan.Faults = append(plan.Faults, slowConnect(time.Hour, faults.AtConnect).Faults...)
	ln, p := listen(t), run(t, &Server{Plan: plan, Matches: matchNothing})
	c := tunnelled(t, p.addr, ln.Addr().String())
	server := accept(t, ln)
	c.Close()
	server.Close()
	if f := next(t, p.ended); f.Err != nil || f.Matched || f.Injected != nil {
		t.Errorf("%+v", f)
	}
}

// A name matches by its addresses before it is connected to, if that decides
// whether it is.
func TestConnectErrorOfAName(t *testing.T) {
	noLeaks(t)
	ln := listen(t)
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	p := run(t, &Server{Plan: failing(faults.Refused), Matches: func(_ string, _ uint16, addrs func() []netip.Addr) bool {
		for _, a := range addrs() {
			if a.Unmap() == netip.MustParseAddr("127.0.0.1") {
				return true
			}
		}
		return false
	}})
	if code, body := status(t, p.addr, "CONNECT localhost:"+port+" HTTP/1.1\r\nHost: x\r\n\r\n"); code != 502 {
		t.Errorf("%d, %s", code, body)
	}
	failedByFault(t, next(t, p.ended), faults.Refused)
}

// A client that leaves while its connection waits is told of as one that left,
// and nothing is told of its flow afterwards.
func TestClientLeavesWhileConnecting(t *testing.T) {
	for _, request := range []string{"CONNECT %[1]s HTTP/1.1\r\n\r\n", "GET http://%[1]s/ HTTP/1.1\r\nHost: x\r\n\r\n"} {
		t.Run(request[:3], func(t *testing.T) {
			noLeaks(t)
			ln, p := listen(t), run(t, &Server{Plan: slowConnect(time.Hour, faults.AtConnect)})
			c := dial(t, p.addr)
			send(t, c, fmt.Sprintf(request, ln.Addr()))
			server := accept(t, ln)
			c.Close()
			if f := next(t, p.ended); Failure(f.Err) != "client-gone" || f.Injected != nil {
				t.Errorf("%v; %+v", f.Err, f)
			}
			if _, err := server.Read(make([]byte, 1)); err == nil {
				t.Error("the upstream is not closed")
			}
		})
	}
}

// Who is held in connect(2) is told what the upstream would have said, when
// that would have come.
func TestReachForHeldClients(t *testing.T) {
	const d = 30 * ms
	errnos := map[faults.ConnectFailure]syscall.Errno{
		faults.Refused: syscall.ECONNREFUSED, faults.ResetAtOnce: syscall.ECONNRESET, faults.TimedOut: syscall.ETIMEDOUT,
		faults.HostUnreachable: syscall.EHOSTUNREACH, faults.NetUnreachable: syscall.ENETUNREACH,
	}
	for _, how := range faults.ConnectFailures {
		t.Run(string(how), func(t *testing.T) {
			noLeaks(t)
			plan := failing(how)
			plan.Faults = append(plan.Faults, slowConnect(d, faults.AtDefault).Faults...)
			p := run(t, &Server{Plan: plan})
			p.Start()
			f := p.open(&Flow{Matched: true})
			defer p.end(f)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var left atomic.Bool
			if how == faults.TimedOut {
				time.AfterFunc(quiet, func() { left.Store(true); cancel() })
			}
			began := time.Now()
			_, err := p.reach(ctx, f, faults.Held, listen(t).Addr().String(), Socket{})
			if took := time.Since(began); !errors.Is(err, errnos[how]) || took < d || left.Load() != (how == faults.TimedOut) {
				t.Errorf("%v after %v", err, took)
			}
		})
	}
}
