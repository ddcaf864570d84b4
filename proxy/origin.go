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
	// Destination is where the program asked to go.
	Destination netip.AddrPort
	// Source is the address that the program had bound, invalid if none. The
	// upstream is dialled from it.
	Source netip.Addr
	// Process is who asked.
	Process Process
}

// Process is the caller of connect(2).
type Process struct {
	PID  uint32
	UID  uint32
	Name string
	// Cgroup is the id of its cgroup, Netns the inode of its network namespace.
	Cgroup, Netns uint64
}
