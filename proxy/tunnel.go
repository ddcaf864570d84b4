package proxy

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/faultproxy/fault/faults"
)

// tunnel is the two connections of a flow, and the two links between them. It
// owns both connections.
type tunnel struct {
	client, upstream *half
	stop             chan struct{} // closed when the flow is over
	lost             chan struct{} // closed when a link lets nothing arrive any more
	alone            chan struct{} // closed when a link is done

	mu sync.Mutex
	fate
}

// carry joins client and upstream until both directions have ended, and then
// ends the flow. early is what the client sent before. The connections are not
// the caller's any more; it may return before they are closed.
func (s *Server) carry(f *Flow, client *net.TCPConn, upstream stream, early []byte) {
	if !s.begin() {
		reset(client)
		reset(upstream)
		s.endWith(f, ErrEnded)
		return
	}
	if bare, ok := upstream.(*net.TCPConn); ok && s.engine != nil {
		if err := s.engine.carry(f, client, bare, early); err == nil {
			return
		}
	}
	defer s.done()
	s.endWith(f, s.carryHere(f, client, upstream, early))
}

// carryHere is carry in the goroutine that calls it. It returns why the flow
// broke, nil if it did not.
func (s *Server) carryHere(f *Flow, client *net.TCPConn, upstream stream, early []byte) error {
	toServer, toClient := s.shapes(f)
	toServer.src, toClient.src = withEarly(early, client), upstream
	return s.join(f, client, upstream, toServer, toClient)
}

// shapes prepares both.
func (s *Server) shapes(f *Flow) (toServer, toClient shaping) {
	return s.shape(f, faults.ToServer, s.chain(f, faults.ToServer, faults.Stream)),
		s.shape(f, faults.ToClient, s.chain(f, faults.ToClient, faults.Stream))
}

// join is carryHere with what shapes the two links.
func (s *Server) join(f *Flow, client, upstream stream, toServer, toClient shaping) error {
	t := &tunnel{
		client: &half{stream: client}, upstream: &half{stream: upstream},
		stop: make(chan struct{}), lost: make(chan struct{}), alone: make(chan struct{}),
	}
	if !s.register(t) {
		t.finish(ErrEnded)
		return ErrEnded
	}
	defer s.unregister(t)
	toServer.stop, toClient.stop = t.stop, t.stop
	toServer.eof, toClient.eof = t.client.eof, t.upstream.eof
	up := link{shaping: toServer, which: faults.ToServer, dst: upstream}
	down := link{shaping: toClient, which: faults.ToClient, dst: client}
	var links sync.WaitGroup
	for _, way := range []struct {
		*link
		src, dst *half
	}{{&up, t.client, t.upstream}, {&down, t.upstream, t.client}} {
		way.lost = func() { t.lose(way.which) }
		way.drained = func(error) { t.noted(t.drained, way.which) }
		way.discarded = make(chan error, 1)
		links.Go(func() { t.direction(way.link, way.src, way.dst) })
	}
	s.expires(f, life{stop: t.stop}, &links, func(e faults.Effect) {
		down.report(e, 0, s.Clock.Now())
		t.finish(faults.ErrReset)
	})
	links.Wait()
	f.EndedBy = t.endedBy
	f.Bytes = [2]int64{faults.ToServer: up.bytes.Load(), faults.ToClient: down.bytes.Load()}
	return t.err
}

// chain is what the run's faults do to one link of a flow.
func (s *Server) chain(f *Flow, which faults.Link, carrier faults.Carrier) *faults.Chain {
	if !s.mayShape(f) {
		return &faults.Chain{}
	}
	return s.Plan.Chain(f.ID, which, carrier)
}

// mayShape says whether there is any fault for a flow.
func (s *Server) mayShape(f *Flow) bool { return f.Matched && len(s.Plan.Faults) > 0 }

// shape prepares a link of a flow for them.
func (s *Server) shape(f *Flow, which faults.Link, chain *faults.Chain) shaping {
	return shaping{
		chain: chain, clock: s.Clock, life: life{ending: s.ending},
		tally: f.did.of(which), meter: &meter{all: &s.gauges.carried[which]}, store: &s.gauges.store,
		injected: func(e faults.Effect, late time.Duration) { s.Observer.Injected(f, which, e, late) },
	}
}

// direction runs one link and passes on how it ended: an end of stream as a
// half-close, anything else as a reset of both connections.
func (t *tunnel) direction(l *link, src, dst *half) {
	err := l.run()
	switch err {
	case faults.ErrReset:
		t.flush(dst)
	case faults.ErrTruncated:
		err = t.truncated(l, src, dst)
	case nil:
		err = t.end(l.which, dst)
	}
	if src, ok := l.src.(interface{ leave() }); ok {
		src.leave()
	}
	var gone writeError
	switch {
	case err != nil && !errors.As(err, &gone):
		// What src had said before has been passed on.
		t.finish(err)
	case t.done(err):
		t.finish(t.broke)
	case err == nil:
		if tcp := tcpOf(src.stream); tcp == nil {
			break
		} else if err := broken(tcp); err != nil {
			t.finish(err)
		}
	default:
		// dst is gone; the other link may still hold what it said. If that has
		// gone dark, nothing but the end of src ends the flow.
		select {
		case <-t.stop:
		case <-t.lost:
			_, _ = io.Copy(io.Discard, l.src)
			t.noted(t.drained, l.which)
		}
	}
}

// end passes on the end of the stream.
func (t *tunnel) end(which faults.Link, dst *half) error {
	t.noted(t.carried, which) // before dst hears of it, and reacts
	if err := dst.CloseWrite(); err != nil {
		return writeError{err}
	}
	return nil
}

// done is [fate.ended], of which the other link hears.
func (t *tunnel) done(err error) (both bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	both = t.ended(err)
	if !both {
		close(t.alone)
	}
	return both
}

// finish closes both connections, with a reset if err is not nil. Only the
// first call counts.
func (t *tunnel) finish(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return
	}
	t.fate.finish(err)
	close(t.stop)
	for _, c := range []*half{t.client, t.upstream} {
		if err != nil {
			reset(c.stream)
		} else {
			c.Close()
		}
	}
}
