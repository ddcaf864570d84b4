package proxy

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/faultproxy/fault/faults"
)

func TestHalfCloseByClient(t *testing.T) {
	inEachWay(t, func(t *testing.T, f flow) {
		send(t, f.client, "question")
		closeWrite(t, f.client)
		expectEnd(t, f.server, "question")
		send(t, f.server, "answer")
		expect(t, f.client, "answer")
		send(t, f.server, ", at length")
		f.server.Close()
		expectEnd(t, f.client, ", at length")
		ended(t, f, 8, 17)
	})
}

func TestHalfCloseByServer(t *testing.T) {
	inEachWay(t, func(t *testing.T, f flow) {
		send(t, f.server, "greeting")
		closeWrite(t, f.server)
		expectEnd(t, f.client, "greeting")
		send(t, f.client, "reply")
		expect(t, f.server, "reply")
		send(t, f.client, ", at length")
		f.client.Close()
		expectEnd(t, f.server, ", at length")
		ended(t, f, 16, 8)
	})
}

// ended checks that the proxy saw a flow end as its ends wanted.
func ended(t *testing.T, f flow, toServer, toClient int64) {
	t.Helper()
	if f.proxy == nil {
		return
	}
	got := next(t, f.proxy.ended)
	if got.Err != nil || got.Bytes != [2]int64{toServer, toClient} || got.Upstream != addrPort(f.server.LocalAddr()) ||
		got.Client != addrPort(f.client.LocalAddr()) || !got.Matched {
		t.Errorf("the flow ended as %+v", got)
	}
}

// In many protocols the server speaks first: nothing may wait for the client.
func TestServerSpeaksFirst(t *testing.T) {
	inEachWay(t, func(t *testing.T, f flow) {
		send(t, f.server, "220 ready\r\n")
		expect(t, f.client, "220 ready\r\n")
		send(t, f.client, "QUIT\r\n")
		expect(t, f.server, "QUIT\r\n")
	})
}

func TestNothingButAnEnd(t *testing.T) {
	inEachWay(t, func(t *testing.T, f flow) {
		f.client.Close()
		expectEnd(t, f.server, "")
		f.server.Close()
		ended(t, f, 0, 0)
	})
}

// sides are the two ends of a flow, each with the other.
func sides(f flow) map[string][2]*net.TCPConn {
	return map[string][2]*net.TCPConn{"client": {f.client, f.server}, "server": {f.server, f.client}}
}

func TestReset(t *testing.T) {
	for _, who := range []string{"client", "server"} {
		t.Run(who, func(t *testing.T) {
			inEachWay(t, func(t *testing.T, f flow) {
				one, other := sides(f)[who][0], sides(f)[who][1]
				send(t, one, "x")
				expect(t, other, "x")
				reset(one)
				expectReset(t, other)
				endedWith(t, f, "reset")
			})
		})
	}
}

// A reset behind the end of the stream does not take the end back.
func TestResetBehindTheEnd(t *testing.T) {
	for _, who := range []string{"client", "server"} {
		t.Run(who, func(t *testing.T) {
			inEachWay(t, func(t *testing.T, f flow) {
				one, other := sides(f)[who][0], sides(f)[who][1]
				send(t, one, "x")
				expect(t, other, "x")
				send(t, one, "y")
				closeWrite(t, one)
				reset(one)
				expectEnd(t, other, "y")
				expectBroken(t, other)
			})
		})
	}
}

func TestResetWhileHalfClosed(t *testing.T) {
	for _, closes := range []string{"client", "server"} {
		for _, resets := range []string{"client", "server"} {
			t.Run(closes+" closes, "+resets+" resets", func(t *testing.T) {
				inEachWay(t, func(t *testing.T, f flow) {
					one, other := sides(f)[closes][0], sides(f)[closes][1]
					send(t, one, "x")
					closeWrite(t, one)
					expectEnd(t, other, "x")
					if resets == closes {
						reset(one)
						expectBroken(t, other)
					} else {
						reset(other)
						expectReset(t, one)
					}
					want := "reset"
					if closes == "server" {
						want = "" // it had said all that it had to say
					}
					endedWith(t, f, want)
				})
			})
		}
	}
}

func expectReset(t *testing.T, c *net.TCPConn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("read %d bytes, %v, want ECONNRESET", n, err)
	}
}

// expectResetAtOnce connects; the reset may be there before the dialler looks.
func expectResetAtOnce(t *testing.T, addr string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err == nil {
		expectReset(t, bounded(t, c.(*net.TCPConn)))
	} else if !errors.Is(err, syscall.ECONNRESET) {
		t.Fatal(err)
	}
}

// expectBroken writes until that fails: who has read the end of a stream
// learns of a reset in no other way.
func expectBroken(t *testing.T, c *net.TCPConn) {
	t.Helper()
	var err error
	if !within(func() bool { _, err = c.Write([]byte("x")); return err != nil }) {
		t.Fatal("writing goes on")
	}
	if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
		t.Fatalf("writing fails with %v", err)
	}
}

func endedWith(t *testing.T, f flow, failure string) {
	t.Helper()
	if f.proxy == nil {
		return
	}
	if got := next(t, f.proxy.ended); Failure(got.Err) != failure {
		t.Errorf("the flow ended with %v (%s), want %s", got.Err, Failure(got.Err), failure)
	}
}

func TestUpstreamRefuses(t *testing.T) {
	noLeaks(t)
	to := netip.MustParseAddrPort(nobody(t))
	origin := func(net.Conn) (Intercepted, bool, error) { return Intercepted{Destination: to}, true, nil }
	p := run(t, &Server{Origin: origin})
	expectResetAtOnce(t, p.addr)
	if f := next(t, p.ended); Failure(f.Err) != "refused" || f.Upstream.IsValid() {
		t.Errorf("%+v", f)
	}
}

func TestOriginUnknown(t *testing.T) {
	noLeaks(t)
	p := run(t, &Server{Origin: func(net.Conn) (Intercepted, bool, error) { return Intercepted{}, false, ErrOrigin }})
	expectResetAtOnce(t, p.addr)
	if f := next(t, p.ended); Failure(f.Err) != "origin-unknown" {
		t.Errorf("the flow ended with %v", f.Err)
	}
}

func TestOriginIsTheProxy(t *testing.T) {
	noLeaks(t)
	var p *running
	asked := make(chan struct{}, 100)
	p = run(t, &Server{Origin: func(c net.Conn) (Intercepted, bool, error) {
		asked <- struct{}{}
		return Intercepted{Destination: addrPort(c.LocalAddr())}, true, nil
	}})
	expectResetAtOnce(t, p.addr)
	if f := next(t, p.ended); Failure(f.Err) != "self" || len(asked) != 1 {
		t.Errorf("%d connections, %+v", len(asked), f)
	}
}

func TestIntercepted(t *testing.T) {
	noLeaks(t)
	ln := listen(t)
	process := Process{PID: 7, UID: 8, Name: "curl", Cgroup: 9, Netns: 10}
	var matched []string
	p := run(t, &Server{
		Origin: func(net.Conn) (Intercepted, bool, error) {
			return Intercepted{Destination: loopback(ln), Socket: Socket{Source: loopback(ln).Addr()}, Process: process}, true, nil
		},
		Plan: delayed(constant(faults.Never/2), false, 1), // passing through is passing through
		Matches: func(host string, port uint16, _ func() []netip.Addr) bool {
			matched = append(matched, hostPort(host, port))
			return false
		},
	})
	c := dial(t, p.addr)
	server := accept(t, ln)
	send(t, c, "x")
	expect(t, server, "x")
	opened := next(t, p.begun)
	c.Close()
	server.Close()
	f := next(t, p.ended)
	if opened.ID != 1 || opened.Entry != EntryIntercepted || opened.Process != process || opened.Host != ln.Addr().String() {
		t.Errorf("opened as %+v", opened)
	}
	if f.Matched || f.Err != nil || f.Upstream != loopback(ln) || f.Bytes != [2]int64{1, 0} || f.Injected != nil ||
		f.Started != opened.Started || f.Lasted < 0 {
		t.Errorf("ended as %+v", f)
	}
	if len(matched) != 1 || matched[0] != ln.Addr().String() {
		t.Errorf("asked whether %q match", matched)
	}
}

// bulk is large against every buffer on the way.
const bulk = 64 << 20

// digest is a writer that hashes and counts.
type digest struct {
	n   int64
	sum [sha256.Size]byte
}

func digestOf(r io.Reader, buf []byte) (d digest, err error) {
	h := sha256.New()
	d.n, err = io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{r}, buf)
	h.Sum(d.sum[:0])
	return d, err
}

func noise(seed uint64, n int64) io.Reader {
	var key [32]byte
	key[0] = byte(seed)
	return io.LimitReader(rand.NewChaCha8(key), n)
}

func TestBulkBothWaysWithSlowReader(t *testing.T) {
	inEachWay(t, func(t *testing.T, f flow) {
		_ = f.client.SetReadBuffer(64 << 10)
		var work sync.WaitGroup
		send := func(c *net.TCPConn, seed uint64) {
			if _, err := io.Copy(c, noise(seed, bulk)); err != nil {
				t.Error(err)
			}
			_ = c.CloseWrite()
		}
		receive := func(c *net.TCPConn, seed uint64, buf int) {
			want, _ := digestOf(noise(seed, bulk), make([]byte, 1<<20))
			if got, err := digestOf(c, make([]byte, buf)); got != want || err != nil {
				t.Errorf("received %d bytes, %v, same %v", got.n, err, got.sum == want.sum)
			}
		}
		work.Go(func() { send(f.client, 1) })
		work.Go(func() { send(f.server, 2) })
		work.Go(func() { receive(f.server, 1, 1<<20) })
		work.Go(func() { receive(f.client, 2, 1<<10) })
		work.Wait()
		ended(t, f, bulk, bulk)
	})
}

// Bytes may change how they are cut, but not what they are, nor their order,
// whatever the faults do to time and whoever finishes first.
func TestFlowsKeepTheirBytes(t *testing.T) {
	const flows = 60
	for _, seed := range []uint64{1, 2, 3} {
		for name, plan := range map[string]*faults.Plan{
			"null": nil, "once": delayed(short, false, seed), "per piece": delayed(short, true, seed), "pieces": everyCalm(seed),
		} {
			t.Run(fmt.Sprintf("%s, seed %d", name, seed), func(t *testing.T) {
				noLeaks(t)
				ln := listen(t)
				p := run(t, &Server{Origin: divertedTo(ln), Plan: plan})
				rng := rand.New(rand.NewPCG(seed, 0))
				var work sync.WaitGroup
				for range flows {
					c := dial(t, p.addr)
					server := accept(t, ln)
					converse(t, &work, c, server, rng)
				}
				work.Wait()
				for range flows {
					if f := next(t, p.ended); f.Err != nil {
						t.Error(f.Err)
					}
				}
			})
		}
	}
}

// everyCalm is a plan with every fault that keeps bytes, each for some flows,
// and with limits that no flow reaches.
func everyCalm(seed uint64) *faults.Plan {
	plan := planOf(
		faults.Latency{Delay: short, On: bothLinks}, faults.Jitter{Amplitude: 3 * ms, Frequency: 100, On: bothLinks},
		faults.Bandwidth{Rate: 1e8, On: bothLinks}, faults.Reset{AfterBytes: 1 << 40, After: time.Hour, On: bothLinks},
		faults.Truncate{AfterBytes: 1 << 40, On: bothLinks}, faults.Slice{Size: 1000, Variation: 999, On: bothLinks},
		faults.SlowClose{Delay: 5 * ms, On: bothLinks},
	)
	half := .5
	for i := range plan.Faults {
		plan.Faults[i].Probability = &half
	}
	plan.Seed = seed
	return plan
}

// converse lets both ends of a flow send random pieces of random bytes and
// then close their half, and checks what each receives.
func converse(t *testing.T, work *sync.WaitGroup, client, server *net.TCPConn, rng *rand.Rand) {
	for _, ends := range [][2]*net.TCPConn{{client, server}, {server, client}} {
		data := make([]byte, rng.IntN(1<<rng.IntN(19)))
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		cuts := rand.New(rand.NewPCG(rng.Uint64(), 0))
		work.Go(func() {
			for rest := data; len(rest) > 0; {
				n := min(len(rest), 1+cuts.IntN(1<<cuts.IntN(17)))
				if _, err := ends[0].Write(rest[:n]); err != nil {
					t.Error(err)
					return
				}
				rest = rest[n:]
			}
			if err := ends[0].CloseWrite(); err != nil {
				t.Error(err)
			}
		})
		work.Go(func() {
			if got, err := io.ReadAll(ends[1]); err != nil || !bytes.Equal(got, data) {
				t.Errorf("sent %d bytes, received %d, %v", len(data), len(got), err)
			}
		})
	}
}
