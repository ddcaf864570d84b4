package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/faultproxy/fault/faults"
)

const (
	onToServer = faults.Links(1 << faults.ToServer)
	onToClient = faults.Links(1 << faults.ToClient)
)

// endedByFault is a flow that a fault ended, and did so much to.
func endedByFault(t *testing.T, p *running, did Injection) Flow {
	t.Helper()
	f := next(t, p.ended)
	if f.Err != nil || f.EndedBy != EndFault {
		t.Errorf("ended by %q with %v", f.EndedBy, f.Err)
	}
	for _, in := range f.Injected {
		if in.Fault == did.Fault && in.Link == did.Link && in.Tried == did.Tried && in.Hit == did.Hit && in.Swallowed == did.Swallowed {
			return f
		}
	}
	t.Errorf("injected %+v, want %+v", f.Injected, did)
	return f
}

// Exactly so many bytes arrive, however they come, and then a reset at both
// ends, also where the receiver is slow.
func TestResetAfterBytes(t *testing.T) { byEachMover(t, testResetAfterBytes) }

func testResetAfterBytes(t *testing.T, intercept opener) {
	const limit = 3 << 20
	for _, after := range []int64{0, 1, 1000, limit} {
		for _, link := range []faults.Link{faults.ToServer, faults.ToClient} {
			t.Run(fmt.Sprintf("%d %v", after, link), func(t *testing.T) {
				noLeaks(t)
				f := intercept(t, planOf(faults.Reset{AfterBytes: after, On: 1 << link}))
				from, to := f.client, f.server
				if link == faults.ToClient {
					from, to = to, from
				}
				_ = to.SetReadBuffer(64 << 10)
				var sending sync.WaitGroup
				sending.Go(func() {
					_, err := io.Copy(from, noise(7, 2*limit))
					if err == nil { // it fitted into buffers
						_, err = from.Read(make([]byte, 1))
					}
					if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
						t.Errorf("sending ended with %v", err)
					}
				})
				want, _ := digestOf(noise(7, after), make([]byte, 1<<20))
				got, err := digestOf(to, make([]byte, 3000))
				if got != want || !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("%d bytes arrived, as sent %v, then %v", got.n, got.sum == want.sum, err)
				}
				sending.Wait()
				ended := endedByFault(t, f.proxy, Injection{Link: link, Tried: 1, Hit: 1})
				if ended.Bytes[link] != after {
					t.Errorf("carried %d bytes", ended.Bytes[link])
				}
			})
		}
	}
}

// The other link does not count, and a flow that ends before the limit is as it
// was.
func TestNoResetBeforeTheLimit(t *testing.T) { byEachMover(t, testNoResetBeforeTheLimit) }

func testNoResetBeforeTheLimit(t *testing.T, intercept opener) {
	noLeaks(t)
	f := intercept(t, planOf(faults.Reset{AfterBytes: 10, On: onToClient}, faults.Truncate{AfterBytes: 10, On: onToClient}))
	send(t, f.client, strings.Repeat("x", 100))
	expect(t, f.server, strings.Repeat("x", 100))
	send(t, f.server, "123456789")
	f.server.Close()
	expectEnd(t, f.client, "123456789")
	f.client.Close()
	ended(t, f, 100, 9)
}

// A flow is reset when it is so old, with or without traffic, on whatever link
// bytes are counted.
func TestResetAfterTime(t *testing.T) {
	const after = 300 * time.Millisecond
	for name, tc := range map[string]struct {
		plan *faults.Plan
		busy bool
	}{
		"silent":                  {planOf(faults.Reset{AfterBytes: faults.Unlimited, After: after}), false},
		"busy":                    {planOf(faults.Reset{AfterBytes: faults.Unlimited, After: after}), true},
		"before so many bytes":    {planOf(faults.Reset{AfterBytes: 1 << 40, After: after, On: bothLinks}), true},
		"in the dark":             {planOf(faults.Blackhole{On: bothLinks}, faults.Reset{AfterBytes: faults.Unlimited, After: after}), true},
		"while the first waits":   {planOf(faults.Latency{Delay: constant(time.Hour), On: bothLinks}, faults.Reset{AfterBytes: faults.Unlimited, After: after}), true},
		"with answers of its own": {planOf(faults.HTTPResponse{Status: 500, Probability: 1}, faults.Reset{AfterBytes: faults.Unlimited, After: after}), false},
	} {
		t.Run(name, func(t *testing.T) {
			unhurried(t)
			noLeaks(t)
			ln := listen(t)
			p := run(t, &Server{Origin: divertedTo(ln), Plan: tc.plan})
			c := dial(t, p.addr)
			if tc.busy {
				send(t, c, "x")
			}
			expectReset(t, c)
			got := next(t, p.ended)
			if got.Err != nil || got.EndedBy != EndFault || got.Lasted < after {
				t.Errorf("%+v", got)
			}
		})
	}
}

// Who receives gets so many bytes and the end; who sends notices nothing, and
// the other link goes on.
func TestTruncate(t *testing.T) { byEachMover(t, testTruncate) }

func testTruncate(t *testing.T, intercept opener) {
	for _, after := range []int64{0, 1, 1000, 1 << 20} {
		for _, link := range []faults.Link{faults.ToServer, faults.ToClient} {
			t.Run(fmt.Sprintf("%d %v", after, link), func(t *testing.T) {
				noLeaks(t)
				f := intercept(t, planOf(faults.Truncate{AfterBytes: after, On: 1 << link}))
				from, to := f.client, f.server
				if link == faults.ToClient {
					from, to = to, from
				}
				const all = 8 << 20
				if _, err := io.Copy(from, noise(7, all)); err != nil {
					t.Fatal(err)
				}
				want, _ := digestOf(noise(7, after), make([]byte, 1<<20))
				if got, err := digestOf(to, make([]byte, 3000)); got != want || err != nil {
					t.Errorf("%d bytes arrived, as sent %v, then %v", got.n, got.sum == want.sum, err)
				}
				send(t, to, "still here")
				expect(t, from, "still here")
				closeWrite(t, from)
				swallowed := func() (n int64) {
					for _, e := range f.proxy.injected(link) {
						if e.Delay == faults.Never {
							n += int64(e.Bytes)
						}
					}
					return n
				}
				if !within(func() bool { return swallowed() == all-after }) {
					t.Errorf("%d bytes were swallowed", swallowed())
				}
				f.proxy.stillOpen(t)
				to.Close()
				expectEnd(t, from, "")
				did := endedByFault(t, f.proxy, Injection{Link: link, Tried: 1, Hit: 1, Swallowed: all - after})
				if did.Bytes[link] != after || did.Bytes[1-link] != int64(len("still here")) {
					t.Errorf("carried %v", did.Bytes)
				}
			})
		}
	}
}

// stillOpen fails if a flow has ended.
func (r *running) stillOpen(t *testing.T) {
	t.Helper()
	select {
	case f := <-r.ended:
		t.Fatalf("ended: %+v", f)
	default:
	}
}

// A sender that never stops is cut off once nobody listens and all that it is
// told has arrived.
func TestTruncatedSenderIsLeft(t *testing.T) { byEachMover(t, testTruncatedSenderIsLeft) }

func testTruncatedSenderIsLeft(t *testing.T, intercept opener) {
	for _, link := range []faults.Link{faults.ToServer, faults.ToClient} {
		t.Run(link.String(), func(t *testing.T) {
			noLeaks(t)
			f := intercept(t, planOf(faults.Truncate{AfterBytes: 5, On: 1 << link}))
			from, to := f.client, f.server
			if link == faults.ToClient {
				from, to = to, from
			}
			const said = 4 << 20
			var work sync.WaitGroup
			work.Go(func() {
				for _, err := from.Write(make([]byte, 1<<16)); err == nil; _, err = from.Write(make([]byte, 1<<16)) {
				}
			})
			work.Go(func() {
				if _, err := io.Copy(to, noise(3, said)); err != nil {
					t.Error(err)
				}
				_ = to.CloseWrite()
			})
			expectEnd(t, to, "\x00\x00\x00\x00\x00")
			want, _ := digestOf(noise(3, said), make([]byte, 1<<20))
			if got, err := digestOf(from, make([]byte, 3000)); got != want || err != nil {
				t.Errorf("the sender heard %d bytes, as said %v, then %v", got.n, got.sum == want.sum, err)
			}
			work.Wait()
			next(t, f.proxy.ended)
		})
	}
}

// Both directions truncated at once end, whoever leaves first.
func TestTruncatedBothWays(t *testing.T) { byEachMover(t, testTruncatedBothWays) }

func testTruncatedBothWays(t *testing.T, intercept opener) {
	for _, who := range []string{"client", "server"} {
		t.Run(who, func(t *testing.T) {
			noLeaks(t)
			f := intercept(t, planOf(faults.Truncate{AfterBytes: 3, On: bothLinks}))
			for _, ends := range sides(f) {
				send(t, ends[0], "12345")
				expectEnd(t, ends[1], "123")
			}
			sides(f)[who][0].Close()
			endedByFault(t, f.proxy, Injection{Link: faults.ToServer, Tried: 1, Hit: 1, Swallowed: 2})
		})
	}
}

// What is truncated one way and dark the other ends with the client.
func TestTruncatedInTheDark(t *testing.T) { byEachMover(t, testTruncatedInTheDark) }

func testTruncatedInTheDark(t *testing.T, intercept opener) {
	for _, truncated := range []faults.Link{faults.ToServer, faults.ToClient} {
		t.Run(truncated.String(), func(t *testing.T) {
			noLeaks(t)
			f := intercept(t, planOf(faults.Blackhole{On: 1 << (1 - truncated)}, faults.Truncate{AfterBytes: 1, On: 1 << truncated}))
			for _, ends := range sides(f) {
				send(t, ends[0], "12345")
			}
			if truncated == faults.ToServer {
				expectEnd(t, f.server, "1")
			} else {
				expectEnd(t, f.client, "1")
			}
			// A client that has left before does not end it: the server does.
			if !within(func() bool { return len(f.proxy.injected(1-truncated)) > 0 }) {
				t.Fatal("nothing got lost")
			}
			f.client.Close()
			next(t, f.proxy.ended)
		})
	}
}

func TestTruncatedSenderResets(t *testing.T) { byEachMover(t, testTruncatedSenderResets) }

func testTruncatedSenderResets(t *testing.T, intercept opener) {
	noLeaks(t)
	f := intercept(t, planOf(faults.Truncate{AfterBytes: 1, On: onToServer}))
	send(t, f.client, "12345")
	expectEnd(t, f.server, "1")
	reset(f.client)
	expectBroken(t, f.server)
	endedWith(t, f, "reset")
}

// Pieces are written one by one, and apart.
func TestSliceOverSockets(t *testing.T) { byEachMover(t, testSliceOverSockets) }

func testSliceOverSockets(t *testing.T, intercept opener) {
	noLeaks(t)
	f := intercept(t, planOf(faults.Slice{Size: 100, Variation: 20, Delay: 5 * ms, On: onToClient}))
	var sending sync.WaitGroup
	sending.Go(func() {
		_, _ = io.Copy(f.server, noise(1, 3000))
		f.server.Close()
	})
	want, _ := io.ReadAll(noise(1, 3000))
	var got []byte
	reads := 0
	for buf := make([]byte, 4096); ; {
		n, err := f.client.Read(buf)
		got = append(got, buf[:n]...)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		reads++
	}
	sending.Wait()
	f.client.Close()
	if string(got) != string(want) {
		t.Error("other bytes")
	}
	ended := next(t, f.proxy.ended)
	in := injectedInto(t, ended, faults.ToClient)
	// One read gets several pieces if we were not scheduled for long.
	if in.Hit < 25 || in.Hit > 38 || reads > in.Hit || reads < 2 {
		t.Errorf("%d pieces, %d reads", in.Hit, reads)
	}
}

func TestSlowClose(t *testing.T) { byEachMover(t, testSlowClose) }

func testSlowClose(t *testing.T, intercept opener) {
	const late = 300 * time.Millisecond
	inBoth := func(t *testing.T, f flow, who string) {
		one, other := sides(f)[who][0], sides(f)[who][1]
		send(t, one, "x")
		closed := time.Now()
		one.Close()
		expect(t, other, "x")
		expectEnd(t, other, "")
		if took := time.Since(closed); took < late {
			t.Errorf("the end came after %v", took)
		}
		other.Close()
		if got := next(t, f.proxy.ended); got.Err != nil {
			t.Error(got.Err)
		}
	}
	for _, who := range []string{"client", "server"} {
		t.Run(who, func(t *testing.T) {
			noLeaks(t)
			inBoth(t, intercept(t, planOf(faults.SlowClose{Delay: late, On: bothLinks})), who)
		})
	}
}

// A flow that is spared by all faults has nothing to shape, so that the kernel
// moves its bytes.
func TestSparedFlowsAreCopied(t *testing.T) {
	never := 0.0
	plan := &faults.Plan{}
	for _, f := range []faults.Fault{
		faults.Latency{Delay: constant(time.Hour), On: bothLinks}, faults.Jitter{Amplitude: time.Hour, Frequency: 1, On: bothLinks},
		faults.PacketLoss{Rate: 1, On: bothLinks}, faults.Blackhole{On: bothLinks}, faults.Bandwidth{Rate: 1, On: bothLinks},
		faults.HTTPResponse{Status: 500, Probability: 1}, faults.Reset{After: time.Nanosecond, On: bothLinks}, faults.Truncate{On: bothLinks},
		faults.Slice{Size: 1, On: bothLinks}, faults.SlowClose{Delay: time.Hour, On: bothLinks},
	} {
		plan.Faults = append(plan.Faults, faults.Planned{Fault: f, Probability: &never})
	}
	noLeaks(t)
	s := &Server{Plan: plan, Clock: NewClock()}
	f := &Flow{ID: 1, Matched: true, did: &tallies{}}
	for _, link := range []faults.Link{faults.ToServer, faults.ToClient} {
		if !s.chain(f, link, faults.Stream).Spent() {
			t.Errorf("%v is shaped", link)
		}
	}
	if s.answers(f) != nil {
		t.Error("requests are followed")
	}
	through := intercept(t, plan)
	send(t, through.client, "GET / HTTP/1.1\r\n\r\n")
	expect(t, through.server, "GET / HTTP/1.1\r\n\r\n")
	through.server.Close()
	expectEnd(t, through.client, "")
	through.client.Close()
	ended(t, through, 18, 0)
}

// forwarding is a proxy, an HTTP client's connection to it, and a server.
func forwarding(t *testing.T, plan *faults.Plan, handle http.HandlerFunc) (*running, *net.TCPConn, string) {
	t.Helper()
	ln := listen(t)
	server := &http.Server{Handler: handle}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { server.Close() })
	p := run(t, &Server{Plan: plan})
	return p, dial(t, p.addr), ln.Addr().String()
}

// On the proxy's own requests the bytes of the body count; nothing of a response
// comes if there are to be none.
func TestForwardedResponseIsCut(t *testing.T) {
	const body = "0123456789"
	for name, tc := range map[string]struct {
		fault faults.Fault
		want  string // of the body
		head  bool
		reset bool
	}{
		"truncated at once": {faults.Truncate{On: onToClient}, "", false, false},
		"truncated":         {faults.Truncate{AfterBytes: 4, On: onToClient}, "0123", true, false},
		"reset at once":     {faults.Reset{On: onToClient}, "", false, true},
		"reset":             {faults.Reset{AfterBytes: 4, On: onToClient}, "0123", true, true},
		"reset in time":     {faults.Reset{AfterBytes: faults.Unlimited, After: 200 * ms}, body, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			p, c, addr := forwarding(t, planOf(tc.fault), func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "1000")
				_, _ = io.WriteString(w, body)
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			})
			send(t, c, "GET http://"+addr+"/ HTTP/1.1\r\nHost: "+addr+"\r\n\r\n")
			if tc.head {
				if head := readHead(t, c); !strings.HasPrefix(head, "HTTP/1.1 200 ") {
					t.Errorf("%q", head)
				}
			}
			got, err := io.ReadAll(c)
			if string(got) != tc.want || errors.Is(err, syscall.ECONNRESET) != tc.reset || !tc.reset && err != nil {
				t.Errorf("got %q, %v", got, err)
			}
			f := next(t, p.ended)
			if f.Err != nil || f.EndedBy != EndFault || f.Bytes[faults.ToClient] != int64(len(tc.want)) {
				t.Errorf("%+v", f)
			}
		})
	}
}

// A request that is cut is not answered.
func TestForwardedRequestIsCut(t *testing.T) {
	for name, tc := range map[string]struct {
		fault faults.Fault
		reset bool
	}{
		"truncated": {faults.Truncate{AfterBytes: 4, On: onToServer}, false},
		"reset":     {faults.Reset{AfterBytes: 4, On: onToServer}, true},
		"at once":   {faults.Reset{On: onToServer}, true},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			p, c, addr := forwarding(t, planOf(tc.fault), func(_ http.ResponseWriter, r *http.Request) {
				if got, err := io.ReadAll(r.Body); err == nil || len(got) > 4 {
					t.Errorf("the server got %q, %v", got, err)
				}
				panic(http.ErrAbortHandler)
			})
			send(t, c, "POST http://"+addr+"/ HTTP/1.1\r\nHost: "+addr+"\r\nContent-Length: 10\r\n\r\n0123456789")
			got, err := io.ReadAll(c)
			if len(got) > 0 || errors.Is(err, syscall.ECONNRESET) != tc.reset || !tc.reset && err != nil {
				t.Errorf("got %q, %v", got, err)
			}
			if f := next(t, p.ended); f.Err != nil || f.EndedBy != EndFault {
				t.Errorf("%+v", f)
			}
		})
	}
}

// A response that is sliced or closed late is the same, and its connection
// serves the next request.
func TestForwardedResponseIsSlow(t *testing.T) {
	noLeaks(t)
	const late = 100 * time.Millisecond
	p, c, addr := forwarding(t, planOf(faults.Slice{Size: 2, On: onToClient}, faults.SlowClose{Delay: late, On: onToClient}),
		func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "0123456789") })
	br := bufio.NewReader(c)
	for range 2 {
		began := time.Now()
		send(t, c, "GET http://"+addr+"/ HTTP/1.1\r\nHost: "+addr+"\r\n\r\n")
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(resp.Body); string(got) != "0123456789" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		f := next(t, p.ended)
		if f.Err != nil || f.Lasted < late || time.Since(began) < late {
			t.Errorf("%+v", f)
		}
	}
}
