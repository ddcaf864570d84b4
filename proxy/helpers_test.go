package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/faultproxy/fault/faults"
)

// patience bounds every wait for something that has to happen.
const patience = 10 * time.Second

// recorder is an observer that keeps what it is told.
type recorder struct {
	mu     sync.Mutex
	opened map[uint64]int
	closed map[uint64]int
	did    [2][]faults.Effect

	begun, named, ended chan Flow
}

func newRecorder() *recorder {
	return &recorder{
		opened: make(map[uint64]int), closed: make(map[uint64]int),
		begun: make(chan Flow, 1<<12), named: make(chan Flow, 1<<12), ended: make(chan Flow, 1<<12),
	}
}

func (r *recorder) FlowOpened(f *Flow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.opened[f.ID]++
	r.begun <- *f
}

func (r *recorder) FlowNamed(f *Flow) { r.named <- *f }

func (r *recorder) FlowEnded(f *Flow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed[f.ID]++
	r.ended <- *f
}

func (r *recorder) Injected(_ *Flow, link faults.Link, e faults.Effect, _ time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.did[link] = append(r.did[link], e)
}

func (r *recorder) injected(link faults.Link) []faults.Effect {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]faults.Effect(nil), r.did[link]...)
}

// complete checks that each flow was told of twice: at its beginning and at
// its end.
func (r *recorder) complete(t testing.TB) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, n := range r.opened {
		if n != 1 || r.closed[id] != 1 {
			t.Errorf("flow %d was opened %d times and ended %d times", id, n, r.closed[id])
		}
	}
	if len(r.closed) != len(r.opened) {
		t.Errorf("%d flows opened, %d ended", len(r.opened), len(r.closed))
	}
}

// next waits for something.
func next[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// running is a proxy at work.
type running struct {
	*Server
	*recorder
	addr string
	stop func() // closes the listener
}

// run starts a proxy on a free port of 127.0.0.1. At the end of the test it is
// drained, and then every flow must have ended.
func run(t testing.TB, s *Server) *running { return runAt(t, s, "127.0.0.1:0") }

func runAt(t testing.TB, s *Server, addr string) *running {
	t.Helper()
	return runOn(t, s, listenAt(t, addr))
}

func runOn(t testing.TB, s *Server, ln *net.TCPListener) *running {
	t.Helper()
	r := &running{Server: s, recorder: newRecorder(), addr: ln.Addr().String()}
	core, logged := observer.New(zap.DebugLevel)
	s.Observer, s.Clock, s.Log = r.recorder, NewClock(), zap.New(core)
	if s.Plan == nil {
		s.Plan = &faults.Plan{}
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	r.stop = sync.OnceFunc(func() {
		ln.Close()
		if err := next(t, served); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		r.stop()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		s.Drain(ctx)
		if ctx.Err() != nil {
			t.Error("some flow did not end")
		}
		r.complete(t)
		if n := s.Waiting(); n != 0 {
			t.Errorf("%d bytes wait, and no flow is open", n)
		}
		for _, entry := range logged.All() {
			if strings.Contains(entry.Message, "panic") { // which net/http survives
				t.Error(entry.Message)
			}
		}
	})
	return r
}

// noLeaks checks that goroutines and descriptors are what they were when the
// test began. It is called first, so that it checks last.
func noLeaks(t testing.TB) {
	t.Helper()
	goroutines, descriptors := runtime.NumGoroutine(), openDescriptors(t)
	t.Cleanup(func() {
		settled := func() bool {
			return runtime.NumGoroutine() <= goroutines && openDescriptors(t) <= descriptors
		}
		if !within(settled) {
			stacks := make([]byte, 1<<20)
			t.Errorf("%d goroutines and %d descriptors, of %d and %d:\n%s", runtime.NumGoroutine(), openDescriptors(t),
				goroutines, descriptors, stacks[:runtime.Stack(stacks, true)])
		}
	})
}

// within asks until the answer is yes, or patience ends.
func within(yes func() bool) bool {
	end := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-end:
			return false
		}
	}
	return true
}

func listen(t testing.TB) *net.TCPListener {
	t.Helper()
	ln := listenAt(t, "127.0.0.1:0")
	t.Cleanup(func() { ln.Close() })
	return ln
}

// listenAt listens as agents do, without MPTCP.
func listenAt(t testing.TB, addr string) *net.TCPListener {
	t.Helper()
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(t.Context(), "tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	return ln.(*net.TCPListener)
}

// nobody is an address at which nothing listens while the test lasts: a port
// that is merely free may be somebody's a moment later.
func nobody(t testing.TB) string {
	t.Helper()
	return dial(t, listen(t).Addr().String()).LocalAddr().String()
}

func accept(t testing.TB, ln *net.TCPListener) *net.TCPConn {
	t.Helper()
	_ = ln.SetDeadline(time.Now().Add(patience))
	c, err := ln.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	return bounded(t, c)
}

func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return bounded(t, c.(*net.TCPConn))
}

// bounded closes a connection at the end of the test, and before that lets no
// operation on it wait for ever.
func bounded(t testing.TB, c *net.TCPConn) *net.TCPConn {
	_ = c.SetDeadline(time.Now().Add(patience))
	t.Cleanup(func() { c.Close() })
	return c
}

// divertedTo is the origin of connections that were all going to one place.
func divertedTo(ln net.Listener) Origin {
	to := ln.Addr().(*net.TCPAddr).AddrPort()
	return func(net.Conn) (Intercepted, bool, error) { return Intercepted{Destination: to}, true, nil }
}

// tunnelled asks a proxy for a tunnel.
func tunnelled(t testing.TB, proxy, target string) *net.TCPConn {
	t.Helper()
	c := dial(t, proxy)
	send(t, c, fmt.Sprintf("CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target))
	if head := readHead(t, c); !strings.HasPrefix(head, "HTTP/1.1 200 ") {
		t.Fatalf("CONNECT %s: %q", target, head)
	}
	return c
}

// readHead reads the head of a message, and not a byte more.
func readHead(t testing.TB, r io.Reader) string {
	t.Helper()
	var head strings.Builder
	for !strings.HasSuffix(head.String(), "\r\n\r\n") {
		if _, err := io.CopyN(&head, r, 1); err != nil {
			t.Fatalf("after %q: %v", &head, err)
		}
	}
	return head.String()
}

func send(t testing.TB, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

// expect reads exactly some text.
func expect(t testing.TB, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v, want %q", got[:n], err, want)
	}
}

// expectEnd reads some text and then the end of the stream.
func expectEnd(t testing.TB, r io.Reader, want string) {
	t.Helper()
	if got, err := io.ReadAll(r); err != nil || string(got) != want {
		t.Fatalf("read %q, %v, want %q and the end", got, err, want)
	}
}

func closeWrite(t testing.TB, c *net.TCPConn) {
	t.Helper()
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
}

var bothLinks = faults.LinksOf(faults.Server, faults.Both)

// delayed is a plan with one latency.
func delayed(d faults.Distribution, perReadWrite bool, seed uint64) *faults.Plan {
	plan := planOf(faults.Latency{Delay: d, On: bothLinks, PerReadWrite: perReadWrite})
	plan.Seed = seed
	return plan
}

// planOf is a plan of faults that are always on.
func planOf(all ...faults.Fault) *faults.Plan {
	plan := &faults.Plan{}
	for _, f := range all {
		plan.Faults = append(plan.Faults, faults.Planned{Fault: f})
	}
	return plan
}

// injectedInto picks what a flow says of one link, which may be of one fault
// at most.
func injectedInto(t testing.TB, f Flow, link faults.Link) Injection {
	t.Helper()
	var of Injection
	for _, i := range f.Injected {
		if i.Link != link {
			continue
		}
		if of.Tried+of.Pieces > 0 {
			t.Errorf("two faults on %v: %+v", link, f.Injected)
		}
		of = i
	}
	return of
}

func constant(d time.Duration) faults.Distribution { return faults.Normal{Mean: d} }

// short are delays that cost a test little and still shuffle what happens
// when.
var short = faults.Uniform{Min: 0, Max: 3 * time.Millisecond}

// flow is a connection as its two ends have it.
type flow struct {
	client, server *net.TCPConn
	proxy          *running // nil if there is none between
}

// ways are how a client can reach a server. All must look alike to both; the
// first one has no proxy in it, and says what that is.
var ways = []struct {
	name string
	open func(t *testing.T) flow
}{
	{"direct", func(t *testing.T) flow {
		ln := listen(t)
		c := dial(t, ln.Addr().String())
		return flow{c, accept(t, ln), nil}
	}},
	{"intercepted", func(t *testing.T) flow { return intercept(t, nil) }},
	{"CONNECT", func(t *testing.T) flow {
		ln, p := listen(t), run(t, &Server{})
		c := tunnelled(t, p.addr, ln.Addr().String())
		return flow{c, accept(t, ln), p}
	}},
	{"latency once", func(t *testing.T) flow { return intercept(t, delayed(short, false, 1)) }},
	{"latency per piece", func(t *testing.T) flow { return intercept(t, delayed(short, true, 1)) }},
	{"answers", func(t *testing.T) flow { return intercept(t, answering(1, 1)) }},
	{"CONNECT, answers and latency", func(t *testing.T) flow {
		plan := delayed(short, true, 1)
		plan.Faults = append(plan.Faults, answering(0, 1).Faults...)
		ln, p := listen(t), run(t, &Server{Plan: plan})
		c := tunnelled(t, p.addr, ln.Addr().String())
		return flow{c, accept(t, ln), p}
	}},
	{"mapping", func(t *testing.T) flow {
		ln := listen(t)
		p := mapTo(t, &Server{}, "", ln.Addr().String())
		c := dial(t, p.addr)
		return flow{c, accept(t, ln), p}
	}},
	{"in goroutines", func(t *testing.T) flow { return portably(t, nil) }},
	{"in goroutines, latency once", func(t *testing.T) flow { return portably(t, delayed(short, false, 1)) }},
	{"in goroutines, latency per piece", func(t *testing.T) flow { return portably(t, delayed(short, true, 1)) }},
}

// movers are what can carry a flow: what this system has for it, and what every
// system has.
var movers = map[string]opener{"here": intercept, "in goroutines": portably}

// opener opens a flow through some faults.
type opener func(t *testing.T, plan *faults.Plan) flow

// byEachMover runs a test with each.
func byEachMover(t *testing.T, test func(t *testing.T, intercept opener)) {
	for name, open := range movers {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

func intercept(t *testing.T, plan *faults.Plan) flow {
	t.Helper()
	return interceptBy(t, &Server{Plan: plan})
}

func portably(t *testing.T, plan *faults.Plan) flow {
	t.Helper()
	return interceptBy(t, &Server{Plan: plan, portable: true})
}

func interceptBy(t *testing.T, s *Server) flow {
	t.Helper()
	ln := listen(t)
	s.Origin = divertedTo(ln)
	p := run(t, s)
	c := dial(t, p.addr)
	return flow{c, accept(t, ln), p}
}

// inEachWay runs a test in each of the ways.
func inEachWay(t *testing.T, test func(t *testing.T, f flow)) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			noLeaks(t)
			test(t, way.open(t))
		})
	}
}

func loopback(ln net.Listener) netip.AddrPort { return ln.Addr().(*net.TCPAddr).AddrPort() }

func matchNothing(string, uint16, func() []netip.Addr) bool { return false }
