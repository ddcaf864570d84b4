package proxy

import (
	"net"
	"net/netip"
)

// Origin says where an accepted connection was going when it was intercepted.
// False means that it was not: the client means the proxy itself. An error
// means that nobody knows; the connection is then reset.
type Origin func(net.Conn) (Intercepted, bool, error)

// Intercepted is what is known of a connection that was diverted to us.
type Intercepted struct {
	// MatchedBy is how whoever diverted it knew that faults apply; "" if that
	// is for [Server.Matches] to say.
	MatchedBy MatchedBy
	// Shared says that the address has names for which that does not hold, or
	// of which nobody knows: what the client says first decides.
	Shared bool
	// Destination is where the program asked to go.
	Destination netip.AddrPort
	// Socket is how the program had set up its socket.
	Socket Socket
	// Process is who asked.
	Process Process
}

// Socket is what of a program's socket decides how its packets travel. The
// upstream is dialled with the same.
type Socket struct {
	// Place is the network namespace that it is in; nil is our own.
	Place *Place
	// Source is the address that it is bound to, invalid if none.
	Source netip.Addr
	// Mark is its SO_MARK. Who may not set that (CAP_NET_ADMIN) dials without.
	Mark uint32
	// TOS is its IP_TOS, or IPV6_TCLASS.
	TOS uint8
}

// Process is the caller of connect(2).
type Process struct {
	PID  uint32
	UID  uint32
	Name string
	// Cgroup is the id of its cgroup, Netns the inode of its network namespace.
	Cgroup, Netns uint64
}
