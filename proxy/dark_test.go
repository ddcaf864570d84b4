package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/faultproxy/fault/faults"
)

// quiet is how long nothing has to arrive where nothing may. Waiting longer
// would find no more: what arrives by mistake does so at once.
const quiet = 50 * time.Millisecond

// silent checks that neither bytes nor an end nor a reset arrive.
func silent(t *testing.T, c net.Conn) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(quiet))
	n, err := c.Read(make([]byte, 1))
	if n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes and %v arrived", n, err)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
}

func dark(side faults.Side, direction faults.Direction) *faults.Plan {
	return planOf(faults.Blackhole{On: faults.LinksOf(side, direction)})
}

// inTheDark opens a flow with a blackhole, in each of the ways.
func inTheDark(t *testing.T, direction faults.Direction, test func(t *testing.T, f flow)) {
	for name, open := range map[string]func(t *testing.T) flow{
		"intercepted":   func(t *testing.T) flow { return intercept(t, dark(faults.Server, direction)) },
		"in goroutines": func(t *testing.T) flow { return portably(t, dark(faults.Server, direction)) },
		"CONNECT": func(t *testing.T) flow {
			plan, light := dark(faults.Server, direction), atomic.Bool{}
			plan.Paused = light.Load // or there would be no tunnel
			light.Store(true)
			ln, p := listen(t), run(t, &Server{Plan: plan})
			c := tunnelled(t, p.addr, ln.Addr().String())
			light.Store(false)
			return flow{c, accept(t, ln), p}
		},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			test(t, open(t))
		})
	}
}

func TestNothingReachesTheClient(t *testing.T) {
	inTheDark(t, faults.Ingress, func(t *testing.T, f flow) {
		send(t, f.client, "question")
		expect(t, f.server, "question")
		send(t, f.server, "answer")
		send(t, f.server, strings.Repeat("more", 1<<20)) // which nobody holds back
		closeWrite(t, f.server)
		silent(t, f.client)
		// The other link is as it was.
		send(t, f.client, "hello?")
		expect(t, f.server, "hello?")
		f.client.Close()
		expectEnd(t, f.server, "")
		got := next(t, f.proxy.ended)
		in := injectedInto(t, got, faults.ToClient)
		if got.Err != nil || got.EndedBy != EndClient || in.Swallowed != 6+4<<20 {
			t.Errorf("%+v", got)
		}
	})
}

// A server that goes on and takes no notice of the client's end does not keep
// the flow.
func TestDarkFlowEndsWithTheClient(t *testing.T) {
	inTheDark(t, faults.Ingress, func(t *testing.T, f flow) {
		send(t, f.server, "answer")
		eventuallyDark(t, f)
		f.client.Close()
		if got := next(t, f.proxy.ended); got.Err != nil {
			t.Errorf("%+v", got)
		}
	})
}

// eventuallyDark waits until the proxy has swallowed something.
func eventuallyDark(t *testing.T, f flow) {
	t.Helper()
	if !within(func() bool { return len(f.proxy.injected(faults.ToServer))+len(f.proxy.injected(faults.ToClient)) > 0 }) {
		t.Fatal("nothing was swallowed")
	}
}

// The client does not learn that the server has gone, however it has.
func TestServerLeavesInTheDark(t *testing.T) {
	for name, leave := range map[string]func(*net.TCPConn){
		"close": func(c *net.TCPConn) { c.Close() },
		"reset": func(c *net.TCPConn) { reset(c) },
	} {
		t.Run(name, func(t *testing.T) {
			inTheDark(t, faults.Ingress, func(t *testing.T, f flow) {
				send(t, f.server, "answer")
				eventuallyDark(t, f)
				leave(f.server)
				silent(t, f.client)
				for range 3 { // the first makes the far end reset, if it had not
					send(t, f.client, "hello?")
					silent(t, f.client)
				}
				f.client.Close()
				if got := next(t, f.proxy.ended); got.Err != nil {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

func TestNothingReachesTheServer(t *testing.T) {
	for _, direction := range []faults.Direction{faults.Egress, faults.Both} {
		inTheDark(t, direction, func(t *testing.T, f flow) {
			send(t, f.client, "question")
			silent(t, f.server)
			if direction == faults.Egress {
				send(t, f.server, "banner")
				expect(t, f.client, "banner")
			}
			f.client.Close() // the server hears no more than that its peer has gone
			got := next(t, f.proxy.ended)
			if _, err := f.server.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the server read %v", err)
			}
			if got.Err != nil || injectedInto(t, got, faults.ToServer).Swallowed != 8 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// A client that has said all and waits for the answer waits on.
func TestHalfClosedClientInTheDark(t *testing.T) {
	inTheDark(t, faults.Ingress, func(t *testing.T, f flow) {
		send(t, f.client, "question")
		closeWrite(t, f.client)
		expectEnd(t, f.server, "question")
		send(t, f.server, "answer")
		silent(t, f.client)
		f.server.Close()
		if got := next(t, f.proxy.ended); got.Err != nil || got.EndedBy != EndClient {
			t.Errorf("%+v", got)
		}
	})
}

// What was sent in the dark arrives when it is over.
func TestDarkPeriod(t *testing.T) { byEachMover(t, testDarkPeriod) }

func testDarkPeriod(t *testing.T, intercept opener) {
	noLeaks(t)
	plan := dark(faults.Server, faults.Both)
	plan.Faults[0].Schedule = faults.Schedule{{Start: 0, End: 2 * quiet}}
	f := intercept(t, plan)
	send(t, f.client, "question")
	send(t, f.server, "answer")
	silent(t, f.client)
	closeWrite(t, f.server)
	expectEnd(t, f.client, "answer")
	if now := f.proxy.Clock.Now(); now < 2*quiet {
		t.Errorf("it arrived after %v", now)
	}
	closeWrite(t, f.client)
	expectEnd(t, f.server, "question")
	if got := next(t, f.proxy.ended); got.Err != nil || injected(got).Swallowed != 0 {
		t.Errorf("%+v", got)
	}
}

func injected(f Flow) (sum Injection) {
	for _, i := range f.Injected {
		sum.Swallowed += i.Swallowed
	}
	return sum
}

// The end of a run does not wait for what will never come.
func TestDrainCutsDarkFlows(t *testing.T) {
	inTheDark(t, faults.Ingress, func(t *testing.T, f flow) {
		send(t, f.server, "answer")
		eventuallyDark(t, f)
		f.proxy.stop()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		f.proxy.Drain(ctx)
		if got := next(t, f.proxy.ended); !errors.Is(got.Err, ErrEnded) || ctx.Err() != nil {
			t.Errorf("%+v, %v", got, ctx.Err())
		}
	})
}

func TestForwardedRequestInTheDark(t *testing.T) {
	for _, direction := range []faults.Direction{faults.Ingress, faults.Egress, faults.Both} {
		for _, body := range []string{"", "some"} {
			t.Run(string(direction)+" "+body, func(t *testing.T) {
				noLeaks(t)
				ln := listen(t)
				p := run(t, &Server{Plan: dark(faults.Server, direction)})
				web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					_, _ = io.WriteString(w, "answer")
				})}
				go func() { _ = web.Serve(ln) }()
				defer web.Close()
				c := dial(t, p.addr)
				method := map[string]string{"": "GET", "some": "POST"}[body]
				send(t, c, method+" http://"+ln.Addr().String()+"/ HTTP/1.1\r\nHost: x\r\nContent-Length: "+
					map[string]string{"": "0", "some": "4"}[body]+"\r\n\r\n"+body)
				eventuallyDark(t, flow{proxy: p})
				silent(t, c)
				c.Close()
				if got := next(t, p.ended); !errors.Is(got.Err, context.Canceled) {
					t.Errorf("%+v", got)
				}
			})
		}
	}
}

func TestDrainCutsForwardedRequestInTheDark(t *testing.T) {
	noLeaks(t)
	ln := listen(t)
	p := run(t, &Server{Plan: dark(faults.Server, faults.Egress)})
	c := dial(t, p.addr)
	send(t, c, "GET http://"+ln.Addr().String()+"/ HTTP/1.1\r\nHost: x\r\n\r\n")
	eventuallyDark(t, flow{proxy: p})
	p.stop()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	p.Drain(ctx)
	if got := next(t, p.ended); !errors.Is(got.Err, ErrEnded) || ctx.Err() != nil {
		t.Errorf("%+v, %v", got, ctx.Err())
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client read %v", err)
	}
}
