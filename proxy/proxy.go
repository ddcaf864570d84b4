// Package proxy carries connections through faults.
//
// One listener serves everybody. A connection that the kernel diverted is
// carried to where it was going, which [Origin] knows; any other is a client
// that speaks HTTP to us: requests for the forward proxy, or CONNECT. Every
// flow runs in two links, one for each direction, and a link with nothing to
// shape is a plain copy that alters nothing.
//
// The package does not know how connections are diverted, and nothing of
// flags, output or the run; an [Observer] is told what happens.
package proxy

import (
	"context"
	"errors"
	"fmt"
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
	// Observer is told of flows.
	Observer Observer
	// Clock is the time of the run.
	Clock Clock
	// Log is for what cannot be told by a flow.
	Log *zap.Logger

	listen  netip.AddrPort
	clients *handover
	http    *http.Server
	flows   atomic.Uint64
	ctx     context.Context // ends when flows are cut off
	cancel  context.CancelFunc

	mu      sync.Mutex
	tunnels map[*tunnel]struct{}
	closed  bool          // flows are cut off: none may begin
	working int           // connections and requests at work
	idle    chan struct{} // if not nil, closed when working gets 0
}

// Serve accepts connections from ln until it is closed or its deadline passes,
// and returns nil then. Flows go on; see [Server.Drain]. The listener stays
// the caller's.
func (s *Server) Serve(ln *net.TCPListener) error {
	s.listen = ln.Addr().(*net.TCPAddr).AddrPort()
	s.tunnels = make(map[*tunnel]struct{})
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.clients = newHandover(ln.Addr())
	s.http = s.newHTTPServer()
	go func() { _ = s.http.Serve(s.clients) }() // ends when Drain closes it
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
				s.handle(c)
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

// handle finds out what a connection is. It must not wait for bytes: in many
// protocols the server speaks first.
func (s *Server) handle(c *net.TCPConn) {
	_ = c.SetKeepAlive(false) // the far side's silence is not ours to break
	if raw, err := c.SyscallConn(); err == nil {
		_ = prepareSocket(raw, false)
	}
	if s.Origin == nil {
		s.clients.give(s.newClient(c))
		return
	}
	origin, diverted, err := s.Origin(c)
	switch {
	case err != nil:
		f := s.open(&Flow{Entry: EntryIntercepted, Client: addrPort(c.RemoteAddr())})
		f.Err = fmt.Errorf("%w: %w", ErrOrigin, err)
		reset(c)
		s.end(f)
	case diverted:
		s.intercepted(c, origin)
	default:
		s.clients.give(s.newClient(c))
	}
}

// intercepted carries a diverted connection to where it was going.
func (s *Server) intercepted(c *net.TCPConn, origin Intercepted) {
	f := s.open(&Flow{
		Entry: EntryIntercepted, Client: addrPort(c.RemoteAddr()),
		Process: origin.Process, Host: origin.Destination.String(),
	})
	defer s.end(f)
	dst := origin.Destination
	f.Matched = s.matches(dst.Addr().String(), dst.Port(), nil)
	upstream, err := s.dialFor(c, dst.String(), origin.Source)
	if err != nil {
		f.Err = err
		reset(c)
		return
	}
	f.Upstream = addrPort(upstream.RemoteAddr())
	f.Err = s.carry(f, c, upstream, nil)
}

// dialFor dials while a client waits, and gives up if the client does.
func (s *Server) dialFor(client *net.TCPConn, address string, source netip.Addr) (*net.TCPConn, error) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	var watch sync.WaitGroup
	watch.Go(func() {
		if broken(client) != nil {
			cancel()
		}
	})
	upstream, err := s.dial(ctx, address, source)
	// A deadline in the past ends the watching.
	_ = client.SetReadDeadline(time.Unix(1, 0))
	watch.Wait()
	_ = client.SetReadDeadline(time.Time{})
	return upstream, err
}

func (s *Server) matches(host string, port uint16, addrs func() []netip.Addr) bool {
	return s.Matches == nil || s.Matches(host, port, addrs)
}

func (s *Server) open(f *Flow) *Flow {
	f.ID = s.flows.Add(1)
	f.Started = s.Clock.Now()
	s.Observer.FlowOpened(f)
	return f
}

func (s *Server) end(f *Flow) {
	if f.Err != nil && s.ctx.Err() != nil {
		f.Err = ErrEnded // whatever it looked like from where it broke
	}
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
// that are left. Connections of HTTP clients are closed as soon as they are
// idle. The listener must be closed.
func (s *Server) Drain(ctx context.Context) {
	s.clients.Close()
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
	s.cancel()
	for _, t := range left {
		t.finish(ErrEnded)
	}
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// handover is the listener that the HTTP server accepts from: the clients that
// turned out to be explicit.
type handover struct {
	addr   net.Addr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newHandover(addr net.Addr) *handover {
	return &handover{addr: addr, conns: make(chan net.Conn), closed: make(chan struct{})}
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

// Addr is that of the one real listener.
func (h *handover) Addr() net.Addr { return h.addr }
