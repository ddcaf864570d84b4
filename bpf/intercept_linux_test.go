package bpf

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	ipprotoMPTCP       = 262
	tcpFastOpenConnect = 30
)

func mappedAddr(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
}

// TestIntercept connects in every shape that can be carried, and wants the
// connection at the listener, its destination filed, and the peer's name as
// if nothing had happened.
func TestIntercept(t *testing.T) {
	h := newHost(t, everything())
	if h.i.IPv6() != nil {
		t.Log("FEATURE ipv6 no", h.i.IPv6())
	} else {
		t.Log("FEATURE ipv6 yes")
	}
	for name, tc := range map[string]struct {
		family   int
		protocol int
		to       netip.AddrPort
		bind     netip.AddrPort
		before   func(fd int) error
		peer     bool // the peer's name is restored
		optional bool // where the kernel knows it
	}{
		"IPv4":              {family: unix.AF_INET, to: server4, peer: true},
		"IPv6":              {family: unix.AF_INET6, to: server6, peer: true},
		"mapped":            {family: unix.AF_INET6, to: mappedAddr(server4), peer: true},
		"IPv4 bound":        {family: unix.AF_INET, to: server4, bind: netip.AddrPortFrom(client4, 0), peer: true},
		"IPv4 bound port":   {family: unix.AF_INET, to: server4, bind: netip.AddrPortFrom(client4, 4444), peer: true},
		"IPv6 bound to any": {family: unix.AF_INET6, to: server6, bind: netip.MustParseAddrPort("[::]:4445"), peer: true},
		"mapped bound":      {family: unix.AF_INET6, to: mappedAddr(server4), bind: mappedAddr(netip.AddrPortFrom(client4, 0)), peer: true},
		"fast open": {family: unix.AF_INET, to: server4, peer: true, optional: true, before: func(fd int) error {
			return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, tcpFastOpenConnect, 1)
		}},
		// The socket that a program holds is not the one that connects, so
		// the name of its peer is our listener's.
		"MPTCP": {family: unix.AF_INET, protocol: ipprotoMPTCP, to: server4, optional: true},
	} {
		t.Run(name, func(t *testing.T) {
			h := &host{t, h.ns, h.ln, h.i}
			if tc.optional && !supports(t, h, tc.family, tc.protocol) {
				t.Skip("not on this kernel")
			}
			fd := h.socket(tc.family, unix.SOCK_STREAM, tc.protocol)
			if tc.before != nil {
				if err := tc.before(fd); err != nil {
					t.Fatal(err)
				}
			}
			tos := setSocket(t, fd, tc.to.Addr())
			if tc.bind.IsValid() {
				if err := unix.Bind(fd, sockaddr(tc.bind)); err != nil {
					t.Fatal(err)
				}
			}
			if err := unix.Connect(fd, sockaddr(tc.to)); err != nil {
				t.Fatal(err)
			}
			if tc.before != nil { // the SYN waits for the first bytes
				if _, err := unix.Write(fd, []byte("x")); err != nil {
					t.Fatal(err)
				}
			}
			c := accepted(t, h.ln)
			o, ok := h.origin(c)
			if !ok {
				t.Fatal("the connection has no origin")
			}
			want := netip.AddrPortFrom(tc.to.Addr().Unmap(), tc.to.Port())
			if o.Destination != want {
				t.Errorf("destination %v, want %v", o.Destination, want)
			}
			source := tc.bind.Addr().Unmap()
			if source.IsUnspecified() {
				source = netip.Addr{}
			}
			if o.Source != source {
				t.Errorf("source %v, want %v", o.Source, source)
			}
			if o.Mark != testMark || o.TOS != tos {
				t.Errorf("mark %d, type of service %#x, want %d and %#x", o.Mark, o.TOS, testMark, tos)
			}
			if o.PID != uint32(os.Getpid()) || o.UID != 0 || o.Netns != h.ns.Inode() || o.Thread == "" || o.IPv6 != (tc.family == unix.AF_INET6) {
				t.Errorf("origin %+v", o)
			}
			if _, again := h.origin(c); again {
				t.Error("the origin was not taken out")
			}
			if peer := peername(t, fd); tc.peer && peer != tc.to {
				t.Errorf("peer %v, want %v", peer, tc.to)
			}
		})
	}
	if n := h.waiting(); n != 0 {
		t.Errorf("%d origins remain", n)
	}
	if n := h.counted(OriginLost); n != 0 {
		t.Errorf("%d origins lost", n)
	}
}

func supports(t *testing.T, h *host, family, protocol int) bool {
	t.Helper()
	err := h.ns.Do(func() error {
		fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocol)
		if err == nil {
			unix.Close(fd)
		}
		return err
	})
	return err == nil
}

// TestLeftAlone connects in every shape that must not be diverted, and wants
// the call to do what it did before, and to be counted.
func TestLeftAlone(t *testing.T) {
	h := newHost(t, Rule{}, Rule{Prefix: netip.MustParsePrefix("192.0.2.99/32"), Exclude: true})
	direct4 := listen(t, h.ns, server4.String())
	direct6 := listen(t, h.ns, server6.String())
	dns := listen(t, h.ns, "192.0.2.10:53")
	loopback4 := listen(t, h.ns, "127.0.0.1:0")
	loopback6 := listen(t, h.ns, "[::1]:0")
	bindTo := func(a netip.Addr) func(int) error {
		return func(fd int) error { return unix.Bind(fd, sockaddr(netip.AddrPortFrom(a, 0))) }
	}
	v6only := func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1) }
	exempt := func(fd int) error { return h.i.objs.AgentSockets.Put(uint32(fd), uint64(0)) }
	otherAgent := func(fd int) error {
		return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PRIORITY, int(h.i.mark.Priority))
	}
	// What an agent can do that has no privilege.
	unprivileged := func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int(h.i.mark.Keepalive))
	}
	_ = direct4
	for name, tc := range map[string]struct {
		family, typ int
		to          netip.AddrPort
		before      func(fd int) error
		want        Verdict
		err         error
	}{
		"UDP":               {unix.AF_INET, unix.SOCK_DGRAM, server4, nil, UDP, nil},
		"UDP over IPv6":     {unix.AF_INET6, unix.SOCK_DGRAM, server6, nil, UDP, nil},
		"loopback":          {unix.AF_INET, unix.SOCK_STREAM, addrPortOf(loopback4), nil, Loopback, nil},
		"loopback mapped":   {unix.AF_INET6, unix.SOCK_STREAM, mappedAddr(addrPortOf(loopback4)), nil, Loopback, nil},
		"loopback over 6":   {unix.AF_INET6, unix.SOCK_STREAM, addrPortOf(loopback6), nil, Loopback, nil},
		"unspecified":       {unix.AF_INET, unix.SOCK_STREAM, netip.AddrPortFrom(netip.IPv4Unspecified(), addrPortOf(loopback4).Port()), nil, Loopback, nil},
		"unspecified IPv6":  {unix.AF_INET6, unix.SOCK_STREAM, netip.AddrPortFrom(netip.IPv6Unspecified(), addrPortOf(loopback6).Port()), nil, Loopback, nil},
		"127.1.2.3":         {unix.AF_INET, unix.SOCK_STREAM, netip.MustParseAddrPort("127.1.2.3:9"), nil, Loopback, unix.ECONNREFUSED},
		"DNS":               {unix.AF_INET, unix.SOCK_STREAM, addrPortOf(dns), nil, DNS, nil},
		"link-local":        {unix.AF_INET6, unix.SOCK_STREAM, netip.MustParseAddrPort("[fe80::1]:80"), nil, LinkLocal, unix.EINVAL},
		"IPv6 only":         {unix.AF_INET6, unix.SOCK_STREAM, addrPortOf(direct6), v6only, IPv6Only, nil},
		"bound to IPv6":     {unix.AF_INET6, unix.SOCK_STREAM, addrPortOf(direct6), bindTo(client6), SourceBound, nil},
		"excluded":          {unix.AF_INET, unix.SOCK_STREAM, netip.MustParseAddrPort("192.0.2.99:80"), nil, Excluded, unix.ENETUNREACH},
		"agent's socket":    {unix.AF_INET, unix.SOCK_STREAM, server4, exempt, Agent, nil},
		"agent's socket v6": {unix.AF_INET6, unix.SOCK_STREAM, server6, exempt, Agent, nil},
		"another agent's":   {unix.AF_INET, unix.SOCK_STREAM, server4, otherAgent, Agent, nil},
		"unprivileged":      {unix.AF_INET, unix.SOCK_STREAM, server4, unprivileged, Agent, nil},
		"unprivileged v6":   {unix.AF_INET6, unix.SOCK_STREAM, server6, unprivileged, Agent, nil},
		"unprivileged 4in6": {unix.AF_INET6, unix.SOCK_STREAM, mappedAddr(server4), unprivileged, Agent, nil},
		"agent's listener":  {unix.AF_INET, unix.SOCK_STREAM, addrPortOf(h.ln), nil, Loopback, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if strings.HasPrefix(name, "unprivileged") && !HostKernel().AtLeast(6, 1) {
				t.Skip("this kernel does not tell programs about keepalives")
			}
			if tc.want != IPv6Only && tc.want != SourceBound || h.i.IPv6() == nil {
				checkLeftAlone(&host{t, h.ns, h.ln, h.i}, tc.family, tc.typ, tc.to, tc.before, tc.want, tc.err)
			}
		})
	}
	if n := h.waiting(); n != 0 {
		t.Errorf("%d origins filed", n)
	}
	if n := h.counted(Intercepted); n != 0 {
		t.Errorf("%d connects diverted", n)
	}
}

func checkLeftAlone(h *host, family, typ int, to netip.AddrPort, before func(int) error, want Verdict, wantErr error) {
	t := h.t
	counted := h.counted(want)
	fd := h.socket(family, typ, 0)
	if before != nil {
		if err := before(fd); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Connect(fd, sockaddr(to)); !errors.Is(err, wantErr) {
		t.Fatalf("connect: %v, want %v", err, wantErr)
	}
	if n := h.counted(want) - counted; n != 1 {
		counts, _ := h.i.Counts()
		t.Errorf("%d counted as %s, want 1; all: %v", n, want, counts)
	}
	if wantErr == nil && !to.Addr().IsUnspecified() {
		if peer := peername(t, fd); peer != to {
			t.Errorf("peer %v, want %v", peer, to)
		}
	}
}

// TestNamed is what `*` leaves out and a pattern that names it does not.
func TestNamed(t *testing.T) {
	h := newHost(t, Rule{},
		Rule{Prefix: netip.MustParsePrefix("127.0.0.1/32"), Port: 5432, Loopback: true, DNS: true},
		Rule{Prefix: netip.MustParsePrefix("::1/128"), Port: 5432, Loopback: true, DNS: true},
		Rule{Prefix: netip.MustParsePrefix("192.0.2.10/32"), Port: 53, DNS: true})
	for _, to := range []string{"127.0.0.1:5432", "192.0.2.10:53", "[::1]:5432"} {
		dst := netip.MustParseAddrPort(to)
		family := unix.AF_INET
		if dst.Addr().Is6() {
			if h.i.IPv6() != nil {
				continue
			}
			family = unix.AF_INET6
		}
		fd := h.socket(family, unix.SOCK_STREAM, 0)
		if err := unix.Connect(fd, sockaddr(dst)); err != nil {
			t.Fatalf("%s: %v", to, err)
		}
		if o, ok := h.origin(accepted(t, h.ln)); !ok || o.Destination != dst {
			t.Errorf("%s: origin %v, %v", to, o, ok)
		}
		if peer := peername(t, fd); peer != dst {
			t.Errorf("%s: peer %v", to, peer)
		}
	}
}

// TestNotMatched is that rules decide by address and port.
func TestNotMatched(t *testing.T) {
	h := newHost(t, Rule{Prefix: netip.MustParsePrefix("192.0.2.0/28"), Port: 80})
	listen(t, h.ns, "192.0.2.10:81")
	for to, want := range map[string]Verdict{
		"192.0.2.10:80": Intercepted,
		"192.0.2.10:81": NotMatched,
		"192.0.2.20:80": NotMatched,
	} {
		before := h.counted(want)
		fd := h.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		err := unix.Connect(fd, sockaddr(netip.MustParseAddrPort(to)))
		if refused := to == "192.0.2.20:80"; refused != (err == unix.ECONNREFUSED) {
			t.Errorf("%s: %v", to, err)
		}
		if h.counted(want) != before+1 {
			t.Errorf("%s was not counted as %s", to, want)
		}
	}
}

// TestDeviceBound needs a device that is not loopback.
func TestDeviceBound(t *testing.T) {
	h := newHost(t, everything())
	far := newNS(t)
	near, beyond := netip.MustParsePrefix("198.51.100.1/24"), netip.MustParsePrefix("198.51.100.2/24")
	err := veth(h.ns, far, near, beyond)
	if errors.Is(err, unix.EOPNOTSUPP) {
		t.Skip("this kernel has no veth")
	}
	if err != nil {
		t.Fatal(err)
	}
	ln := listen(t, far, "198.51.100.2:80")
	toDevice := func(fd int) error { return unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, "veth0") }
	checkLeftAlone(h, unix.AF_INET, unix.SOCK_STREAM, addrPortOf(ln), toDevice, DeviceBound, nil)
	if got := accepted(t, ln).RemoteAddr().String(); got[:12] != "198.51.100.1" {
		t.Errorf("the server sees %s", got)
	}
	toLoopback := func(fd int) error { return unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, "lo") }
	fd := h.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err := toLoopback(fd); err != nil {
		t.Fatal(err)
	}
	if err := unix.Connect(fd, sockaddr(server4)); err != nil {
		t.Fatal(err)
	}
	if o, ok := h.origin(accepted(t, h.ln)); !ok || o.Destination != server4 {
		t.Errorf("bound to lo: origin %v, %v", o, ok)
	}
}

// TestOtherNamespaces is that a caller is diverted only to a listener of ours
// that is where the caller is, and that two such are kept apart although every
// number of their connections is the same.
func TestOtherNamespaces(t *testing.T) {
	h := newHost(t, everything())
	other := newNS(t)
	direct := listen(t, other, server4.String())
	connect := func(ns *host, port int) int {
		fd := ns.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
		if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port}); err != nil {
			t.Fatal(err)
		}
		if err := unix.Connect(fd, sockaddr(server4)); err != nil {
			t.Fatal(err)
		}
		return fd
	}
	there := &host{t, other, nil, h.i}
	connect(there, 4000)
	accepted(t, direct)
	if n := h.counted(OtherNetns); n != 1 {
		t.Errorf("%d counted in other namespaces, want 1", n)
	}
	// Somebody else's listener at our address does not count as ours.
	there.ln = listen(t, other, h.ln.Addr().String())
	connect(there, 4001)
	accepted(t, direct)

	if err := h.i.Serve(there.ln, other.Inode()); err != nil {
		t.Fatal(err)
	}
	if err := direct.Close(); err != nil {
		t.Fatal(err)
	}
	connect(h, 4002)
	connect(there, 4002)
	for _, at := range []*host{h, there} {
		if o, ok := at.origin(accepted(t, at.ln)); !ok || o.Netns != at.ns.Inode() {
			t.Errorf("origin %+v, %v, want namespace %d", o, ok, at.ns.Inode())
		}
	}
}

// TestPaused is a listener that takes no more.
func TestPaused(t *testing.T) {
	h := newHost(t, everything())
	direct := listen(t, h.ns, server4.String())
	if err := h.i.Pause(h.ln); err != nil {
		t.Fatal(err)
	}
	checkLeftAlone(h, unix.AF_INET, unix.SOCK_STREAM, server4, nil, Limit, nil)
	accepted(t, direct)
	if err := h.i.Serve(h.ln, h.ns.Inode()); err != nil {
		t.Fatal(err)
	}
	fd := h.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err := unix.Connect(fd, sockaddr(server4)); err != nil {
		t.Fatal(err)
	}
	if _, ok := h.origin(accepted(t, h.ln)); !ok {
		t.Error("not diverted after the pause")
	}
}

// TestOwnAddress is a client that speaks to the listener by another of the
// host's addresses: diverting it would make the proxy its own upstream.
func TestOwnAddress(t *testing.T) {
	needsRoot(t)
	h := &host{t: t, ns: newNS(t)}
	h.ln = listen(t, h.ns, "0.0.0.0:3180")
	h.i = attach(t, Config{Cgroup: testCgroup, Proxy: netip.MustParseAddrPort("127.0.0.1:3180"), Rules: []Rule{everything()}})
	if err := h.i.Serve(h.ln, h.ns.Inode()); err != nil {
		t.Fatal(err)
	}
	checkLeftAlone(h, unix.AF_INET, unix.SOCK_STREAM, netip.MustParseAddrPort("192.0.2.10:3180"), nil, Agent, nil)
	if o, ok := h.origin(accepted(t, h.ln)); ok {
		t.Errorf("origin %v", o)
	}
}

// TestReusedSocket is a socket that connects again, elsewhere.
func TestReusedSocket(t *testing.T) {
	h := newHost(t, everything())
	loopback := listen(t, h.ns, "127.0.0.1:0")
	fd := h.socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	for round := range 3 {
		if err := unix.Connect(fd, sockaddr(server4)); err != nil {
			t.Fatal(err)
		}
		if o, ok := h.origin(accepted(t, h.ln)); !ok || o.Destination != server4 {
			t.Fatalf("round %d: %v, %v", round, o, ok)
		}
		disconnect(t, fd)
		if err := unix.Connect(fd, sockaddr(addrPortOf(loopback))); err != nil {
			t.Fatal(err)
		}
		accepted(t, loopback)
		if peer := peername(t, fd); peer != addrPortOf(loopback) {
			t.Errorf("round %d: peer %v, want %v", round, peer, loopback.Addr())
		}
		disconnect(t, fd)
	}
	if n := h.waiting(); n != 0 {
		t.Errorf("%d origins remain", n)
	}
}

func disconnect(t *testing.T, fd int) {
	t.Helper()
	var unspec [16]byte // AF_UNSPEC
	if err := rawConnect(fd, unspec[:]); err != nil {
		t.Fatal(fmt.Errorf("disconnect: %w", err))
	}
}

const testMark = 77

// setSocket sets what of a socket decides how its packets travel. It returns
// the type of service that packets to an address have.
func setSocket(t *testing.T, fd int, to netip.Addr) uint8 {
	t.Helper()
	const tos, class = 0x10, 0x20
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, testMark); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_TOS, tos); err != nil {
		t.Fatal(err)
	}
	if to.Unmap().Is4() {
		return tos
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, class); err != nil {
		t.Fatal(err)
	}
	return class
}
