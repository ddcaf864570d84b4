package proxy

import (
	"context"
	"io"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/faults"
)

// pair is the two connections of a flow in a [loop], and a lane for each
// direction. It owns both connections, and ends the flow.
type pair struct {
	loop   *loop
	flow   *Flow
	fds    [2]int32 // of the client and the upstream: by the link that reads it
	ended  [2]bool  // whether we have sent the end of the stream there
	writes [2]bool  // whether the loop is told when there is room
	lanes  [2]lane
	fate
	connecting bool      // to the upstream
	expiry     *deadline // when a fault resets the flow; nil if none does
}

// What the loop is told of a connection. Urgent data is a sign that a read may
// stop short of what there is.
const (
	arrives = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLPRI
	noRoom  = arrives | unix.EPOLLOUT
)

// newPair prepares the pair of a flow for a loop, which is to [pair.begin] it.
func (l *loop) newPair(f *Flow, fds [2]int, early []byte) *pair {
	s := l.server
	p := &pair{loop: l, flow: f, fds: [2]int32{int32(fds[0]), int32(fds[1])}}
	for which := range p.lanes {
		w := &p.lanes[which]
		w.pair, w.which = p, faults.Link(which)
		if !s.mayShape(f) {
			continue
		}
		if chain := s.chain(f, w.which, faults.Stream); !chain.Spent() {
			w.shaped = newShaped(w, s.shape(f, w.which, chain))
		}
	}
	if w := &p.lanes[faults.ToServer]; w.shaped != nil {
		w.shaped.early = early
	} else {
		w.out = early
	}
	return p
}

// begin has the loop carry the pair.
func (p *pair) begin() {
	l := p.loop
	// On this host it is connected by now, which saves being told.
	p.connecting = p.connecting && poll(p.fd(faults.ToClient), unix.POLLOUT) != unix.POLLOUT
	p.writes[faults.ToClient] = p.connecting
	err := l.add(p)
	if l.cutting {
		err = ErrEnded
	}
	if err != nil {
		p.finish(err)
		return
	}
	if p.loop.server.expiry(p.flow).At != faults.Never {
		p.expiry = &deadline{ring: p.expire}
		p.expire()
	}
	p.move()
}

// connected is called when the upstream is, or will not be.
func (p *pair) connected() {
	fd := p.fd(faults.ToClient)
	errno, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && errno != 0 {
		err = syscall.Errno(errno)
	}
	if to := p.flow.Upstream; err != nil {
		p.flow.Upstream = netip.AddrPort{}
		p.finish(dialError(to, os.NewSyscallError("connect", err)))
		return
	}
	p.connecting = false
	p.move()
}

// expire ends the flow if the time has come at which a fault resets it.
func (p *pair) expire() {
	next := p.loop.server.expiry(p.flow)
	if next.At > p.loop.clock.Now() {
		p.loop.due.set(p.expiry, next.At)
		return
	}
	e := faults.Effect{Fault: next.Fault, Tried: 1, Hit: 1}
	p.flow.did.of(faults.ToClient).add(e, 0, p.loop.clock.Now())
	p.loop.server.Observer.Injected(p.flow, faults.ToClient, e, 0)
	p.finish(faults.ErrReset)
}

func (p *pair) fd(which faults.Link) int { return int(p.fds[which]) }

// reads is which link reads a connection of the pair.
func (p *pair) reads(fd int) faults.Link {
	if p.fd(faults.ToServer) == fd {
		return faults.ToServer
	}
	return faults.ToClient
}

// happened is told what happened to a connection.
func (p *pair) happened(which faults.Link, events uint32) {
	from, to := &p.lanes[which], &p.lanes[1-which]
	const broken = unix.EPOLLHUP | unix.EPOLLERR
	if p.connecting {
		switch {
		case which == faults.ToClient && events&(unix.EPOLLOUT|broken) != 0:
			p.connected()
		case which == faults.ToServer && events&broken != 0:
			p.flow.Upstream = netip.AddrPort{}
			p.finish(context.Canceled) // the client has gone
		}
		if p.over {
			return
		}
	}
	if events&(arrives|broken) != 0 {
		from.readable = true
		from.thorough = from.thorough || events&^(unix.EPOLLIN|unix.EPOLLOUT) != 0
		from.broken = from.broken || events&unix.EPOLLERR != 0
		from.move()
	}
	if !p.over && from.state == laneDone && events&unix.EPOLLERR != 0 {
		p.finish(syscall.ECONNRESET) // behind the end of its stream
	}
	if !p.over && to.blocked && events&(unix.EPOLLOUT|broken) != 0 {
		to.blocked = false
		to.move()
	}
}

func (p *pair) move() {
	for which := range p.lanes {
		p.lanes[which].move()
	}
}

// awaitRoom has the loop told when there is room to write.
func (p *pair) awaitRoom(to faults.Link) {
	if p.writes[to] {
		return
	}
	p.writes[to] = true
	if err := p.loop.watch(unix.EPOLL_CTL_MOD, p.fd(to), noRoom); err != nil {
		p.finish(err)
	}
}

// sendEnd sends the end of the stream.
func (p *pair) sendEnd(to faults.Link) error {
	p.ended[to] = true
	return unix.Shutdown(p.fd(to), unix.SHUT_WR)
}

// endOf is what it means that reading came to an end. The kernel tells of a
// reset once: if that was our write, it looks as if the peer had finished.
func (p *pair) endOf(which faults.Link) error {
	if p.lanes[1-which].state == laneGone && !p.ended[which] && tornFD(p.fd(which)) {
		return syscall.ECONNRESET
	}
	return io.EOF
}

// finish closes both connections, with a reset if err is not nil. Only the
// first call counts.
func (p *pair) finish(err error) {
	if p.over {
		return
	}
	p.fate.finish(err)
	p.close([2]bool{err != nil, err != nil})
}

// abandon ends a flow with a dark link, once the client has left.
func (p *pair) abandon() {
	if p.over {
		return
	}
	p.over = true
	// Whoever is still there has not seen the end.
	p.close([2]bool{faults.ToServer: true, faults.ToClient: p.dark[faults.ToServer]})
}

func (p *pair) close(reset [2]bool) {
	for which := range p.lanes {
		p.lanes[which].leave()
	}
	if p.expiry != nil {
		p.loop.due.remove(p.expiry)
	}
	p.loop.remove(p, reset)
	f := p.flow
	f.Err, f.EndedBy = p.err, p.endedBy
	for which := range p.lanes {
		f.Bytes[which] = p.lanes[which].bytes
	}
	p.loop.server.end(f)
	p.loop.server.done()
}

// lose notes that a link has gone dark.
func (p *pair) lose(which faults.Link) {
	p.dark[which] = true
	if other := &p.lanes[1-which]; other.state == laneGone {
		other.discard()
	}
}

// noted ends the flow if nobody is left.
func (p *pair) noted(abandoned bool) {
	if abandoned {
		p.abandon()
	}
}

// laneEnded is what follows from a lane that is done; err says why if its dst
// is gone.
func (p *pair) laneEnded(w *lane, err error) {
	if p.over {
		return
	}
	if p.fate.ended(err) {
		p.finish(p.broke)
		return
	}
	other := &p.lanes[1-w.which]
	if err == nil {
		w.state = laneDone
		if w.broken && poll(p.fd(w.which), 0)&unix.POLLERR != 0 {
			p.finish(syscall.ECONNRESET)
			return
		}
	} else {
		// The other link may still hold what dst said. If that has gone dark,
		// nothing but the end of src ends the flow.
		w.state = laneGone
		w.leave()
		if p.dark != [2]bool{} {
			w.discard()
		}
	}
	if !p.over && other.shaped != nil {
		other.shaped.alone()
	}
}
