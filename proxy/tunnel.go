package proxy

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"time"

	"github.com/faultproxy/fault/faults"
)

// tunnel is the two connections of a flow, and the two links between them. It
// owns both connections.
type tunnel struct {
	client, upstream stream
	stop             chan struct{} // closed when the flow is over

	mu   sync.Mutex
	over bool
	err  error
	ends int // links that have carried their end of stream
}

// stream is a TCP connection, or TLS on one.
type stream interface {
	net.Conn
	CloseWrite() error
}

// carry joins client and upstream until both directions have ended, and
// returns why it broke, nil if it did not. early is what the client sent
// before. Both connections are closed then.
func (s *Server) carry(f *Flow, client, upstream *net.TCPConn, early []byte) error {
	toServer, toClient := s.shape(f, faults.ToServer), s.shape(f, faults.ToClient)
	toServer.src, toClient.src = withEarly(early, client), upstream
	return s.join(f, client, upstream, toServer, toClient)
}

// join is carry with what shapes the two links.
func (s *Server) join(f *Flow, client, upstream stream, toServer, toClient shaping) error {
	t := &tunnel{client: client, upstream: upstream, stop: make(chan struct{})}
	if !s.register(t) {
		t.finish(ErrEnded)
		return ErrEnded
	}
	defer s.unregister(t)
	toServer.stop, toClient.stop = t.stop, t.stop
	up, down := link{shaping: toServer, dst: upstream}, link{shaping: toClient, dst: client}
	var links sync.WaitGroup
	links.Go(func() { t.direction(&up, client, upstream) })
	links.Go(func() { t.direction(&down, upstream, client) })
	links.Wait()
	f.Bytes = [2]int64{faults.ToServer: up.bytes, faults.ToClient: down.bytes}
	f.Injected = [2]Injection{faults.ToServer: up.sum, faults.ToClient: down.sum}
	return t.err
}

// shape prepares what the run's faults do to one link of a flow.
func (s *Server) shape(f *Flow, which faults.Link) shaping {
	chain := &faults.Chain{}
	if f.Matched {
		chain = s.Plan.Chain(f.ID, which)
	}
	return shaping{
		chain: chain, clock: s.Clock,
		injected: func(d faults.Delay, late time.Duration) { s.Observer.Injected(which, d, late) },
	}
}

// direction runs one link and passes on how it ended: an end of stream as a
// half-close, anything else as a reset of both connections.
func (t *tunnel) direction(l *link, src, dst stream) {
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
	if err := broken(tcpOf(src)); err != nil {
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
	for _, c := range []stream{t.client, t.upstream} {
		if err != nil {
			reset(c)
		} else {
			c.Close()
		}
	}
}

// reset closes a connection so that its peer sees a reset.
func reset(c net.Conn) {
	tcp := tcpOf(c)
	_ = tcp.SetLinger(0)
	tcp.Close()
}

// tcpOf is the connection under TLS, if there is any.
func tcpOf(c net.Conn) *net.TCPConn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	return c.(*net.TCPConn)
}

// withEarly reads what was read from a connection before, and then the rest.
func withEarly(early []byte, conn *net.TCPConn) io.Reader {
	if len(early) == 0 {
		return conn
	}
	return &prefixed{bytes.NewReader(early), conn}
}

// prefixed reads some bytes and then a connection. What asks it to write gets
// the rest from the bare connection, so that the kernel can move it.
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
	m, err := copyStream(w, p.conn)
	return n + m, err
}
