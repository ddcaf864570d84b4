package main

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// tcpSocket is a row of /proc/net/tcp. Addresses are never mapped ones.
type tcpSocket struct {
	local, remote netip.AddrPort
	state         string
}

// States of include/net/tcp_states.h, as they are written there.
const (
	tcpEstablished = "01"
	tcpListen      = "0A"
)

// tcpSockets are those of this network namespace, as far as they can be read.
func tcpSockets() []tcpSocket {
	var all []tcpSocket
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		text, _ := os.ReadFile(table)
		for row := range strings.Lines(string(text)) {
			if s, ok := parseTCPSocket(row); ok {
				all = append(all, s)
			}
		}
	}
	return all
}

func parseTCPSocket(row string) (s tcpSocket, ok bool) {
	fields := strings.Fields(row)
	if len(fields) < 4 {
		return s, false
	}
	local, ok := addressInProc(fields[1])
	if !ok {
		return s, false // the head of the table
	}
	remote, ok := addressInProc(fields[2])
	return tcpSocket{local, remote, fields[3]}, ok
}

// addressInProc reads an address as /proc/net/tcp writes it: words of 32 bits
// in the host's order, and a port.
func addressInProc(text string) (netip.AddrPort, bool) {
	digits, number, _ := strings.Cut(text, ":")
	words, err := hex.DecodeString(digits)
	if err != nil {
		return netip.AddrPort{}, false
	}
	for i := 0; i+4 <= len(words); i += 4 {
		binary.NativeEndian.PutUint32(words[i:], binary.BigEndian.Uint32(words[i:]))
	}
	addr, ok := netip.AddrFromSlice(words)
	port, err := strconv.ParseUint(number, 16, 16)
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), ok && err == nil
}

// peers are the far ends of the TCP connections that programs of this network
// namespace have opened; in no order, and one for each connection.
func peers() []netip.AddrPort {
	sockets := tcpSockets()
	listening := make(map[uint16]bool)
	for _, s := range sockets {
		if s.state == tcpListen {
			listening[s.local.Port()] = true
		}
	}
	var far []netip.AddrPort
	for _, s := range sockets {
		if s.state == tcpEstablished && !listening[s.local.Port()] {
			far = append(far, s.remote)
		}
	}
	return far
}
