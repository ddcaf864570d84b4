// Package procfs is what /proc says about the processes and sockets of this
// host. On systems other than Linux nothing is known.
package procfs

import (
	"fmt"
	"net/netip"

	"github.com/faultproxy/fault/agent/lines"
)

// Process is one that runs here.
type Process struct {
	PID  int
	Name string
}

// String is as in "nginx[1184]", safe to show.
func (p Process) String() string { return fmt.Sprintf("%s[%d]", lines.Shown(p.Name, 32), p.PID) }

// Running is a process that runs, and whose child it is.
type Running struct {
	Process
	Parent int
}

// Socket is one of this network namespace.
type Socket struct {
	Local, Remote netip.AddrPort
	State         State
	Inode         uint64
}

// State is a socket's, as the kernel numbers them.
type State uint8

// The states that are of interest.
const (
	Established State = 1
	Closed      State = 7 // of UDP: bound, and not connected
	Listening   State = 10
)

// Takes says whether a socket keeps others from an address: it listens there,
// or at all addresses of that port, or the other one wants all.
func (s Socket) Takes(address netip.AddrPort) bool {
	if s.State != Listening && s.State != Closed || s.Local.Port() != address.Port() {
		return false
	}
	here, there := s.Local.Addr(), address.Addr().Unmap()
	return covers(here, there) || covers(there, here)
}

func covers(a, b netip.Addr) bool {
	return a == b || a.IsUnspecified() && (a.Is6() || b.Is4())
}
