package main

import (
	"net"
	"slices"
	"testing"
)

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
