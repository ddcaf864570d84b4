package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/faultproxy/fault/faults"
)

// Held is a diverted connection that has not been let in yet: its client still
// waits in connect(2).
type Held struct {
	Client netip.AddrPort
	Origin Intercepted
	// Admit lets it in, so that the listener accepts it.
	Admit func() error
	// Withdraw forgets Admit, for a connection that did not come.
	Withdraw func() error
	// Deny has connect(2) fail. It knows ECONNREFUSED, ENETUNREACH and
	// EHOSTUNREACH.
	Deny func(syscall.Errno) error
}

// Hold carries a held connection: the upstream is dialled first, and what
// comes of that is what the client is told. It returns at once.
func (s *Server) Hold(h Held) {
	s.Start()
	if !s.begin() {
		_ = h.Deny(syscall.ECONNREFUSED)
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	w := &waiting{Held: h, who: caller{h.Origin.Socket.Place, h.Client}, cancel: cancel, arrived: make(chan *net.TCPConn, 1)}
	s.held.add(w)
	go func() {
		defer s.done()
		defer s.held.remove(w)
		defer cancel()
		s.hold(ctx, w)
	}()
}

// Gone says that the client of a held connection has given up; p is where it is,
// nil for our own namespace.
func (s *Server) Gone(p *Place, client netip.AddrPort) { s.held.gone(caller{p, client}) }

// Settle waits until no connection is held any more, or ctx ends. The listener
// must be served until then.
func (s *Server) Settle(ctx context.Context) { s.held.settle(ctx) }

// hold is the flow of a held connection.
func (s *Server) hold(ctx context.Context, w *waiting) {
	f := s.intercept(w.Client, w.Origin)
	if s.answers(f) != nil { // the upstream may not be needed at all
		c, err := w.enter(ctx, &s.held)
		if err != nil {
			s.endWith(f, err)
			return
		}
		s.relay(f, c, nil, s.dialOrigin(f, faults.Accepted, w.Origin))
		return
	}
	upstream, err := s.dialOrigin(f, faults.Held, w.Origin)(ctx)
	if err != nil {
		defer s.endWith(f, err)
		if failedBy(err, faults.ResetAtOnce) { // it is let in before
			if c, late := w.enter(ctx, &s.held); late == nil {
				reset(c)
			}
			return
		}
		s.deny(ctx, w, err)
		return
	}
	f.Upstream = remote(upstream)
	c, err := w.enter(ctx, &s.held)
	if err != nil {
		reset(upstream)
		s.endWith(f, err)
		return
	}
	s.carryNamed(f, c, upstream, nil)
}

// deny tells a held client why its upstream could not be reached, until the
// client has heard it: a kernel that is at work on the client's socket at that
// moment drops what a router says.
func (s *Server) deny(ctx context.Context, w *waiting, err error) {
	errno := syscall.EHOSTUNREACH
	switch {
	case s.ctx.Err() != nil, errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, ErrSelf), errors.Is(err, ErrEnded):
		errno = syscall.ECONNREFUSED
	case errors.Is(err, context.Canceled), errors.Is(err, syscall.ETIMEDOUT):
		return // nobody waits, or the client's kernel counts for itself
	case errors.Is(err, syscall.ENETUNREACH):
		errno = syscall.ENETUNREACH
	}
	for again := time.Millisecond; again < time.Minute; again *= 4 {
		_ = w.Deny(errno) // if that cannot be said, the client's own time runs out
		select {
		case <-ctx.Done():
			return
		case <-time.After(again):
		}
	}
}

// waiting is a held connection and what happens to it.
type waiting struct {
	Held
	who     caller
	cancel  func()            // the client has gone
	arrived chan *net.TCPConn // gets the connection that was accepted
}

// arrivalTime bounds how long a connection that was admitted may take to be
// accepted: a SYN that gets lost between is sent again after 1 s, 3 s and 7 s.
const arrivalTime = 10 * time.Second

// errNotArrived is a client that was let in, and had left.
var errNotArrived = errors.New("the client did not arrive")

// enter lets the client in and waits for its connection.
func (w *waiting) enter(ctx context.Context, held *held) (*net.TCPConn, error) {
	if err := w.Admit(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, arrivalTime, errNotArrived)
	defer cancel()
	select {
	case c := <-w.arrived:
		return c, nil
	case <-ctx.Done():
	}
	held.remove(w)
	select {
	case c := <-w.arrived: // at the same moment
		return c, nil
	default:
		return nil, errors.Join(context.Cause(ctx), w.Withdraw())
	}
}

// held is the connections that wait, by their clients.
type held struct {
	mu      sync.Mutex
	waiting map[caller]*waiting
	settled chan struct{} // if not nil, closed when there are none
}

func (h *held) add(w *waiting) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting == nil {
		h.waiting = make(map[caller]*waiting)
	}
	if before := h.waiting[w.who]; before != nil {
		before.cancel() // its client has gone, or this one could not be
	}
	h.waiting[w.who] = w
}

// remove is of one that waits no more; it may be called again.
func (h *held) remove(w *waiting) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting[w.who] == w {
		h.drop(w.who)
	}
}

func (h *held) drop(who caller) {
	delete(h.waiting, who)
	if len(h.waiting) == 0 && h.settled != nil {
		close(h.settled)
		h.settled = nil
	}
}

// accepted gives a connection to whoever let it in; false if nobody did.
func (h *held) accepted(p *Place, c *net.TCPConn) bool {
	who := caller{p, addrPort(c.RemoteAddr())}
	h.mu.Lock()
	defer h.mu.Unlock()
	w := h.waiting[who]
	if w == nil {
		return false
	}
	w.arrived <- c
	h.drop(who)
	return true
}

func (h *held) gone(who caller) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if w := h.waiting[who]; w != nil {
		w.cancel()
	}
}

func (h *held) settle(ctx context.Context) {
	h.mu.Lock()
	if len(h.waiting) == 0 {
		h.mu.Unlock()
		return
	}
	if h.settled == nil {
		h.settled = make(chan struct{})
	}
	settled := h.settled
	h.mu.Unlock()
	select {
	case <-settled:
	case <-ctx.Done():
	}
}
