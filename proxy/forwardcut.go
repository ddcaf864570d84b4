package proxy

import (
	"context"
	"net"
	"sync"

	"github.com/faultproxy/fault/faults"
)

// connected notes the connection to the upstream.
func (fw *forwarded) connected(c net.Conn) {
	fw.mu.Lock()
	defer fw.mu.Unlock()
	fw.conn = c
	fw.flow.Upstream = addrPort(c.RemoteAddr())
}

// upstream is that connection, nil if there is none.
func (fw *forwarded) upstream() stream {
	fw.mu.Lock()
	defer fw.mu.Unlock()
	c, _ := fw.conn.(stream)
	return c
}

// end notes that a fault ends the request. From then on the upstream sees a
// reset, whoever closes its connection.
func (fw *forwarded) end(how error) {
	fw.mu.Lock()
	defer fw.mu.Unlock()
	if fw.how == nil {
		fw.how = how
	}
	c, ok := fw.conn.(stream)
	if !ok || how != faults.ErrReset {
		return
	}
	if tcp := tcpOf(c); tcp != nil {
		_ = tcp.SetLinger(0)
	}
}

// cut is how a fault ended the request, nil if none did.
func (fw *forwarded) cut() error {
	fw.mu.Lock()
	defer fw.mu.Unlock()
	return fw.how
}

// finishCut ends the client's connection as a fault wants it, if one does.
func (s *Server) finishCut(fw *forwarded, client *net.TCPConn, answered bool) error {
	how := fw.cut()
	switch {
	case how == nil, fw.upgraded:
		return nil
	case how == faults.ErrReset:
		flush(client, s.ctx.Done())
		reset(client)
		if c := fw.upstream(); c != nil {
			reset(c)
		}
	case !answered: // the HTTP server closes the connection
		flush(client, s.ctx.Done())
	}
	fw.flow.Err, fw.flow.EndedBy = nil, EndFault
	return how
}

// expire waits for the time at which a fault resets the flow, until what it
// returns is called.
func (s *Server) expire(fw *forwarded, client *net.TCPConn) (stop func()) {
	ctx, cancel := context.WithCancel(fw.ctx)
	var waiting sync.WaitGroup
	s.expires(fw.flow, life{stop: ctx.Done()}, &waiting, func(e faults.Effect) {
		fw.end(faults.ErrReset)
		fw.down.report(e, 0, s.Clock.Now())
		reset(client)
		fw.cancel()
	})
	return func() {
		cancel()
		waiting.Wait()
	}
}
