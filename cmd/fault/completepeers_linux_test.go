package main

import (
	"net"
	"net/netip"
	"slices"
	"testing"
)

func TestParseTCPSocket(t *testing.T) {
	for row, want := range map[string]tcpSocket{
		"   0: 0100007F:0C6C 00000000:0000 0A 00000000:00000000 00:00000000": {
			netip.MustParseAddrPort("127.0.0.1:3180"), netip.MustParseAddrPort("0.0.0.0:0"), tcpListen,
		},
		"   1: 0000000000000000FFFF00000200000A:E1A8 0000000000000000FFFF00000900000A:1538 01 0 0": {
			netip.MustParseAddrPort("10.0.0.2:57768"), netip.MustParseAddrPort("10.0.0.9:5432"), tcpEstablished,
		},
		"   2: 00000000000000000000000001000000:0050 B80D0120000000000000000001000000:01BB 01 0 0": {
			netip.MustParseAddrPort("[::1]:80"), netip.MustParseAddrPort("[2001:db8::1]:443"), tcpEstablished,
		},
		"  sl  local_address rem_address   st tx_queue": {},
		"   3: 0100007F:0C6C 00000000":                  {},
		"   3: 0100007F:0C6C 0000:0 01":                 {},
		"":                                              {},
	} {
		if got, ok := parseTCPSocket(row); ok != (want != tcpSocket{}) || ok && got != want {
			t.Errorf("%q: %v, %v, want %v", row, got, ok, want)
		}
	}
}

// TestPeers are the servers of connections, not the clients.
func TestPeers(t *testing.T) {
	server, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	client, err := net.Dial("tcp4", server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	accepted, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	open := peers()
	if at := client.RemoteAddr().(*net.TCPAddr).AddrPort(); !slices.Contains(open, at) {
		t.Errorf("no %v in %v", at, open)
	}
	if at := client.LocalAddr().(*net.TCPAddr).AddrPort(); slices.Contains(open, at) {
		t.Errorf("the client %v is in %v", at, open)
	}
}

// FuzzParseTCPSocket holds that addresses are those of a socket.
func FuzzParseTCPSocket(f *testing.F) {
	f.Add("   0: 0100007F:0C6C 00000000:0000 0A 00000000:00000000")
	f.Fuzz(func(t *testing.T, row string) {
		if s, ok := parseTCPSocket(row); ok && (!s.local.IsValid() || !s.remote.IsValid() || s.local.Addr().Is4In6() || s.remote.Addr().Is4In6()) {
			t.Fatalf("%q: %v", row, s)
		}
	})
}
