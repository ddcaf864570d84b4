package proxy

import (
	"bytes"
	"io"
	"net"
	"sync"
	"time"

	"github.com/faultproxy/fault/faults"
)

// tunnel is the two connections of a flow, and the two links between them. It
// owns both connections.
type tunnel struct {
	client, upstream *net.TCPConn
	stop             chan struct{} // closed when the flow is over

	mu   sync.Mutex
	over bool
	err  error
	ends int // links that have carried their end of stream
}

// carry joins client and upstream until both directions have ended, and
// returns why it broke, nil if it did not. early is what the client sent
// before. Both connections are closed then.
func (s *Server) carry(f *Flow, client, upstream *net.TCPConn, early []byte) error {
	t := &tunnel{client: client, upstream: upstream, stop: make(chan struct{})}
	if !s.register(t) {
		t.finish(ErrEnded)
		return ErrEnded
	}
	defer s.unregister(t)
	toServer := s.link(f, faults.ToServer, client, upstream, t.stop)
	toClient := s.link(f, faults.ToClient, upstream, client, t.stop)
	if len(early) > 0 {
		toServer.src = &prefixed{bytes.NewReader(early), client}
	}
	var links sync.WaitGroup
	links.Go(func() { t.direction(toServer, client, upstream) })
	links.Go(func() { t.direction(toClient, upstream, client) })
	links.Wait()
	f.Bytes = [2]int64{toServer.bytes, toClient.bytes}
	f.Injected = [2]Injection{toServer.sum, toClient.sum}
	return t.err
}

func (s *Server) link(f *Flow, which faults.Link, src, dst *net.TCPConn, stop <-chan struct{}) *link {
	return &link{shaping: s.shape(f, which, src, stop), dst: dst}
}

// shape prepares what the run's faults do to one link of a flow.
func (s *Server) shape(f *Flow, which faults.Link, src io.Reader, stop <-chan struct{}) shaping {
	chain := &faults.Chain{}
	if f.Matched {
		chain = s.Plan.Chain(f.ID, which)
	}
	return shaping{
		src: src, chain: chain, clock: s.Clock, stop: stop,
		injected: func(d faults.Delay, late time.Duration) { s.Observer.Injected(which, d, late) },
	}
}

// direction runs one link and passes on how it ended: an end of stream as a
// half-close, anything else as a reset of both connections.
func (t *tunnel) direction(l *link, src, dst *net.TCPConn) {
	err := l.run()
	if err == nil {
		err = dst.CloseWrite()
	}
	if err != nil {
		t.finish(err)
		return
	}
	if t.ended() {
		t.finish(nil)
		return
	}
	if err := broken(src); err != nil {
		t.finish(err)
	}
}

// ended counts a link that is done, and says whether both are.
func (t *tunnel) ended() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ends++
	return t.ends == 2
}

// finish closes both connections, with a reset if err is not nil. Only the
// first call counts.
func (t *tunnel) finish(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return
	}
	t.over, t.err = true, err
	close(t.stop)
	for _, c := range []*net.TCPConn{t.client, t.upstream} {
		if err != nil {
			reset(c)
		} else {
			c.Close()
		}
	}
}

// reset closes a connection so that its peer sees a reset.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	c.Close()
}

// prefixed reads some bytes and then a connection. It hands io.Copy the bare
// connection for the rest, so that the kernel can move it.
type prefixed struct {
	prefix *bytes.Reader
	conn   *net.TCPConn
}

func (p *prefixed) Read(b []byte) (int, error) {
	if p.prefix.Len() > 0 {
		return p.prefix.Read(b)
	}
	return p.conn.Read(b)
}

// WriteTo is what io.Copy asks for.
func (p *prefixed) WriteTo(w io.Writer) (int64, error) {
	n, err := p.prefix.WriteTo(w)
	if err != nil {
		return n, err
	}
	m, err := io.Copy(w, p.conn)
	return n + m, err
}
