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
)

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
	f.Upstream = addrPort(upstream.RemoteAddr())
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

func (s *Server) isSelfForDatagrams(address string) bool { return s.isAmong(&s.datagramsAt, address) }

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
	f.Bytes = [2]int64{faults.ToServer: toServer.bytes.Load(), faults.ToClient: toClient.bytes.Load()}
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
