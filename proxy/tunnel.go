package proxy

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/faultproxy/fault/faults"
)

// tunnel is the two connections of a flow, and the two links between them. It
// owns both connections.
type tunnel struct {
	client, upstream *half
	stop             chan struct{} // closed when the flow is over

	mu       sync.Mutex
	over     bool
	err      error
	ends     int   // links that are done
	broke    error // why one of them was, if not by its end of stream
	answered bool  // the link to the client has carried all
}

// half is one of the connections, and whether we have sent it the end of the
// stream.
type half struct {
	stream
	ended atomic.Bool
}

// CloseWrite sends the end of the stream.
func (h *half) CloseWrite() error {
	h.ended.Store(true)
	return h.stream.CloseWrite()
}

// eof says what it means that reading came to an end. The kernel tells of a
// reset once: if that was our write, reading looks as if the peer had finished.
func (h *half) eof() error {
	// Asked first, so that an end of ours in between is not taken for theirs.
	if torn := torn(tcpOf(h.stream)); torn && !h.ended.Load() {
		return syscall.ECONNRESET
	}
	return io.EOF
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
	t := &tunnel{client: &half{stream: client}, upstream: &half{stream: upstream}, stop: make(chan struct{})}
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
	links.Go(func() { t.direction(&up, t.client, t.upstream) })
	links.Go(func() { t.direction(&down, t.upstream, t.client) })
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
func (t *tunnel) direction(l *link, src, dst *half) {
	err := l.run()
	if err == nil {
		t.carried(l.which) // before dst hears of it, and reacts
		if cerr := dst.CloseWrite(); cerr != nil {
			err = writeError{cerr}
		}
	}
	var gone writeError
	switch {
	case err != nil && !errors.As(err, &gone):
		// What src had said before has been passed on.
		t.finish(err)
	case t.ended(err):
		t.finish(t.broke)
	case err == nil:
		if err := broken(tcpOf(src.stream)); err != nil {
			t.finish(err)
		}
	}
	// Otherwise dst is gone; the other link may still hold what it said.
}

// carried notes that a link has carried all that its src said.
func (t *tunnel) carried(which faults.Link) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if which == faults.ToClient {
		t.answered = true
	}
}

// ended counts a link that is done, and says whether both are. If its dst is
// gone, err says why.
func (t *tunnel) ended(err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ends++
	if err != nil && t.broke == nil {
		t.broke = err
	}
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
	t.over = true
	// Once the server has said all, some clients still say goodbye to it, and
	// are answered with a reset. Nothing failed.
	if !t.answered || errors.Is(err, ErrEnded) {
		t.err = err
	}
	close(t.stop)
	for _, c := range []*half{t.client, t.upstream} {
		if err != nil {
			reset(c.stream)
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
