package agent

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io/fs"
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

// eachTCPSocket visits the TCP sockets of this network namespace.
func eachTCPSocket(visit func(tcpSocket)) error {
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			if table == "/proc/self/net/tcp6" && errors.Is(err, fs.ErrNotExist) {
				continue // a kernel without IPv6
			}
			return err
		}
		rows := bufio.NewScanner(f)
		for rows.Scan() {
			if s, ok := parseTCPSocket(rows.Text()); ok {
				visit(s)
			}
		}
		f.Close()
		if rows.Err() != nil {
			return rows.Err()
		}
	}
	return nil
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

// openConnections counts the TCP connections of this network namespace, but
// for those within the host; nil if that cannot be told.
func openConnections() *int {
	n := 0
	err := eachTCPSocket(func(s tcpSocket) {
		if s.state == tcpEstablished && !s.remote.Addr().IsLoopback() {
			n++
		}
	})
	if err != nil {
		return nil
	}
	return &n
}

// Peers are the far ends of the TCP connections that programs of this network
// namespace have opened; in no order, and one for each connection.
func Peers() []netip.AddrPort {
	listening := make(map[uint16]bool)
	var open []tcpSocket
	_ = eachTCPSocket(func(s tcpSocket) {
		switch s.state {
		case tcpListen:
			listening[s.local.Port()] = true
		case tcpEstablished:
			open = append(open, s)
		}
	})
	var peers []netip.AddrPort
	for _, s := range open {
		if !listening[s.local.Port()] {
			peers = append(peers, s.remote)
		}
	}
	return peers
}
