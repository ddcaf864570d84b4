package bpf

import "encoding/binary"

// Numbers of IPv4 (RFC 791), TCP (RFC 9293) and ICMP (RFC 792).
const (
	ipHeader, tcpHeader, icmpHeader = 20, 20, 8
	protocolICMP, protocolTCP       = 1, 6
	icmpUnreachable                 = 3
	tcpRST, tcpACK                  = 0x04, 0x10
	timeToLive                      = 64
)

// synOf is a SYN as it is sent once more: one that went through loopback has no
// checksum yet. The kernel fills in IPv4's. Data, which nobody acknowledges,
// stays away.
func synOf(packet []byte) []byte {
	syn := append([]byte(nil), packet...)
	binary.BigEndian.PutUint16(syn[2:], uint16(len(syn)))
	putTCPChecksum(syn, ipLength(syn))
	return syn
}

// resetOf is the answer of a closed port to a SYN (RFC 9293, 3.10.7.1).
func resetOf(syn []byte) []byte {
	tcp := syn[ipLength(syn):]
	p := answerTo(syn, protocolTCP, tcpHeader)
	reset := p[ipHeader:]
	copy(reset[0:2], tcp[2:4])
	copy(reset[2:4], tcp[0:2])
	binary.BigEndian.PutUint32(reset[8:], binary.BigEndian.Uint32(tcp[4:])+1)
	reset[12] = tcpHeader / 4 << 4
	reset[13] = tcpRST | tcpACK
	putTCPChecksum(p, ipHeader)
	return p
}

// unreachableOf is what a router says of a SYN that it cannot forward. It quotes
// the SYN, by which the kernel finds the caller.
func unreachableOf(syn []byte, code uint8) []byte {
	p := answerTo(syn, protocolICMP, icmpHeader+len(syn))
	icmp := p[ipHeader:]
	icmp[0], icmp[1] = icmpUnreachable, code
	copy(icmp[icmpHeader:], syn)
	binary.BigEndian.PutUint16(icmp[2:], checksum(icmp, 0))
	return p
}

// answerTo is an IPv4 packet to the sender of another one.
func answerTo(packet []byte, protocol byte, length int) []byte {
	p := make([]byte, ipHeader+length)
	p[0] = 4<<4 | ipHeader/4
	binary.BigEndian.PutUint16(p[2:], uint16(len(p)))
	p[8], p[9] = timeToLive, protocol
	copy(p[12:16], packet[16:20])
	copy(p[16:20], packet[12:16])
	return p
}

func ipLength(packet []byte) int { return int(packet[0]&0xf) * 4 }

func putTCPChecksum(packet []byte, header int) {
	tcp := packet[header:]
	tcp[16], tcp[17] = 0, 0
	pseudo := sum(packet[12:20]) + protocolTCP + uint32(len(tcp))
	binary.BigEndian.PutUint16(tcp[16:], checksum(tcp, pseudo))
}

// checksum is that of RFC 1071 over some bytes and a sum of others.
func checksum(b []byte, more uint32) uint16 {
	s := sum(b) + more
	for s>>16 != 0 {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}

func sum(b []byte) uint32 {
	var s uint32
	for len(b) > 1 {
		s += uint32(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}
