package proxy

import (
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// engine carries the flows between two bare TCP connections: those that were
// diverted, CONNECT once it is answered, and TCP mappings. A few threads wait
// for all their connections at once (epoll(7)), so that a flow that is silent
// costs two descriptors and a few hundred bytes, and a message one read and one
// write. What TLS or HTTP is spoken on by us is carried by a [tunnel].
type engine struct {
	server  *Server
	loops   []*loop
	next    atomic.Uint32
	ended   sync.WaitGroup
	closing sync.Once
}

// mostLoops bounds the threads: moving bytes is bound by memory long before.
const mostLoops = 8

// processors is how many we may use at once.
var processors = runtime.GOMAXPROCS(0)

// spareProcessor gives the runtime one more than the threads of an engine hold.
// Where none is spare its monitor takes each back as soon as its thread waits,
// and looks for that every 20 µs, which slows messages by a twentieth.
var spareProcessor = sync.OnceFunc(func() { runtime.GOMAXPROCS(processors + 1) })

// newEngine starts the threads, one for each processor that we may use. The
// caller closes it.
func newEngine(s *Server) (*engine, error) {
	spareProcessor()
	e := &engine{server: s}
	for range min(processors, mostLoops) {
		l, err := newLoop(s)
		if err != nil {
			e.close()
			return nil, err
		}
		e.loops = append(e.loops, l)
		e.ended.Go(l.run)
	}
	return e, nil
}

// carry joins two connections, of one of which early was read before, until both
// directions have ended, and then ends the flow. It takes the connections over,
// and returns at once.
func (e *engine) carry(f *Flow, client, upstream *net.TCPConn, early []byte) error {
	fds, err := takeOver(client, upstream)
	if err != nil {
		return err
	}
	l := e.loops[int(e.next.Add(1))%len(e.loops)]
	p := l.newPair(f, fds, early)
	l.post(p.begin)
	return nil
}

// takeOver takes the sockets out of connections, which are closed then. Sockets
// of net.Conn are waited for by the runtime, and cannot be taken back from it.
func takeOver(conns ...*net.TCPConn) (fds [2]int, err error) {
	for i, c := range conns {
		if fds[i], err = duplicate(c); err != nil {
			for _, fd := range fds[:i] {
				unix.Close(fd)
			}
			return fds, err
		}
	}
	for _, c := range conns {
		c.Close()
	}
	return fds, nil
}

func duplicate(c syscall.Conn) (fd int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	return duplicateRaw(raw)
}

func duplicateRaw(raw syscall.RawConn) (fd int, err error) {
	cerr := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0) })
	return fd, errors.Join(cerr, err)
}

// ends says that the run ends: what will never come is not waited for any more.
func (e *engine) ends() { e.each((*loop).ends) }

// cutOff ends every flow, also those that are still on their way here.
func (e *engine) cutOff() { e.each((*loop).cutOff) }

func (e *engine) each(do func(*loop)) {
	for _, l := range e.loops {
		l.post(func() { do(l) })
	}
}

// close ends the threads. No flow may be left. It may be called again.
func (e *engine) close() {
	e.closing.Do(func() {
		e.each((*loop).stop)
		e.ended.Wait()
		for _, l := range e.loops {
			l.close()
		}
	})
}
