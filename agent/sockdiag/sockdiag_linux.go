package sockdiag

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Direction says which end opened a connection.
type Direction uint8

// The directions. Unknown is a connection that had bytes on their way when it
// was looked at, of which nothing else tells.
const (
	Unknown Direction = iota
	Outgoing
	Incoming
)

// Connection is an established one of this host.
type Connection struct {
	// Local and Remote are never mapped addresses.
	Local, Remote netip.AddrPort
	// IPv6 says that the socket is an IPv6 one.
	IPv6 bool
	// Direction is whether a program here opened it.
	Direction Direction
	// Device is the interface that the socket is bound to; 0 is none.
	Device uint32
	UID    uint32
	// Inode is that of the socket's file, Cgroup the id of the cgroup in which
	// it was made: the inode of its folder.
	Inode, Cgroup uint64

	id [idSize]byte
}

const (
	// idSize is that of struct inet_diag_sockid, in which the kernel's cookie
	// for the socket is. Messages begin with 4 bytes in front of it.
	idSize = 48
	// messageSize is that of struct inet_diag_msg.
	messageSize = 4 + idSize + 20
)

// Connections gives those of the calling thread's network namespace that are
// established. It needs no privilege. A kernel that cannot tell gives an error.
func Connections() ([]Connection, error) {
	all, err := dump()
	for range looks {
		if err != nil || !slices.ContainsFunc(all, Connection.isUnknown) {
			break
		}
		time.Sleep(lookTime)
		var again []Connection
		again, err = dump()
		settled := make(map[[idSize]byte]Direction)
		for _, c := range again {
			settled[c.id] = c.Direction
		}
		for i := range all {
			if all[i].isUnknown() {
				all[i].Direction = settled[all[i].id]
			}
		}
	}
	return all, err
}

// Bytes are seldom on their way for long; so it is looked at again before the
// direction of a connection counts as unknown.
const (
	looks    = 5
	lookTime = 5 * time.Millisecond
)

func (c Connection) isUnknown() bool { return c.Direction == Unknown }

func dump() ([]Connection, error) {
	const established, listen = unix.BPF_TCP_ESTABLISHED, unix.BPF_TCP_LISTEN
	var all []Connection
	listeners := make(map[netip.AddrPort]bool)
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		req := nl.NewNetlinkRequest(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
		req.AddData(&query{family: family, states: 1<<established | 1<<listen, info: true})
		var bad error
		err := req.ExecuteIter(unix.NETLINK_INET_DIAG, nl.SOCK_DIAG_BY_FAMILY, func(msg []byte) bool {
			c, state, err := parse(msg)
			switch {
			case err != nil:
				bad = err
			case state == listen:
				listeners[c.Local] = true
			default:
				all = append(all, c)
			}
			return err == nil
		})
		if err = errors.Join(err, bad); err != nil {
			return nil, fmt.Errorf("ask for TCP sockets: %w", err)
		}
	}
	for i := range all {
		all[i].arrivedAt(listeners)
	}
	return all, nil
}

// arrivedAt makes a connection an incoming one if somebody listens where it is.
func (c *Connection) arrivedAt(listeners map[netip.AddrPort]bool) {
	for _, at := range []netip.Addr{c.Local.Addr(), netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		if listeners[netip.AddrPortFrom(at, c.Local.Port())] {
			c.Direction = Incoming
		}
	}
}

// Reset ends the connection as if the network had: its program sees
// ECONNABORTED, the peer a reset. It must be called in the namespace of the
// connection, and takes CAP_NET_ADMIN. That it is gone already is no error.
func (c *Connection) Reset() error {
	q := query{family: unix.AF_INET, id: c.id}
	if c.IPv6 {
		q.family = unix.AF_INET6
	}
	if err := q.destroy(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("reset %v: %w", c.Remote, err)
	}
	return nil
}

// CanReset says why this kernel does not let [Connection.Reset] work; nil if it
// does.
func CanReset() error {
	err := (&query{family: unix.AF_INET}).destroy() // port 0 is nobody's
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil
	case errors.Is(err, unix.EOPNOTSUPP):
		return errors.New("this kernel cannot reset connections of others (CONFIG_INET_DIAG_DESTROY)")
	case errors.Is(err, unix.EPERM):
		return errors.New("cap_net_admin is missing")
	}
	return err
}

// query is struct inet_diag_req_v2.
type query struct {
	family uint8
	states uint32
	info   bool // also what tells the direction
	id     [idSize]byte
}

// Len is that of what Serialize gives.
func (q *query) Len() int { return 8 + idSize }

// Serialize is for the library.
func (q *query) Serialize() []byte {
	b := []byte{q.family, unix.IPPROTO_TCP, 0, 0}
	if q.info {
		b[2] = 1 << (netlink.INET_DIAG_INFO - 1)
	}
	b = binary.NativeEndian.AppendUint32(b, q.states)
	return append(b, q.id[:]...)
}

func (q *query) destroy() error {
	req := nl.NewNetlinkRequest(nl.SOCK_DESTROY, unix.NLM_F_ACK)
	req.AddData(q)
	_, err := req.Execute(unix.NETLINK_INET_DIAG, 0)
	return err
}

// parse reads struct inet_diag_msg and its attributes.
func parse(msg []byte) (c Connection, state uint8, err error) {
	if len(msg) < messageSize {
		return c, 0, fmt.Errorf("%d bytes of a socket", len(msg))
	}
	c.IPv6 = msg[0] == unix.AF_INET6
	copy(c.id[:], msg[4:])
	id := c.id[:]
	c.Local = netip.AddrPortFrom(c.address(id[4:20]), binary.BigEndian.Uint16(id))
	c.Remote = netip.AddrPortFrom(c.address(id[20:36]), binary.BigEndian.Uint16(id[2:]))
	c.Device = binary.NativeEndian.Uint32(id[36:])
	rest := msg[4+idSize:] // expires, rqueue, wqueue, uid, inode
	unacked := binary.NativeEndian.Uint32(rest[8:])
	c.UID = binary.NativeEndian.Uint32(rest[12:])
	c.Inode = uint64(binary.NativeEndian.Uint32(rest[16:]))
	rest = slices.Clip(msg[messageSize:])
	rest = append(rest, make([]byte, -len(rest)&(unix.RTA_ALIGNTO-1))...) // which nl takes for granted
	attrs, err := nl.ParseRouteAttr(rest)
	if err != nil {
		return c, 0, err
	}
	for _, a := range attrs {
		switch {
		case a.Attr.Type == netlink.INET_DIAG_CGROUP_ID && len(a.Value) >= 8:
			c.Cgroup = binary.NativeEndian.Uint64(a.Value)
		case a.Attr.Type == netlink.INET_DIAG_INFO:
			c.Direction = direction(a.Value, unacked)
		}
	}
	return c, msg[1], nil
}

func (c *Connection) address(b []byte) netip.Addr {
	if !c.IPv6 {
		return netip.AddrFrom4([4]byte(b))
	}
	return netip.AddrFrom16([16]byte(b)).Unmap()
}

// direction is what the counters of struct tcp_info tell. The SYN of the end
// that opened the connection counts as one byte that was acknowledged, and not
// as one that was sent; so once all is acknowledged, that end has one more of
// these than of those. Of a queue that is not empty it cannot be told.
func direction(info []byte, queued uint32) Direction {
	const (
		unacked       = unsafe.Offsetof(unix.TCPInfo{}.Unacked)
		acked         = unsafe.Offsetof(unix.TCPInfo{}.Bytes_acked)
		sent          = unsafe.Offsetof(unix.TCPInfo{}.Bytes_sent)
		retransmitted = unsafe.Offsetof(unix.TCPInfo{}.Bytes_retrans)
	)
	if len(info) < int(retransmitted)+8 || queued != 0 || binary.NativeEndian.Uint32(info[unacked:]) != 0 {
		return Unknown
	}
	at := func(offset uintptr) uint64 { return binary.NativeEndian.Uint64(info[offset:]) }
	switch at(acked) - (at(sent) - at(retransmitted)) {
	case 1:
		return Outgoing
	case 0:
		return Incoming
	}
	return Unknown
}
