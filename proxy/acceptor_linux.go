package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy/mapping"
)

// acceptor has the threads of an [engine] accept the clients of a mapping, and
// dial its target, so that a connection costs no goroutine.
type acceptor struct {
	server  *Server
	mapping mapping.Mapping
	target  netip.AddrPort
	address string        // the target as text, and
	to      unix.Sockaddr // as the kernel takes it
	fd      int
	// inherits says that accepted sockets have what setUp sets, and local that all
	// clients are on this host, and that these have what setUpLocal sets.
	inherits, local bool
}

// acceptAgain is after how long to accept again where that failed: out of
// descriptors, most likely, and those in use will come back.
const acceptAgain = 20 * time.Millisecond

// serveMapping accepts the clients of a mapping until ctx ends. False means
// that it is no mapping for this.
func (e *engine) serveMapping(ctx context.Context, ln *net.TCPListener, m mapping.Mapping) (bool, error) {
	addr, err := netip.ParseAddr(m.Host)
	if err != nil || m.HTTP || m.TLS != mapping.NoTLS {
		return false, nil
	}
	fd, err := duplicate(ln)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	a := &acceptor{server: e.server, mapping: m, target: netip.AddrPortFrom(addr, m.Port), address: m.Target(), fd: fd}
	if a.to, err = sockaddr(a.target); err != nil {
		return false, nil // a zone that is not there, which may come
	}
	loopback := addrPort(ln.Addr()).Addr().IsLoopback()
	ln.Close()
	a.inherits = isSetUp(fd)
	a.local = a.inherits && loopback
	var added []*loop
	for _, l := range e.loops {
		if err = l.do(func() error { return l.listen(a) }); err != nil {
			break
		}
		added = append(added, l)
	}
	if errors.Is(err, os.ErrClosed) { // the server has been drained
		return true, nil
	}
	if err == nil {
		<-ctx.Done()
	}
	for _, l := range added {
		_ = l.do(func() error { l.unlisten(a); return nil })
	}
	return true, err
}

// do posts something and waits for it.
func (l *loop) do(what func() error) error {
	done := make(chan error, 1)
	if !l.post(func() { done <- what() }) {
		return os.ErrClosed
	}
	return <-done
}

func (l *loop) listen(a *acceptor) error {
	if l.acceptors == nil {
		l.acceptors = make(map[int]*acceptor)
	}
	l.acceptors[a.fd] = a
	// Not all threads are to wake up for one connection, and not one is to take
	// all that come at once.
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, a.fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLEXCLUSIVE, Fd: int32(a.fd)})
}

func (l *loop) unlisten(a *acceptor) {
	delete(l.acceptors, a.fd)
	_ = unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, a.fd, nil)
}

// accept accepts one connection.
func (a *acceptor) accept(l *loop) {
	fd, from, err := unix.Accept4(a.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	switch err {
	case nil:
		a.accepted(l, fd, fromSockaddr(from))
	case unix.EAGAIN, unix.EINTR, unix.ECONNABORTED:
	default:
		a.server.Log.Warn("accept a connection", zap.Error(os.NewSyscallError("accept4", err)))
		l.unlisten(a)
		l.acceptors[a.fd] = a
		l.due.set(&deadline{ring: func() {
			if l.acceptors[a.fd] == a {
				_ = l.listen(a) // it worked before
			}
		}}, l.clock.Now()+acceptAgain)
	}
}

// accepted begins the flow of a client.
func (a *acceptor) accepted(l *loop, fd int, client netip.AddrPort) {
	s := a.server
	if !s.begin() {
		resetFD(fd)
		unix.Close(fd)
		return
	}
	if !a.inherits {
		_ = setUp(fd) // MPTCP cannot have all of that, and does without
	}
	if !a.local {
		setUpLocal(fd, client.Addr())
	}
	f := s.openMapped(client, a.mapping, a.address)
	if f.Matched && s.Plan.Connects(faults.Accepted) || s.answers(f) != nil {
		go a.carryApart(f, fd)
		return
	}
	upstream, err := a.dial()
	if err != nil {
		resetFD(fd)
		unix.Close(fd)
		s.endWith(f, dialError(a.target, err))
		s.done()
		return
	}
	f.Upstream = a.target
	p := l.newPair(f, [2]int{fd, upstream}, nil)
	p.connecting = true
	p.begin()
}

// carryApart carries a flow that waits for more than bytes.
func (a *acceptor) carryApart(f *Flow, fd int) {
	defer a.server.done()
	c, err := tcpConn(fd)
	if err != nil {
		a.server.endWith(f, err)
		return
	}
	a.server.carryMapped(f, c, a.mapping)
}

// tcpConn makes a connection of the runtime's out of a socket, which it takes
// over.
func tcpConn(fd int) (*net.TCPConn, error) {
	file := os.NewFile(uintptr(fd), "tcp")
	defer file.Close()
	c, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	return c.(*net.TCPConn), nil
}

// dial begins to connect to the target, as [Server.dialer] does.
func (a *acceptor) dial() (fd int, err error) {
	s := a.server
	family, network := unix.AF_INET, "tcp4"
	if a.target.Addr().Is6() {
		family, network = unix.AF_INET6, "tcp6"
	}
	if s.isSelf(a.address) {
		return -1, ErrSelf
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	if err := s.exempt(network, a.address, rawFD(fd)); err != nil {
		return -1, err
	}
	if err := setUp(fd); err != nil {
		return -1, os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Connect(fd, a.to); err != nil && err != unix.EINPROGRESS {
		return -1, os.NewSyscallError("connect", err)
	}
	setUpLocal(fd, a.target.Addr())
	return fd, nil
}

// dialError is what a net.Dialer would say.
func dialError(to netip.AddrPort, err error) error {
	return &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(to), Err: err}
}

// rawFD is a socket of nobody else's.
type rawFD int

func (fd rawFD) Control(f func(uintptr)) error  { f(uintptr(fd)); return nil }
func (fd rawFD) Read(func(uintptr) bool) error  { return syscall.EOPNOTSUPP }
func (fd rawFD) Write(func(uintptr) bool) error { return syscall.EOPNOTSUPP }

func sockaddr(a netip.AddrPort) (unix.Sockaddr, error) {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}, nil
	}
	sa := &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
	if zone := a.Addr().Zone(); zone != "" {
		i, err := net.InterfaceByName(zone)
		if err != nil {
			return nil, err
		}
		sa.ZoneId = uint32(i.Index)
	}
	return sa, nil
}

func fromSockaddr(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return unmapped(netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)))
	}
	return netip.AddrPort{}
}

// resetFD has closing a socket reset its connection.
func resetFD(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}
