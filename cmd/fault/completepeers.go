package main

import (
	"net/netip"

	"github.com/faultproxy/fault/agent/procfs"
)

// peers are the far ends of the TCP connections that programs of this network
// namespace have opened, as far as they can be read; in no order, and one for
// each connection.
func peers() []netip.AddrPort {
	sockets, _ := procfs.Sockets("tcp")
	listening := make(map[uint16]bool)
	for _, s := range sockets {
		if s.State == procfs.Listening {
			listening[s.Local.Port()] = true
		}
	}
	var far []netip.AddrPort
	for _, s := range sockets {
		if s.State == procfs.Established && !listening[s.Local.Port()] {
			far = append(far, s.Remote)
		}
	}
	return far
}
