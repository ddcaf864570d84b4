package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/faultproxy/fault/faults"
)

// openings are how a flow can be under way.
var openings = map[string]func(t *testing.T, plan *faults.Plan) flow{
	"intercepted":   intercept,
	"in goroutines": portably,
	"CONNECT": func(t *testing.T, plan *faults.Plan) flow {
		ln, p := listen(t), run(t, &Server{Plan: plan})
		return flow{tunnelled(t, p.addr, ln.Addr().String()), accept(t, ln), p}
	},
	"request": func(t *testing.T, plan *faults.Plan) flow { return asked(t, plan, "GET", "") },
	"upload": func(t *testing.T, plan *faults.Plan) flow {
		f := asked(t, plan, "POST", "Content-Length: 9\r\n")
		send(t, f.client, "half")
		expect(t, f.server, "half")
		return f
	},
	"response": func(t *testing.T, plan *faults.Plan) flow {
		f := asked(t, plan, "GET", "")
		send(t, f.server, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
		readHead(t, f.client)
		expect(t, f.client, "half")
		return f
	},
}

// asked is a request whose head has arrived.
func asked(t *testing.T, plan *faults.Plan, method, header string) flow {
	t.Helper()
	ln, p := listen(t), run(t, &Server{Plan: plan})
	client := dial(t, p.addr)
	send(t, client, method+" http://"+ln.Addr().String()+"/ HTTP/1.1\r\nHost: x\r\n"+header+"\r\n")
	server := accept(t, ln)
	readHead(t, server)
	return flow{client, server, p}
}

func TestDrainCutsOff(t *testing.T) {
	for name, open := range openings {
		for mode, plan := range map[string]*faults.Plan{
			"null": nil, "once": delayed(short, false, 1), "per piece": delayed(short, true, 1),
		} {
			t.Run(name+" "+mode, func(t *testing.T) {
				noLeaks(t)
				f := open(t, plan)
				f.proxy.stop()
				next(t, draining(expired, f.proxy))
				expectReset(t, f.client)
				// A tunnel's server is reset, too; of a request's, a Transport
				// only closes the connection.
				if _, err := io.Copy(io.Discard, f.server); errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error("the server was not told")
				}
				if got := next(t, f.proxy.ended); got.Err != ErrEnded {
					t.Errorf("%+v", got)
				}
			})
		}
	}
}

// draining drains, and is closed when that is done.
func draining(ctx context.Context, p *running) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Drain(ctx)
	}()
	return done
}

// Also what a fault holds for long is let go.
func TestDrainCutsOffWhatFaultsHold(t *testing.T) {
	for _, perReadWrite := range []bool{false, true} {
		for name, request := range map[string]string{"tunnel": "", "request": "GET / HTTP/1.1\r\nHost: $\r\n\r\n"} {
			t.Run(name, func(t *testing.T) {
				noLeaks(t)
				ln := listen(t)
				s := &Server{Plan: delayed(constant(time.Hour), perReadWrite, 1)}
				if request == "" {
					s.Origin = divertedTo(ln)
				}
				p := run(t, s)
				c := dial(t, p.addr)
				send(t, c, "GET / HTTP/1.1\r\nHost: "+ln.Addr().String()+"\r\n\r\n")
				next(t, p.begun)
				p.stop()
				next(t, draining(expired, p))
				expectReset(t, c)
				if got := next(t, p.ended); got.Err != ErrEnded {
					t.Errorf("%+v", got)
				}
			})
		}
	}
}

func TestDrainWaitsForTunnels(t *testing.T) {
	for _, name := range []string{"intercepted", "CONNECT"} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			f := openings[name](t, nil)
			f.proxy.stop()
			done := draining(t.Context(), f.proxy)
			<-f.proxy.clients.closed // it has begun
			send(t, f.client, "still")
			expect(t, f.server, "still")
			send(t, f.server, "here")
			expect(t, f.client, "here")
			select {
			case <-done:
				t.Error("drained a flow that was open")
			default:
			}
			f.client.Close()
			expectEnd(t, f.server, "")
			f.server.Close()
			next(t, done)
			ended(t, f, 5, 4)
		})
	}
}

func TestDrainWaitsForResponses(t *testing.T) {
	noLeaks(t)
	f := openings["response"](t, nil)
	f.proxy.stop()
	done := draining(t.Context(), f.proxy)
	<-f.proxy.clients.closed
	send(t, f.server, "other")
	expectEnd(t, f.client, "other") // and no more on this connection
	next(t, done)
	if got := next(t, f.proxy.ended); got.Err != nil || got.Bytes[faults.ToClient] != 9 {
		t.Errorf("%+v", got)
	}
}

// Connections on which nothing is under way are no flows, whatever they are
// waiting for.
func TestDrainDoesNotWaitForIdleClients(t *testing.T) {
	noLeaks(t)
	ln, p := listen(t), run(t, &Server{})
	idle, silent, slow := dial(t, p.addr), dial(t, p.addr), dial(t, p.addr)
	send(t, idle, "GET http://"+ln.Addr().String()+"/ HTTP/1.1\r\nHost: x\r\n\r\n")
	server := accept(t, ln)
	readHead(t, server)
	send(t, server, ok)
	resp, err := http.ReadResponse(bufio.NewReader(idle), nil)
	if err != nil {
		t.Fatal(err)
	}
	expectEnd(t, resp.Body, "hi")
	next(t, p.ended)
	send(t, slow, "GET http://")
	p.stop()
	// net/http's own way takes 5 s and more to give up on a silent client.
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	p.Drain(ctx)
	if ctx.Err() != nil {
		t.Error("it waited")
	}
	for _, c := range []*net.TCPConn{idle, silent, slow, server} {
		if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("a connection stayed open")
		}
	}
}

// Whoever comes when the run is over is turned away.
func TestDrained(t *testing.T) {
	noLeaks(t)
	p := run(t, &Server{})
	p.stop()
	p.Drain(expired)
	ln := listen(t)
	served := make(chan error, 1)
	if p.begin() {
		t.Error("work may begin")
	}
	go func() { served <- p.http.Serve(ln) }()
	if err := next(t, served); err != http.ErrServerClosed {
		t.Error(err)
	}
	p.Drain(expired) // again, and nothing happens
}
