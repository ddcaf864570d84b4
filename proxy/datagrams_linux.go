package proxy

import (
	"net"

	"golang.org/x/sys/unix"
)

// tellAddress has the kernel tell, of each datagram, which address of ours it
// was sent to; it matters where there are several, on a socket of all of them.
func tellAddress(c *net.UDPConn) error {
	if !c.LocalAddr().(*net.UDPAddr).IP.IsUnspecified() {
		return nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	cerr := raw.Control(func(fd uintptr) {
		// A socket of IPv6 takes both, and tells mapped addresses.
		if err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1); err != nil {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		}
	})
	if cerr != nil {
		return cerr
	}
	return err
}

// answerFrom makes what the kernel told with a datagram into what has it send
// an answer from the address that the datagram was sent to. Which way the
// answer takes is not said.
func answerFrom(told []byte) string {
	messages, err := unix.ParseSocketControlMessage(told)
	if err != nil {
		return ""
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo:
			return string(unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: [4]byte(m.Data[4:8])}))
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= unix.SizeofInet6Pktinfo:
			if to := [16]byte(m.Data[:16]); to[0] != 0xff { // nothing comes from a multicast address
				return string(unix.PktInfo6(&unix.Inet6Pktinfo{Addr: to}))
			}
		}
	}
	return ""
}
