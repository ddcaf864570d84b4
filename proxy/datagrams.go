package proxy

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy/mapping"
)

const (
	// datagramSize is the most that UDP carries.
	datagramSize = 64 << 10
	// datagramIdle is how long a flow of datagrams may be silent before it is
	// over: nothing else says that it is.
	datagramIdle = time.Minute
	// datagramsEarly is how many datagrams of a client wait while the target's
	// name is looked up: as many as the kernel would let wait.
	datagramsEarly = 256
	// datagramFlows is how many flows a mapping has at most. Some clients ask
	// each of their questions from another port.
	datagramFlows = 2048
	// datagramPause is how long nothing is read from a socket that is broken.
	datagramPause = 20 * time.Millisecond
)

// errCrowded ends a flow that something was still on its way in.
var errCrowded = errors.New("the mapping has too many clients at a time")

// ServeDatagrams carries the datagrams of a UDP mapping: a client's are a flow,
// with a socket of its own to the target, until it has been silent for a
// minute. It returns nil once conn's read deadline has passed or conn is
// closed; answers still go out over conn, which is the caller's.
func (s *Server) ServeDatagrams(conn *net.UDPConn, m mapping.Mapping) error {
	return s.newDatagrams(conn, m).serve()
}

// datagrams is a UDP mapping at work.
type datagrams struct {
	*Server
	conn    *net.UDPConn
	mapping mapping.Mapping
	idle    time.Duration
	most    int // flows
	early   int // datagrams of a flow whose target is not known yet

	mu    sync.Mutex
	flows map[peer]*association
}

// peer is a client, and the address of ours that it talks to: it takes answers
// from no other.
type peer struct {
	netip.AddrPort
	at string // that address as sendmsg(2) takes it, empty if there is no choice
}

// datagram is one, and when it arrived.
type datagram struct {
	at   time.Duration
	data []byte
}

func (s *Server) newDatagrams(conn *net.UDPConn, m mapping.Mapping) *datagrams {
	s.start()
	s.mu.Lock()
	s.datagramsAt = append(s.datagramsAt, conn.LocalAddr().(*net.UDPAddr).AddrPort())
	s.mu.Unlock()
	return &datagrams{
		Server: s, conn: conn, mapping: m,
		idle: datagramIdle, most: datagramFlows, early: datagramsEarly, flows: make(map[peer]*association),
	}
}

func (d *datagrams) serve() error {
	if err := tellAddress(d.conn); err != nil {
		d.Log.Debug("answers may come from another address than was asked", zap.Error(err))
	}
	buf, control := make([]byte, datagramSize), make([]byte, 128)
	for {
		n, told, _, client, err := d.conn.ReadMsgUDPAddrPort(buf, control)
		switch {
		case err == nil:
			d.deliver(peer{client, answerFrom(control[:told])}, datagram{d.Clock.Now(), bytes.Clone(buf[:n])})
		case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		default:
			d.Log.Debug("read a datagram", zap.Error(err))
			time.Sleep(datagramPause)
		}
	}
}

// deliver gives a datagram to its client's flow. Nothing waits: what there is
// no room for is lost, as on any way.
func (d *datagrams) deliver(from peer, p datagram) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.flows[from]
	if a == nil {
		if !d.begin() {
			return
		}
		a = d.associate(from)
		go func() {
			defer d.done()
			defer a.cut()
			a.run()
		}()
	}
	switch {
	case a.toServer != nil:
		a.toServer.take(p)
	case len(a.waiting) < d.early:
		a.waiting = append(a.waiting, p)
	}
}

// associate makes a flow for a client. The caller holds d.mu.
func (d *datagrams) associate(from peer) *association {
	if len(d.flows) >= d.most {
		d.makeRoom()
	}
	a := &association{datagrams: d, from: from}
	a.ctx, a.cut = context.WithCancel(d.ctx)
	a.hear(d.Clock.Now())
	d.flows[from] = a
	return a
}

// makeRoom cuts off the flow that has been silent for longest. The caller holds
// d.mu.
func (d *datagrams) makeRoom() {
	var silent *association
	for _, a := range d.flows {
		if silent == nil || a.heard.Load() < silent.heard.Load() {
			silent = a
		}
	}
	if silent != nil {
		delete(d.flows, silent.from)
		silent.cut()
	}
}

// association is the flow of one client's datagrams.
type association struct {
	*datagrams
	from  peer
	ctx   context.Context // ends when the flow is cut off
	cut   context.CancelFunc
	heard atomic.Int64 // until when the flow has not been silent, a time of the run

	// Of the datagrams' mu:
	waiting  []datagram // for the target to be known
	toServer *courier   // nil until it is
}

// hear notes that the flow is not silent until then.
func (a *association) hear(until time.Duration) {
	for {
		heard := a.heard.Load()
		if heard >= int64(until) || a.heard.CompareAndSwap(heard, int64(until)) {
			return
		}
	}
}

// forget has the client's next datagram be another flow's.
func (a *association) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.flows[a.from] == a {
		delete(a.flows, a.from)
	}
}

// retire forgets a flow that has been silent for long enough; otherwise it
// returns how long it must go on to be.
func (a *association) retire() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	left := time.Duration(a.heard.Load()) - a.Clock.Now() + a.idle
	if left <= 0 && a.flows[a.from] == a {
		delete(a.flows, a.from)
	}
	return left
}

func (a *association) run() {
	f := a.open(&Flow{Entry: EntryMapping, Client: unmapped(a.from.AddrPort), Host: a.mapping.Target()})
	defer a.end(f)
	defer a.forget()
	upstream, err := a.dial(f)
	if err != nil {
		f.Err = err
		if a.ctx.Err() != nil {
			f.Err = errCrowded
		}
		return
	}
	defer upstream.Close()
	f.Upstream = unmapped(upstream.RemoteAddr().(*net.UDPAddr).AddrPort())
	a.carry(f, upstream)
}

// dial finds the target, and decides whether faults apply to it.
func (a *association) dial(f *Flow) (*net.UDPConn, error) {
	d := net.Dialer{Control: a.outward}
	resolver := net.Resolver{PreferGo: true, Dial: d.DialContext}
	lookUp := sync.OnceValues(func() ([]netip.Addr, error) {
		return resolver.LookupNetIP(a.ctx, "ip", a.mapping.Host)
	})
	f.Matched = a.matches(a.mapping.Host, a.mapping.Port, func() []netip.Addr {
		addrs, _ := lookUp()
		return addrs
	})
	addrs, err := lookUp()
	if err != nil {
		return nil, err
	}
	c, err := d.DialContext(a.ctx, "udp", netip.AddrPortFrom(preferred(addrs), a.mapping.Port).String())
	if err != nil {
		if errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
			a.mu.Lock()
			a.makeRoom() // for when the client tries again
			a.mu.Unlock()
		}
		return nil, err
	}
	return c.(*net.UDPConn), nil
}

// preferred is where datagrams go of the addresses of a name: nobody says
// whether they arrive, so no other is tried. IPv4 works from everywhere.
func preferred(addrs []netip.Addr) netip.Addr {
	if i := slices.IndexFunc(addrs, func(a netip.Addr) bool { return a.Unmap().Is4() }); i >= 0 {
		return addrs[i].Unmap()
	}
	return addrs[0]
}

// outward prepares a socket of a flow, which may go anywhere but to us: a
// datagram would go round for ever, or a question for the target's name.
func (a *association) outward(network, address string, c syscall.RawConn) error {
	self := a.isSelf
	if strings.HasPrefix(network, "udp") {
		self = a.isSelfForDatagrams
	}
	if self(address) {
		return ErrSelf
	}
	return a.exempt(network, address, c)
}

func (s *Server) isSelfForDatagrams(address string) bool {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.datagramsAt, func(own netip.AddrPort) bool { return reaches(to, own) })
}

// carry carries the flow until it is over, and all of it has been sent.
func (a *association) carry(f *Flow, upstream *net.UDPConn) {
	toServer := a.courier(f, faults.ToServer, func(data []byte) error { return sendTo(upstream, data) })
	toClient := a.courier(f, faults.ToClient, func(data []byte) error {
		_, _, err := a.conn.WriteMsgUDPAddrPort(data, []byte(a.from.at), a.from.AddrPort)
		return err
	})
	var work sync.WaitGroup
	work.Go(toServer.carry)
	work.Go(toClient.carry)
	work.Go(func() { a.listen(upstream, toClient) })
	a.found(toServer)
	f.EndedBy = a.wait()
	toServer.finish()
	_ = upstream.SetReadDeadline(time.Unix(1, 0)) // which ends the listening
	work.Wait()
	if toServer.unsent || toClient.unsent {
		f.Err = errCrowded // or the run ended
	}
	f.Bytes = [2]int64{faults.ToServer: toServer.bytes, faults.ToClient: toClient.bytes}
	f.Injected = append(toServer.told(faults.ToServer), toClient.told(faults.ToClient)...)
}

// sendTo sends to the target. That nobody was there for one datagram is what
// the next is told, which then has not been sent.
func sendTo(upstream *net.UDPConn, data []byte) error {
	_, err := upstream.Write(data)
	if errors.Is(err, syscall.ECONNREFUSED) {
		_, err = upstream.Write(data)
	}
	return err
}

// found has what the client sent go to the target from now on.
func (a *association) found(to *courier) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, p := range a.waiting {
		to.take(p)
	}
	a.waiting, a.toServer = nil, to
}

// wait waits until there has been nothing either way for long enough, or the
// run ends, and says who ended the flow. The client's next datagram is another
// flow's then.
func (a *association) wait() End {
	defer a.forget()
	timer := time.NewTimer(a.idle)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			left := a.retire()
			if left <= 0 {
				return ""
			}
			timer.Reset(left)
		case <-a.ending:
			return EndRun
		case <-a.ctx.Done():
			return ""
		}
	}
}

// datagramBuffers are for those who wait for a target's datagrams.
var datagramBuffers = sync.Pool{New: func() any { return new([datagramSize]byte) }}

// listen takes the target's datagrams until upstream's deadline passes.
func (a *association) listen(upstream *net.UDPConn, to *courier) {
	defer to.finish()
	buf := datagramBuffers.Get().(*[datagramSize]byte)
	defer datagramBuffers.Put(buf)
	for {
		n, err := upstream.Read(buf[:])
		switch {
		case err == nil:
			to.take(datagram{a.Clock.Now(), bytes.Clone(buf[:n])})
		case errors.Is(err, os.ErrDeadlineExceeded):
			return
		case errors.Is(err, syscall.ECONNREFUSED): // nobody is there yet
		default: // nor is there a way
			a.Log.Debug("read a datagram of the target", zap.Error(err))
			time.Sleep(datagramPause)
		}
	}
}

// courier carries the datagrams of one link.
type courier struct {
	shaping
	send func([]byte) error
	hear func(until time.Duration)
	log  *zap.Logger

	hold time.Duration // until when a queue is full
	full int           // the fault whose queue that is
	last time.Duration // departure of the last

	bytes  int64
	unsent bool // something was left when the flow was cut off
}

func (a *association) courier(f *Flow, which faults.Link, send func([]byte) error) *courier {
	c := &courier{shaping: a.shape(f, which), send: send, hear: a.hear, log: a.Log}
	if f.Matched {
		c.chain = a.Plan.Chain(f.ID, which, faults.Datagrams)
	}
	c.stop = a.ctx.Done()
	c.queue = newLine(c.clock, c.life)
	return c
}

// take queues a datagram, or loses it. A flow is not silent while one is on its
// way.
func (c *courier) take(p datagram) {
	c.hear(p.at)
	if p.at < c.hold {
		c.lose([]faults.Effect{{Fault: c.full, Delay: faults.Never, Bytes: len(p.data)}})
		return
	}
	d := c.chain.Shape(p.at, len(p.data))
	c.hold, c.full = d.Hold, d.Full
	if d.Leave == faults.Never {
		c.lose(d.Effects)
		return
	}
	if c.queue.append(piece{data: p.data, leave: d.Leave, effects: d.Effects}) {
		c.last = d.Leave
		c.hear(d.Leave)
		signal(c.queue.filled)
	}
}

// lose tells of a datagram that does not go on, and so is not delayed either.
func (c *courier) lose(effects []faults.Effect) {
	for _, e := range effects {
		if e.Delay != faults.Never {
			e.Delay, e.Bytes = 0, 0
		}
		if e.Delay == 0 && e.Tried == 0 {
			continue
		}
		c.add(e, 0, c.clock.Now())
		c.injected(e, 0)
	}
}

// finish says that no more will be taken.
func (c *courier) finish() { c.queue.put(piece{leave: c.last, end: errStopped}) }

// carry sends each datagram at its time, until the last.
func (c *courier) carry() {
	for {
		p, err := c.queue.take()
		if err != nil {
			p, left := c.queue.head()
			c.unsent = left && p.end == nil
			return
		}
		if p.end != nil {
			return
		}
		if err := c.send(p.data); err != nil {
			c.log.Debug("send a datagram", zap.Error(err))
			continue
		}
		c.bytes += int64(len(p.data))
		c.tell(p)
	}
}

func unmapped(ap netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
