package proxy

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/faultproxy/fault/faults"
)

// datagramPair is a client and a target of a UDP mapping.
type datagramPair struct {
	proxy          *running
	mapping        *datagrams
	client, target *net.UDPConn
	from           netip.AddrPort // where the target last heard from
}

// mapDatagrams runs a proxy with a UDP mapping to a target, which it opens and
// calls by a host name. tune may change the mapping before it serves.
func mapDatagrams(t *testing.T, s *Server, host string, tune func(*datagrams)) *datagramPair {
	t.Helper()
	// Answers go out over it until all is drained.
	at := listenUDP(t, "127.0.0.1:0")
	u := &datagramPair{proxy: run(t, s), target: listenUDP(t, "127.0.0.1:0"), client: dialUDP(t, at.LocalAddr().String())}
	u.mapping = serveDatagrams(t, s, at, net.JoinHostPort(host, strconv.Itoa(int(u.port()))), tune)
	return u
}

// serveDatagrams serves a mapping until the test ends.
func serveDatagrams(t *testing.T, s *Server, at *net.UDPConn, target string, tune func(*datagrams)) *datagrams {
	t.Helper()
	d := s.newDatagrams(at, parsed(t, "udp:0="+target))
	if tune != nil {
		tune(d)
	}
	served := make(chan error, 1)
	go func() { served <- d.serve() }()
	t.Cleanup(func() {
		_ = at.SetReadDeadline(time.Unix(1, 0))
		if err := next(t, served); err != nil {
			t.Error(err)
		}
	})
	return d
}

// brief lets flows end when they have been silent for a moment.
func brief(d *datagrams) { d.idle = 20 * ms }

func listenUDP(t testing.TB, addr string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenPacket("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(patience))
	return c.(*net.UDPConn)
}

func dialUDP(t testing.TB, addr string) *net.UDPConn {
	t.Helper()
	c, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetReadDeadline(time.Now().Add(patience))
	return c.(*net.UDPConn)
}

// another is one more client.
func (u *datagramPair) another(t testing.TB) *net.UDPConn {
	return dialUDP(t, u.mapping.conn.LocalAddr().String())
}

// port is the target's.
func (u *datagramPair) port() uint16 {
	return u.target.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

// next is the target's next datagram.
func (u *datagramPair) next(t testing.TB) string {
	t.Helper()
	buf := make([]byte, datagramSize)
	n, from, err := u.target.ReadFromUDPAddrPort(buf)
	if err != nil {
		t.Fatal(err)
	}
	u.from = from
	return string(buf[:n])
}

// heard checks the target's next datagram.
func (u *datagramPair) heard(t testing.TB, want string) {
	t.Helper()
	if got := u.next(t); got != want {
		t.Fatalf("the target heard %d bytes %.20q, want %d bytes %.20q", len(got), got, len(want), want)
	}
}

// answer sends from the target to whom it last heard from.
func (u *datagramPair) answer(t testing.TB, text string) {
	t.Helper()
	if _, err := u.target.WriteToUDPAddrPort([]byte(text), u.from); err != nil {
		t.Fatal(err)
	}
}

// answered checks a client's next datagram.
func answered(t testing.TB, c *net.UDPConn, want string) {
	t.Helper()
	buf := make([]byte, datagramSize)
	n, err := c.Read(buf)
	if err != nil || string(buf[:n]) != want {
		t.Fatalf("the client heard %d bytes %.20q, %v, want %d bytes %.20q", n, buf[:n], err, len(want), want)
	}
}

// question has a datagram of a client answered.
func (u *datagramPair) question(t testing.TB, c *net.UDPConn, text string) {
	t.Helper()
	send(t, c, text)
	u.heard(t, text)
	u.answer(t, "re: "+text)
	answered(t, c, "re: "+text)
}

// stop ends the accepting.
func (u *datagramPair) stop() {
	_ = u.mapping.conn.SetReadDeadline(time.Unix(1, 0))
	u.proxy.stop()
}

// over drains the proxy, and gives the one flow that there was.
func (u *datagramPair) over(t testing.TB) Flow {
	t.Helper()
	u.stop()
	next(t, draining(t.Context(), u.proxy))
	f := next(t, u.proxy.ended)
	if len(u.proxy.ended) > 0 {
		t.Errorf("there was another flow: %+v", next(t, u.proxy.ended))
	}
	return f
}

// onItsWay waits until so many datagrams are queued for the target.
func (u *datagramPair) onItsWay(t testing.TB, n int) {
	t.Helper()
	u.eventually(t, func(a *association) bool {
		if a.toServer == nil {
			return false
		}
		a.toServer.queue.mu.Lock()
		defer a.toServer.queue.mu.Unlock()
		return len(a.toServer.queue.pieces) == n
	})
}

// eventually waits until something is so of the one flow that there is.
func (u *datagramPair) eventually(t testing.TB, yes func(*association) bool) {
	t.Helper()
	if !within(func() bool {
		u.mapping.mu.Lock()
		defer u.mapping.mu.Unlock()
		for _, a := range u.mapping.flows {
			return yes(a)
		}
		return false
	}) {
		t.Fatal("that does not come to be")
	}
}

func TestDatagrams(t *testing.T) {
	for name, plan := range map[string]*faults.Plan{
		"null": nil, "latency once": delayed(short, false, 1), "latency per piece": delayed(short, true, 1),
		"jitter": planOf(faults.Jitter{Amplitude: 3 * ms, Frequency: 1e6, On: bothLinks}),
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			u := mapDatagrams(t, &Server{Plan: plan}, "127.0.0.1", nil)
			sent := int64(0)
			for _, size := range []int{1, 0, 512, 1472, 1473, 9000, 65_507, 0, 3} {
				text := strings.Repeat("datagram ", size/9+1)[:size]
				send(t, u.client, text)
				u.heard(t, text)
				u.answer(t, text)
				answered(t, u.client, text)
				sent += int64(size)
			}
			f := u.over(t)
			if f.Err != nil || f.Entry != EntryMapping || f.Bytes != [2]int64{sent, sent} || f.Host != u.target.LocalAddr().String() ||
				f.Upstream.String() != f.Host || f.Client.String() != u.client.LocalAddr().String() || !f.Matched || f.EndedBy != EndRun || f.ID != 1 {
				t.Errorf("%+v", f)
			}
		})
	}
}

// A burst arrives as it was sent: nothing is missing, or before its turn.
func TestDatagramsKeepTheirOrder(t *testing.T) {
	for name, plan := range map[string]*faults.Plan{
		"null": nil, "latency per piece": delayed(short, true, 1),
		"jitter": planOf(faults.Jitter{Amplitude: 3 * ms, Frequency: 300, On: bothLinks}),
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			u := mapDatagrams(t, &Server{Plan: plan}, "127.0.0.1", nil)
			const rounds, burst = 10, 100
			for round := range rounds {
				for i := range burst {
					send(t, u.client, fmt.Sprint(round, i))
				}
				for i := range burst {
					u.heard(t, fmt.Sprint(round, i))
				}
				for i := range burst {
					u.answer(t, fmt.Sprint(i, round))
				}
				for i := range burst {
					answered(t, u.client, fmt.Sprint(i, round))
				}
			}
		})
	}
}

// Each client has a flow of its own, and nobody else's answers.
func TestDatagramsOfManyClients(t *testing.T) {
	noLeaks(t)
	u := mapDatagrams(t, &Server{}, "127.0.0.1", nil)
	clients := []*net.UDPConn{u.client}
	for range 20 {
		clients = append(clients, u.another(t))
	}
	for _, c := range clients {
		send(t, c, c.LocalAddr().String())
	}
	from := make(map[netip.AddrPort]string)
	for range clients {
		who := u.next(t)
		from[u.from] = who
	}
	for u.from = range from {
		u.answer(t, from[u.from])
	}
	for _, c := range clients {
		answered(t, c, c.LocalAddr().String())
	}
	u.stop()
	next(t, draining(t.Context(), u.proxy))
	seen := make(map[string]bool)
	for range clients {
		f := next(t, u.proxy.ended)
		seen[f.Client.String()] = true
		if n := int64(len(f.Client.String())); f.Bytes != [2]int64{n, n} {
			t.Errorf("%+v", f)
		}
	}
	if len(seen) != len(clients) || len(from) != len(clients) {
		t.Errorf("%d clients were %d to us and %d to the target", len(clients), len(seen), len(from))
	}
}

// waiting waits until so many datagrams wait for their target.
func (u *datagramPair) waiting(t testing.TB, n int) {
	t.Helper()
	u.eventually(t, func(a *association) bool { return len(a.waiting) == n })
}

// What comes while the target's name is looked up waits, and in order. There is
// an end to that.
func TestEarlyDatagrams(t *testing.T) {
	noLeaks(t)
	const early = 20
	goOn := make(chan struct{})
	u := mapDatagrams(t, &Server{
		Plan: delayed(constant(50*ms), true, 1),
		Matches: func(string, uint16, func() []netip.Addr) bool {
			<-goOn
			return true
		},
	}, "localhost", func(d *datagrams) { d.early = early })
	for i := range early {
		send(t, u.client, fmt.Sprint(i))
	}
	u.waiting(t, early)
	send(t, u.client, "one too many")
	send(t, u.another(t), "another's") // which the mapping gets behind them
	next(t, u.proxy.begun)
	next(t, u.proxy.begun)
	time.Sleep(150 * ms)
	close(goOn)
	own, others := 0, 0
	for own+others <= early {
		switch got := u.next(t); got {
		case "another's":
			others++
		case fmt.Sprint(own):
			own++
		default:
			t.Fatalf("the target heard %q", got)
		}
	}
	send(t, u.client, "and on")
	u.heard(t, "and on")
	u.stop()
	next(t, draining(t.Context(), u.proxy))
	for range 2 { // They are delayed from when they arrived, not from when they could go on.
		f := next(t, u.proxy.ended)
		if in := injectedInto(t, f, faults.ToServer); in.Drawn[0] != 50*ms || in.Late < 100*ms || f.Err != nil {
			t.Errorf("%+v", f)
		}
	}
}

// A flow that has been silent for long enough is over, and what comes then is
// another.
func TestDatagramsEndInSilence(t *testing.T) {
	noLeaks(t)
	u := mapDatagrams(t, &Server{}, "127.0.0.1", brief)
	for id := range uint64(3) {
		send(t, u.client, "four")
		u.heard(t, "four")
		f := next(t, u.proxy.ended)
		if f.ID != id+1 || f.Err != nil || f.EndedBy != "" || f.Bytes != [2]int64{4, 0} || f.Lasted < u.mapping.idle {
			t.Errorf("%+v", f)
		}
	}
}

// Whatever the moment at which a flow is over, the datagram that comes then is
// not lost with it.
func TestDatagramsAtTheEndOfTheSilence(t *testing.T) {
	noLeaks(t)
	u := mapDatagrams(t, &Server{}, "127.0.0.1", func(d *datagrams) { d.idle = ms })
	for i := range 1000 {
		send(t, u.client, fmt.Sprint(i))
		u.heard(t, fmt.Sprint(i))
		for at := time.Now(); time.Since(at) < ms-50*time.Microsecond+time.Duration(i%50)*5*time.Microsecond; {
			runtime.Gosched()
		}
	}
}

// Traffic either way keeps a flow, also if it does not arrive.
func TestDatagramsKeepTheFlow(t *testing.T) {
	for way, plan := range map[string]*faults.Plan{
		"to server": nil, "to client": nil, "to nowhere": dark(faults.Server, faults.Egress),
	} {
		t.Run(way, func(t *testing.T) {
			noLeaks(t)
			for range 5 {
				u := mapDatagrams(t, &Server{Plan: plan}, "127.0.0.1", func(d *datagrams) { d.idle = 100 * ms })
				if plan == nil {
					u.question(t, u.client, "hello")
				}
				began, last, gap := time.Now(), time.Now(), time.Duration(0)
				for time.Since(began) < 4*u.mapping.idle {
					switch way {
					case "to server":
						send(t, u.client, "still")
						u.heard(t, "still")
					case "to nowhere":
						before := len(u.proxy.injected(faults.ToServer))
						send(t, u.client, "still")
						if !within(func() bool { return len(u.proxy.injected(faults.ToServer)) > before }) {
							t.Fatal("it is not lost")
						}
					case "to client":
						u.answer(t, "still")
						if _, err := u.client.Read(make([]byte, 10)); err != nil && len(u.proxy.ended) == 0 {
							t.Fatal(err)
						}
					}
					gap = max(gap, time.Since(last))
					last = time.Now()
					time.Sleep(5 * ms)
				}
				if len(u.proxy.ended) == 0 {
					return
				}
				if gap < u.mapping.idle {
					t.Fatalf("the flow ended, and was silent for %v at most", gap)
				}
				// This host was too busy.
			}
		})
	}
}

// A flow is not silent while a fault holds something of it.
func TestDatagramsAreLongOnTheirWay(t *testing.T) {
	noLeaks(t)
	u := mapDatagrams(t, &Server{Plan: delayed(constant(150*ms), true, 1)}, "127.0.0.1", brief)
	u.question(t, u.client, "hello?")
	if f := next(t, u.proxy.ended); f.ID != 1 || f.Bytes != [2]int64{6, 10} || f.Err != nil {
		t.Errorf("%+v", f)
	}
}

// Nobody says of a datagram whether it arrived; a target that is not there yet
// gets what is sent once it is.
func TestTargetComesLater(t *testing.T) {
	noLeaks(t)
	u := mapDatagrams(t, &Server{}, "127.0.0.1", nil)
	addr := u.target.LocalAddr().String()
	u.target.Close()
	for range 3 {
		send(t, u.client, "anybody?")
		time.Sleep(10 * ms) // for them to be refused, one by one
	}
	u.target = listenUDP(t, addr)
	u.question(t, u.client, "hello")
	u.target.Close()
	for range 3 {
		send(t, u.client, "still?")
		time.Sleep(10 * ms)
	}
	u.target = listenUDP(t, addr)
	u.question(t, u.client, "hello again")
	if f := u.over(t); f.Err != nil || f.ID != 1 {
		t.Errorf("%+v", f)
	}
}

// That one datagram was refused is told to the next, which must be sent still.
func TestDatagramBehindARefusedOne(t *testing.T) {
	target := listenUDP(t, "127.0.0.1:0")
	addr := target.LocalAddr().String()
	c := dialUDP(t, addr)
	target.Close()
	if _, err := c.Write([]byte("anybody?")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * ms)
	u := &datagramPair{target: listenUDP(t, addr)}
	if err := sendTo(c, []byte("hello")); err != nil {
		t.Error(err)
	}
	u.heard(t, "hello")
}

// What is on its way when the run ends arrives, if there is the time.
func TestDrainDeliversDatagrams(t *testing.T) {
	t.Run("to server", func(t *testing.T) {
		noLeaks(t)
		u := mapDatagrams(t, &Server{Plan: delayed(constant(50*ms), true, 1)}, "127.0.0.1", nil)
		for i := range 3 {
			send(t, u.client, fmt.Sprint(i))
		}
		u.onItsWay(t, 3)
		u.stop()
		next(t, draining(t.Context(), u.proxy))
		for i := range 3 {
			u.heard(t, fmt.Sprint(i))
		}
		if f := next(t, u.proxy.ended); f.Err != nil || f.EndedBy != EndRun || f.Bytes[faults.ToServer] != 3 {
			t.Errorf("%+v", f)
		}
	})
	t.Run("to client", func(t *testing.T) {
		noLeaks(t)
		u := mapDatagrams(t, &Server{Plan: delayed(constant(50*ms), true, 1)}, "127.0.0.1", nil)
		send(t, u.client, "hello?")
		u.heard(t, "hello?")
		u.answer(t, "hello")
		u.eventually(t, func(a *association) bool { return time.Duration(a.heard.Load()) > u.proxy.Clock.Now() })
		u.stop()
		next(t, draining(t.Context(), u.proxy))
		answered(t, u.client, "hello")
		if f := next(t, u.proxy.ended); f.Err != nil || f.EndedBy != EndRun || f.Bytes != [2]int64{6, 5} {
			t.Errorf("%+v", f)
		}
	})
}

func TestDrainCutsOffDatagrams(t *testing.T) {
	noLeaks(t)
	u := mapDatagrams(t, &Server{Plan: delayed(constant(time.Hour), true, 1)}, "127.0.0.1", nil)
	send(t, u.client, "hello?")
	u.onItsWay(t, 1)
	u.stop()
	next(t, draining(expired, u.proxy))
	if f := next(t, u.proxy.ended); f.Err != ErrEnded || f.EndedBy != EndRun || f.Bytes != [2]int64{} {
		t.Errorf("%+v", f)
	}
}

// A flow on which nothing is under way is not waited for.
func TestDrainDoesNotWaitForSilentDatagrams(t *testing.T) {
	noLeaks(t)
	u := mapDatagrams(t, &Server{}, "127.0.0.1", nil)
	u.question(t, u.client, "hello")
	if f := u.over(t); f.Err != nil || f.EndedBy != EndRun {
		t.Errorf("%+v", f)
	}
}

// There are never more flows than so many: who has been silent for longest
// makes room.
func TestDatagramsMakeRoom(t *testing.T) {
	noLeaks(t)
	u := mapDatagrams(t, &Server{}, "127.0.0.1", func(d *datagrams) { d.most = 4 })
	clients := []*net.UDPConn{u.client}
	for range 9 {
		clients = append(clients, u.another(t))
	}
	for _, c := range clients {
		u.question(t, c, "hello")
	}
	u.question(t, clients[6], "still here")
	u.question(t, clients[0], "back again") // as the 11th flow
	left := []uint64{1, 2, 3, 4, 5, 6, 8}
	for range left {
		f := next(t, u.proxy.ended)
		if f.Err != nil || f.EndedBy != "" || !slices.Contains(left, f.ID) {
			t.Errorf("%+v", f)
		}
	}
	if n := len(u.mapping.flows); n != 4 {
		t.Errorf("%d flows", n)
	}
	if len(u.proxy.begun) != 11 {
		t.Errorf("%d flows in all", len(u.proxy.begun))
	}
}

// A flow that ends late does not take the next of its client with it.
func TestDatagramsForgetTheirOwn(t *testing.T) {
	d := &datagrams{Server: &Server{}, flows: make(map[peer]*association)}
	one, next := &association{datagrams: d}, &association{datagrams: d}
	for _, forget := range []func(){one.forget, func() { one.retire() }} {
		d.flows[next.from] = next
		if forget(); d.flows[one.from] != next {
			t.Error("it is forgotten")
		}
	}
	for _, forget := range []func(){next.forget, func() { next.retire() }} {
		d.flows[next.from] = next
		if forget(); len(d.flows) != 0 {
			t.Error("it is kept")
		}
	}
}

// What a flow still had on its way when it had to make room is lost, and that
// is said.
func TestDatagramsAreCrowdedOut(t *testing.T) {
	noLeaks(t)
	u := mapDatagrams(t, &Server{Plan: delayed(constant(time.Hour), true, 1)}, "127.0.0.1", func(d *datagrams) { d.most = 1 })
	send(t, u.client, "hello?")
	u.onItsWay(t, 1)
	send(t, u.another(t), "hello?")
	if f := next(t, u.proxy.ended); f.ID != 1 || f.Err != errCrowded {
		t.Errorf("%+v", f)
	}
	u.stop()
	next(t, draining(expired, u.proxy))
}

// Without a descriptor for a client, who has been silent for longest gives his.
func TestDatagramsWithoutDescriptors(t *testing.T) {
	noLeaks(t)
	var mu sync.Mutex
	dials := 0
	u := mapDatagrams(t, &Server{Exempt: func(string, string, syscall.RawConn) error {
		mu.Lock()
		defer mu.Unlock()
		if dials++; dials == 2 {
			return syscall.EMFILE
		}
		return nil
	}}, "127.0.0.1", nil)
	u.question(t, u.client, "hello")
	other := u.another(t)
	send(t, other, "hello?")
	ended := map[uint64]error{}
	for range 2 {
		f := next(t, u.proxy.ended)
		ended[f.ID] = f.Err
	}
	if ended[1] != nil || !is[syscall.Errno](ended[2]) {
		t.Errorf("they ended as %v", ended)
	}
	u.question(t, other, "and now?")
}

// Of a name that nobody knows, each datagram asks again.
func TestDatagramsToNobody(t *testing.T) {
	noLeaks(t)
	u := mapDatagrams(t, &Server{Exempt: func(string, string, syscall.RawConn) error {
		return syscall.EPERM // asking must not leave the host
	}}, "no-such-name.invalid", nil)
	for range 2 {
		send(t, u.client, "hello?")
		if f := next(t, u.proxy.ended); Failure(f.Err) != "dns" || f.Upstream.IsValid() || f.EndedBy != "" {
			t.Errorf("%+v", f)
		}
	}
}

// Mappings that lead to mappings do not go round.
func TestDatagramsToTheProxy(t *testing.T) {
	for name, addrs := range map[string][2]string{
		"itself": {"127.0.0.1:0", ""}, "itself at all addresses": {"0.0.0.0:0", ""}, "each other": {"127.0.0.1:0", "127.0.0.1:0"},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			s := &Server{}
			one := listenUDP(t, addrs[0])
			other := one
			if addrs[1] != "" {
				other = listenUDP(t, addrs[1])
			}
			p := run(t, s)
			local := func(c *net.UDPConn) string {
				return fmt.Sprint("127.0.0.1:", c.LocalAddr().(*net.UDPAddr).Port)
			}
			serveDatagrams(t, s, one, local(other), nil)
			if other != one {
				serveDatagrams(t, s, other, local(one), nil)
			}
			send(t, dialUDP(t, local(one)), "hello?")
			if f := next(t, p.ended); Failure(f.Err) != "self" || f.ID != 1 {
				t.Errorf("%+v", f)
			}
			a := &association{datagrams: &datagrams{Server: s}}
			if err := a.outward("udp4", local(one), nil); err != ErrSelf {
				t.Errorf("a question for a name: %v", err)
			}
			if err := a.outward("tcp4", local(one), nil); err != nil {
				t.Errorf("TCP is somewhere else: %v", err)
			}
			if !within(func() bool { return a.outward("tcp4", p.addr, nil) == ErrSelf }) { // once it serves
				t.Error("a question over TCP goes round")
			}
		})
	}
}

func TestDatagramsOverIPv6(t *testing.T) {
	if c, err := net.ListenPacket("udp6", "[::1]:0"); err != nil {
		t.Skip(err)
	} else {
		c.Close()
	}
	for listens, targets := range map[string]string{"[::1]:0": "[::1]:0", "127.0.0.1:0": "[::1]:0"} {
		t.Run(listens+" to "+targets, func(t *testing.T) {
			noLeaks(t)
			s, at := &Server{}, listenUDP(t, listens)
			u := &datagramPair{proxy: run(t, s), target: listenUDP(t, targets), client: dialUDP(t, at.LocalAddr().String())}
			u.mapping = serveDatagrams(t, s, at, u.target.LocalAddr().String(), nil)
			u.question(t, u.client, "hello")
			if f := u.over(t); f.Upstream.String() != u.target.LocalAddr().String() || f.Client.String() != u.client.LocalAddr().String() {
				t.Errorf("%+v", f)
			}
		})
	}
}

func TestPreferredAddress(t *testing.T) {
	for want, addrs := range map[string][]string{
		"192.0.2.1":   {"2001:db8::1", "::ffff:192.0.2.1", "192.0.2.2"},
		"192.0.2.2":   {"192.0.2.2", "192.0.2.1"},
		"2001:db8::1": {"2001:db8::1", "2001:db8::2"},
	} {
		var parsed []netip.Addr
		for _, a := range addrs {
			parsed = append(parsed, netip.MustParseAddr(a))
		}
		if got := preferred(parsed); got.String() != want {
			t.Errorf("%v of %v", got, addrs)
		}
	}
}

// Every datagram is delayed, from when it arrived and beside the others.
func TestDatagramLatency(t *testing.T) {
	noLeaks(t)
	const delay, datagrams = 300 * ms, 50 // one after another they would take longer than anybody waits
	u := mapDatagrams(t, &Server{Plan: delayed(constant(delay), true, 1)}, "127.0.0.1", nil)
	var sent []time.Time
	for i := range datagrams {
		sent = append(sent, time.Now())
		send(t, u.client, fmt.Sprint(i))
	}
	for i := range datagrams {
		if u.heard(t, fmt.Sprint(i)); time.Since(sent[i]) < delay {
			t.Errorf("datagram %d took %v", i, time.Since(sent[i]))
		}
	}
	u.answer(t, "hello")
	sent[0] = time.Now()
	if answered(t, u.client, "hello"); time.Since(sent[0]) < delay-5*ms {
		t.Errorf("the answer took %v", time.Since(sent[0]))
	}
	f := u.over(t)
	if in := injectedInto(t, f, faults.ToServer); in.Pieces != datagrams || in.Sum < datagrams*delay || len(in.Drawn) != drawnKept || in.Drawn[0] != delay {
		t.Errorf("%+v", in)
	}
	if in := injectedInto(t, f, faults.ToClient); in.Pieces != 1 || in.Max < delay {
		t.Errorf("%+v", in)
	}
}

// Once is the first datagram of a flow on each link; those behind wait for no
// longer than that.
func TestDatagramLatencyOnce(t *testing.T) {
	noLeaks(t)
	u := mapDatagrams(t, &Server{Plan: delayed(constant(100*ms), false, 1)}, "127.0.0.1", nil)
	sent := time.Now()
	send(t, u.client, "one")
	send(t, u.client, "two")
	for _, text := range []string{"one", "two"} {
		if u.heard(t, text); time.Since(sent) < 100*ms {
			t.Errorf("%q took %v", text, time.Since(sent))
		}
	}
	for range 3 {
		u.question(t, u.client, "hello")
	}
	f := u.over(t)
	for _, link := range []faults.Link{faults.ToServer, faults.ToClient} {
		if in := injectedInto(t, f, link); in.Pieces != 1 || in.Drawn[0] != 100*ms {
			t.Errorf("%v: %+v", link, in)
		}
	}
}

func TestDatagramJitter(t *testing.T) {
	noLeaks(t)
	const amplitude, datagrams = 20 * ms, 100
	u := mapDatagrams(t, &Server{Plan: planOf(faults.Jitter{Amplitude: amplitude, Frequency: 1e9, On: bothLinks})}, "127.0.0.1", nil)
	for i := range datagrams {
		send(t, u.client, fmt.Sprint(i))
	}
	for i := range datagrams {
		u.heard(t, fmt.Sprint(i))
	}
	in := injectedInto(t, u.over(t), faults.ToServer)
	if in.Pieces < datagrams*9/10 || in.Pieces > datagrams {
		t.Errorf("%d of %d were delayed", in.Pieces, datagrams)
	}
	least, most := amplitude, time.Duration(0)
	for _, d := range in.Drawn {
		least, most = min(least, d), max(most, d)
	}
	if most > amplitude || most-least < amplitude/2 {
		t.Errorf("%d delays from %v to %v", len(in.Drawn), least, most)
	}
}

// A lost datagram is gone, and the others are as they were. Here nothing else
// loses any: so many are under way at a time as the kernel takes.
func TestDatagramLoss(t *testing.T) {
	const datagrams, p, window = 2000, .2, 50
	for _, way := range []string{"to server", "to client"} {
		t.Run(way, func(t *testing.T) {
			noLeaks(t)
			link, direction := faults.ToServer, faults.Egress
			if way == "to client" {
				link, direction = faults.ToClient, faults.Ingress
			}
			plan := planOf(faults.PacketLoss{Rate: p, On: faults.LinksOf(faults.Server, direction)})
			plan.Seed = 1
			u := mapDatagrams(t, &Server{Plan: plan}, "127.0.0.1", nil)
			from, to := u.client, u.target
			send(t, u.client, "hello")
			told := 0
			if way == "to client" {
				u.heard(t, "hello")
				from, to = u.target, u.client
			} else if told = 1; !within(func() bool { return len(u.proxy.injected(link)) == 1 }) {
				t.Fatal("nothing was decided")
			}
			arrived := make(chan int, datagrams)
			go func() {
				defer close(arrived)
				buf := make([]byte, 100)
				for {
					n, err := to.Read(buf)
					if err != nil || string(buf[:n]) == "end" {
						return
					}
					if i, err := strconv.Atoi(string(buf[:n])); err == nil {
						arrived <- i
					}
				}
			}()
			for i := range datagrams {
				if way == "to client" {
					u.answer(t, fmt.Sprint(i))
				} else {
					send(t, from, fmt.Sprint(i))
				}
				if i%window == window-1 && !within(func() bool { return len(u.proxy.injected(link)) == told+i+1 }) {
					t.Fatalf("%d of %d were decided about", len(u.proxy.injected(link)), told+i+1)
				}
			}
			f := u.over(t)
			_ = to.SetReadDeadline(time.Now().Add(quiet))
			in := injectedInto(t, f, link)
			got, last := 0, -1
			for i := range arrived {
				if got++; i <= last {
					t.Errorf("%d arrived behind %d", i, last)
				}
				last = i
			}
			lost := datagrams - got
			if share, limit := float64(lost)/datagrams, 3*math.Sqrt(p*(1-p)/datagrams); math.Abs(share-p) > limit {
				t.Errorf("a share of %.4f is lost, want %.4f within %.4f", share, p, limit)
			}
			if in.Tried != told+datagrams || in.Hit < lost || in.Hit > lost+told || in.Pieces != 0 || in.Swallowed == 0 {
				t.Errorf("%d were lost: %+v", lost, in)
			}
			if f.Err != nil {
				t.Errorf("%+v", f)
			}
		})
	}
}

// A datagram that is lost was not delayed before.
func TestDatagramLossBehindLatency(t *testing.T) {
	noLeaks(t)
	u := mapDatagrams(t, &Server{Plan: planOf(
		faults.PacketLoss{Rate: 1e-12, On: bothLinks},
		faults.Latency{Delay: constant(time.Hour), On: bothLinks, PerReadWrite: true},
		faults.PacketLoss{Rate: 1, On: bothLinks},
	)}, "127.0.0.1", nil)
	send(t, u.client, "hello")
	if !within(func() bool { return len(u.proxy.injected(faults.ToServer)) == 2 }) {
		t.Fatal("nothing is lost")
	}
	f := u.over(t)
	if len(f.Injected) != 2 || f.Injected[0].Tried != 1 || f.Injected[0].Hit != 0 || f.Injected[0].BusiestSecond != 0 || f.Injected[1].Swallowed != 5 || f.Injected[1].Hit != 1 {
		t.Errorf("%+v", f.Injected)
	}
}

// Nothing arrives on a link that is cut, and the other is as it was.
func TestDatagramBlackhole(t *testing.T) {
	t.Run("to client", func(t *testing.T) {
		noLeaks(t)
		u := mapDatagrams(t, &Server{Plan: dark(faults.Server, faults.Ingress)}, "127.0.0.1", nil)
		for range 3 {
			send(t, u.client, "hello?")
			u.heard(t, "hello?")
			u.answer(t, "hello")
			silent(t, u.client)
		}
		f := u.over(t)
		if in := injectedInto(t, f, faults.ToClient); f.Err != nil || f.Bytes != [2]int64{18, 0} || in.Swallowed != 15 {
			t.Errorf("%+v", f)
		}
	})
	t.Run("to server", func(t *testing.T) {
		noLeaks(t)
		u := mapDatagrams(t, &Server{Plan: dark(faults.Server, faults.Egress)}, "127.0.0.1", nil)
		for range 3 {
			send(t, u.client, "hello?")
		}
		silent(t, u.target)
		f := u.over(t)
		if in := injectedInto(t, f, faults.ToServer); f.Err != nil || f.Bytes != [2]int64{} || in.Swallowed != 18 {
			t.Errorf("%+v", f)
		}
	})
}

// A slow line carries datagrams at its rate. Its queue is short, and what comes
// when that is full is lost.
func TestDatagramBandwidth(t *testing.T) {
	noLeaks(t)
	const size, datagrams, each = 1000, 200, 10 * ms
	latency := faults.Latency{Delay: constant(50 * ms), On: bothLinks, PerReadWrite: true}
	bandwidth := faults.Bandwidth{Rate: float64(size) / each.Seconds(), On: bothLinks}
	u := mapDatagrams(t, &Server{Plan: planOf(latency, bandwidth)}, "127.0.0.1", nil)
	began := time.Now()
	for i := range datagrams {
		send(t, u.client, fmt.Sprintf("%*d", size, i))
		time.Sleep(ms / 2) // the kernel's own queue is not to be full
	}
	if !within(func() bool {
		decided := 0
		for _, e := range u.proxy.injected(faults.ToServer) {
			if e.Fault == 1 {
				decided++
			}
		}
		return decided == datagrams
	}) {
		t.Fatal("not all were decided about")
	}
	f := u.over(t)
	got, last := 0, -1
	_ = u.target.SetReadDeadline(time.Now().Add(quiet))
	for buf := make([]byte, datagramSize); ; got++ {
		n, err := u.target.Read(buf)
		if err != nil {
			break
		}
		i, err := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
		if n != size || err != nil || i <= last {
			t.Fatalf("%d bytes, %v, %d behind %d", n, err, i, last)
		}
		last = i
	}
	if took := time.Since(began); took < 50*ms+time.Duration(got)*each {
		t.Errorf("%d datagrams in %v", got, took)
	}
	slices.SortFunc(f.Injected, func(a, b Injection) int { return a.Fault - b.Fault })
	line := f.Injected[1]
	if got < 10 || got == datagrams || line.Fault != 1 || line.Pieces != got || line.Swallowed != int64(datagrams-got)*size {
		t.Errorf("%d arrived: %+v", got, f.Injected)
	}
	if delay := f.Injected[0]; delay.Pieces != got || delay.Swallowed != 0 {
		t.Errorf("%d arrived: %+v", got, f.Injected)
	}
}

// A queue that was full takes more when it has emptied.
func TestDatagramBandwidthGoesOn(t *testing.T) {
	noLeaks(t)
	u := mapDatagrams(t, &Server{Plan: planOf(faults.Bandwidth{Rate: 100_000, On: bothLinks})}, "127.0.0.1", nil)
	for round := range 3 {
		send(t, u.client, strings.Repeat("x", 40_000)) // for which the line takes longer than it queues
		if n := len(u.next(t)); n != 40_000 {
			t.Errorf("round %d: %d bytes", round, n)
		}
	}
}
