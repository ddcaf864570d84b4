// Package proxy carries connections through faults.
//
// One listener serves everybody. A connection that the kernel diverted is
// carried to where it was going, which [Origin] knows; any other is a client
// that speaks HTTP to us: requests for the forward proxy, or CONNECT. A mapping
// has a listener of its own, and one target. Every flow runs in two links, one
// for each direction, and a link with nothing to shape is a plain copy that
// alters nothing.
//
// Who carries it depends: on Linux an [engine], if both ends are TCP connections
// and nothing of ours is spoken on them; otherwise a [tunnel], in goroutines. What
// faults do to a link, and what becomes of the flow, is the same code for both.
//
// The package does not know how connections are diverted, and nothing of
// flags, output or the run; an [Observer] is told what happens.
package proxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/faultproxy/fault/faults"
)

// Server is the proxy. Its fields are set before Serve and not changed then;
// Plan, Observer, Clock and Log are required.
type Server struct {
	// Origin says where a connection was diverted from; nil if none are.
	Origin Origin
	// Exempt is called with each socket of ours before it connects, to keep
	// it from being diverted. It may be nil.
	Exempt func(network, address string, c syscall.RawConn) error
	// Plan is the faults of matched flows.
	Plan *faults.Plan
	// Matches says whether faults apply to a destination. Of a name, addrs
	// gives its addresses, at the cost of a look-up. Nil matches everything.
	Matches func(host string, port uint16, addrs func() []netip.Addr) bool
	// NoClients turns explicit clients away.
	NoClients bool
	// Upstream is where all that explicit clients ask for goes; nil is where
	// they ask for.
	Upstream *Target
	// TLS verifies upstreams to which we speak TLS ourselves; nil is with the
	// system's roots.
	TLS *tls.Config
	// Observer is told of flows.
	Observer Observer
	// Buffers bounds what faults hold.
	Buffers Buffers
	// Clock is the time of the run.
	Clock Clock
	// Log is for what cannot be told by a flow.
	Log *zap.Logger

	once     sync.Once
	clients  *handover
	engine   *engine // nil: each flow is carried in goroutines of its own
	portable bool    // have no engine; only tests set it
	speakers speakers
	held     held
	http     *http.Server
	flows    atomic.Uint64
	gauges   gauges
	ctx      context.Context // ends when flows are cut off
	cancel   context.CancelFunc
	ending   chan struct{} // closed when they are asked to end
	ask      func()        // closes ending

	mu      sync.Mutex
	listens []netip.AddrPort
	// datagramsAt is where UDP mappings are.
	datagramsAt []netip.AddrPort
	tunnels     map[*tunnel]struct{}
	closed      bool          // flows are cut off: none may begin
	working     int           // connections and requests at work
	idle        chan struct{} // if not nil, closed when working gets 0
}

// Target is a place to go to.
type Target struct {
	// Host is a name or an address without brackets.
	Host string
	Port uint16
	// TLS says that requests are sent there over TLS.
	TLS bool
}

// String is host:port.
func (t Target) String() string { return hostPort(t.Host, t.Port) }

// Start prepares the server, so that nothing is left to be opened when the first
// connection comes. Whatever serves does that otherwise; it may be called again.
func (s *Server) Start() {
	s.once.Do(func() {
		s.tunnels = make(map[*tunnel]struct{})
		s.gauges.store.Buffers = s.Buffers
		s.ending = make(chan struct{})
		s.ask = sync.OnceFunc(func() { close(s.ending) })
		s.ctx, s.cancel = context.WithCancel(context.Background())
		s.clients = newHandover()
		s.http = s.newHTTPServer()
		go func() { _ = s.http.Serve(s.clients) }() // ends when Drain closes it
		if s.portable {
			return
		}
		var err error
		if s.engine, err = newEngine(s); err != nil {
			s.Log.Warn("carry flows one by one", zap.Error(err))
		}
	})
}

// Serve accepts diverted connections and explicit clients from ln until it is
// closed or its deadline passes, and returns nil then. Flows go on; see
// [Server.Drain]. The listener stays the caller's.
func (s *Server) Serve(ln *net.TCPListener) error {
	s.listensAt(ln)
	return s.accept(ln, s.handle)
}

// listensAt notes an address of ours before clients come there.
func (s *Server) listensAt(ln *net.TCPListener) {
	s.Start()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listens = append(s.listens, ln.Addr().(*net.TCPAddr).AddrPort())
}

// accept accepts connections and has each handled in a goroutine of its own.
func (s *Server) accept(ln *net.TCPListener, handle func(*net.TCPConn)) error {
	for {
		c, err := ln.AcceptTCP()
		switch {
		case err == nil:
			if !s.begin() {
				reset(c)
				continue
			}
			go func() {
				defer s.done()
				_ = c.SetKeepAlive(false) // the far side's silence is not ours to break
				if raw, err := c.SyscallConn(); err == nil {
					_ = setUpRaw(raw)
				}
				setUpLocalConn(c)
				handle(c)
			}()
		case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		default:
			// Out of descriptors, most likely: those in use will come back.
			s.Log.Warn("accept a connection", zap.Error(err))
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// handle has a connection to the proxy.
func (s *Server) handle(c *net.TCPConn) {
	if s.Origin == nil {
		s.explicit(c)
		return
	}
	s.receive(c, s.Origin, s.explicit)
}

// receive finds out what a connection is; others are those that were not
// diverted. It must not wait for bytes: in many protocols the server speaks
// first.
func (s *Server) receive(c *net.TCPConn, originOf Origin, others func(*net.TCPConn)) {
	origin, diverted, err := originOf(c)
	switch {
	case err != nil:
		f := s.open(&Flow{Entry: EntryIntercepted, Client: addrPort(c.RemoteAddr())})
		f.Err = fmt.Errorf("%w: %w", ErrOrigin, err)
		reset(c)
		s.end(f)
	case diverted:
		s.intercepted(c, origin)
	default:
		others(c)
	}
}

// explicit serves a client that asks for a proxy.
func (s *Server) explicit(c *net.TCPConn) {
	if s.NoClients {
		reset(c)
		return
	}
	s.clients.give(s.newClient(c, nil))
}

// intercepted carries a diverted connection to where it was going.
func (s *Server) intercepted(c *net.TCPConn, origin Intercepted) {
	if s.held.accepted(origin.Socket.Place, c) {
		return
	}
	f := s.intercept(addrPort(c.RemoteAddr()), origin)
	s.relay(f, c, nil, s.dialOrigin(f, faults.Accepted, origin))
}

// intercept opens the flow of a diverted connection.
func (s *Server) intercept(client netip.AddrPort, origin Intercepted) *Flow {
	f := &Flow{
		Entry: EntryIntercepted, Client: client,
		Process: origin.Process, Host: origin.Destination.String(), MatchedBy: origin.MatchedBy,
	}
	if shared := origin; shared.Shared {
		f.MatchedBy, f.shared = ByAmbiguous, &shared
	} else {
		f.Matched = f.MatchedBy != "" || s.matches(origin.Destination.Addr().String(), origin.Destination.Port(), nil)
	}
	return s.open(f)
}

// dialOrigin dials where a diverted connection was going.
func (s *Server) dialOrigin(f *Flow, wait faults.Wait, origin Intercepted) func(context.Context) (stream, error) {
	return func(ctx context.Context) (stream, error) {
		return asStream(s.reach(ctx, f, wait, origin.Destination.String(), origin.Socket))
	}
}

// relay dials for a client, of which early was read before, carries its
// connection, and ends the flow. The connection is not the caller's any more.
func (s *Server) relay(f *Flow, c *net.TCPConn, early []byte, dial func(context.Context) (stream, error)) {
	if answers := s.answers(f); answers != nil {
		upstream := newLazy(s.ctx, dial)
		err := s.converse(f, answers, c, upstream, early)
		f.Upstream = remote(upstream)
		s.endWith(f, err)
		return
	}
	upstream, err := s.dialFor(c, dial)
	if failedBy(err, faults.TimedOut) {
		err = cmp.Or(s.sitOut(c), err)
	}
	if err != nil {
		reset(c)
		s.endWith(f, err)
		return
	}
	f.Upstream = remote(upstream)
	s.carryNamed(f, c, upstream, early)
}

// remote is where a stream goes to, invalid if it was never dialled.
func remote(c stream) netip.AddrPort {
	if tcp := tcpOf(c); tcp != nil {
		return addrPort(tcp.RemoteAddr())
	}
	return netip.AddrPort{}
}

// dialFor dials while a client waits, and gives up if the client does.
func (s *Server) dialFor(client *net.TCPConn, dial func(context.Context) (stream, error)) (stream, error) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	defer watch(client, cancel)()
	return dial(ctx)
}

// watch calls gone if a client resets its connection before stop is called.
// Nobody may read from it meanwhile.
func watch(client *net.TCPConn, gone func()) (stop func()) {
	var watching sync.WaitGroup
	watching.Go(func() {
		if broken(client) != nil {
			gone()
		}
	})
	return func() {
		// A deadline in the past ends the watching.
		_ = client.SetReadDeadline(time.Unix(1, 0))
		watching.Wait()
		_ = client.SetReadDeadline(time.Time{})
	}
}

func (s *Server) matches(host string, port uint16, addrs func() []netip.Addr) bool {
	return s.Matches == nil || s.Matches(host, port, addrs)
}

func (s *Server) open(f *Flow) *Flow {
	f.ID = s.flows.Add(1)
	f.Started = s.Clock.Now()
	if len(s.Plan.Faults) > 0 {
		f.did = &tallies{}
	}
	s.Observer.FlowOpened(f)
	return f
}

// endWith ends a flow, and says why it broke, nil if it did not.
func (s *Server) endWith(f *Flow, err error) {
	f.Err = err
	s.end(f)
}

func (s *Server) end(f *Flow) {
	if f.secured && errors.Is(f.Err, io.ErrUnexpectedEOF) {
		f.Err = tlsError{fmt.Errorf("the server hung up within a TLS record: %w", f.Err)}
	}
	if f.Err != nil && s.ctx.Err() != nil {
		f.Err = ErrEnded // whatever it looked like from where it broke
	}
	if by := (*FaultError)(nil); errors.As(f.Err, &by) {
		f.EndedBy = EndFault
	}
	f.Injected = f.did.told()
	f.Lasted = s.Clock.Now() - f.Started
	s.Observer.FlowEnded(f)
}

// begin and done bracket the work on a connection or a request. Once flows are
// cut off none may begin.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.working++
	return true
}

func (s *Server) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.working--
	if s.working == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}

// whenIdle is closed once there is no work.
func (s *Server) whenIdle() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle == nil {
		s.idle = make(chan struct{})
	}
	idle := s.idle
	if s.working == 0 {
		close(s.idle)
		s.idle = nil
	}
	return idle
}

func (s *Server) register(t *tunnel) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.tunnels[t] = struct{}{}
	return true
}

func (s *Server) unregister(t *tunnel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tunnels, t)
}

// Drain waits for the flows to end, until ctx does; then it cuts off those
// that are left, and at once those that wait for what will never come.
// Connections of HTTP clients are closed as soon as they are idle. The listener
// must be closed.
func (s *Server) Drain(ctx context.Context) {
	s.clients.Close()
	s.ask()
	if s.engine != nil {
		s.engine.ends()
	}
	// Shutdown would wait for connections; what counts is flows. Those that
	// are open end with the request that they are at.
	_ = s.http.Shutdown(expired)
	select {
	case <-s.whenIdle():
	case <-ctx.Done():
	}
	s.cutOff()
	<-s.whenIdle()
	_ = s.http.Close()
	if s.engine != nil {
		s.engine.close()
	}
}

// expired is a context that has ended.
var expired = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// cutOff ends every flow with a reset.
func (s *Server) cutOff() {
	s.mu.Lock()
	s.closed = true
	left := make([]*tunnel, 0, len(s.tunnels))
	for t := range s.tunnels {
		left = append(left, t)
	}
	s.mu.Unlock()
	for _, t := range left {
		t.finish(ErrEnded)
	}
	if s.engine != nil {
		s.engine.cutOff()
	}
	s.cancel() // which some flows would take for an end of their client
}

func addrPort(a net.Addr) netip.AddrPort {
	ip, ok := a.(interface{ AddrPort() netip.AddrPort })
	if !ok {
		return netip.AddrPort{}
	}
	return unmapped(ip.AddrPort())
}

func unmapped(ap netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// handover is the listener that the HTTP server accepts from: the clients that
// turned out to be explicit.
type handover struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newHandover() *handover {
	return &handover{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (h *handover) give(c *client) {
	select {
	case h.conns <- c:
	case <-h.closed:
		c.Close()
	}
}

// Accept waits for the next client.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept; it may be called again.
func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr is nothing: the real listeners have addresses.
func (h *handover) Addr() net.Addr { return &net.TCPAddr{} }
