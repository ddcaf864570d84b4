package proxy

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

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
	s.Start()
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
