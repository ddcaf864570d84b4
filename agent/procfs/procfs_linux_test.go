package procfs

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
)

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0C6C 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11184 1 0000000000000000 100 0 0 10 0
   1: 0500000A:BB9E 0302010A:01BB 01 00000000:00000000 00:00000000 00000000  1000        0 22 1 0000000000000000 20 4 30 10 -1
   2: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 33 1 0000000000000000 100 0 0 10 0
   3: 0000000000000000FFFF00000100007F:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 44 1 0000000000000000 100 0 0 10 0
   4: 00000000000000000000000001000000:0050 B80D0120000000000000000001000000:01BB 01 00000000:00000000 00:00000000 00000000     0        0 55 1
   5: nonsense
   6: 0100007F:XXXX 00000000:0000 0A 0 0 0 0 0 0 55
   7: 01:0001 00000000:0000 0A 0 0 0 0 0 0 66
`

func TestSocketsOfTable(t *testing.T) {
	want := []Socket{
		{netip.MustParseAddrPort("127.0.0.1:3180"), netip.MustParseAddrPort("0.0.0.0:0"), Listening, 11184},
		{netip.MustParseAddrPort("10.0.0.5:48030"), netip.MustParseAddrPort("10.1.2.3:443"), Established, 22},
		{netip.MustParseAddrPort("[::]:8080"), netip.MustParseAddrPort("[::]:0"), Listening, 33},
		{netip.MustParseAddrPort("127.0.0.1:8081"), netip.MustParseAddrPort("[::]:0"), Listening, 44},
		{netip.MustParseAddrPort("[::1]:80"), netip.MustParseAddrPort("[2001:db8::1]:443"), Established, 55},
	}
	got, err := sockets(strings.NewReader(table))
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want\n%v", got, err, want)
	}
}

// FuzzSockets: no table makes the reader fail, or gives a mapped address.
func FuzzSockets(f *testing.F) {
	f.Add(table)
	f.Fuzz(func(t *testing.T, text string) {
		all, _ := sockets(strings.NewReader(text))
		for _, s := range all {
			if !s.Local.IsValid() || !s.Remote.IsValid() || s.Local.Addr().Is4In6() {
				t.Errorf("%q: %+v", text, s)
			}
		}
	})
}

func TestTakes(t *testing.T) {
	for _, tc := range []struct {
		socket, address string
		state           State
		want            bool
	}{
		{"127.0.0.1:80", "127.0.0.1:80", Listening, true},
		{"127.0.0.1:80", "127.0.0.1:80", Closed, true},
		{"127.0.0.1:80", "127.0.0.1:80", Established, false},
		{"127.0.0.1:80", "127.0.0.1:81", Listening, false},
		{"127.0.0.2:80", "127.0.0.1:80", Listening, false},
		{"0.0.0.0:80", "127.0.0.1:80", Listening, true},
		{"[::]:80", "127.0.0.1:80", Listening, true},
		{"127.0.0.1:80", "0.0.0.0:80", Listening, true},
		{"127.0.0.1:80", "[::]:80", Listening, true},
		{"[::1]:80", "0.0.0.0:80", Listening, false},
		{"0.0.0.0:80", "[::1]:80", Listening, false},
		{"127.0.0.1:80", "[::ffff:127.0.0.1]:80", Listening, true},
	} {
		s := Socket{Local: netip.MustParseAddrPort(tc.socket), State: tc.state}
		if got := s.Takes(netip.MustParseAddrPort(tc.address)); got != tc.want {
			t.Errorf("%s in state %d takes %s: %v, want %v", tc.socket, tc.state, tc.address, got, tc.want)
		}
	}
}

// TestHolder finds this process by its sockets.
func TestHolder(t *testing.T) {
	tcp, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	udp, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		t.Skip(err)
	}
	defer udp.Close()
	for network, at := range map[string]netip.AddrPort{
		"tcp": tcp.Addr().(*net.TCPAddr).AddrPort(), "udp": udp.LocalAddr().(*net.UDPAddr).AddrPort(),
	} {
		all, err := Sockets(network)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(all, func(s Socket) bool { return s.Takes(at) })
		if i < 0 {
			t.Errorf("%s: %v is not among %d sockets", network, at, len(all))
			continue
		}
		if p, ok := HolderOf(all[i]); !ok || p.PID != os.Getpid() || p.Name != "procfs.test" {
			t.Errorf("%s: %v, %v", network, p, ok)
		}
	}
	if p, ok := HolderOf(Socket{Inode: 0}); ok {
		t.Errorf("%v has a socket that is not there", p)
	}
}

func TestProcessIsSafeToShow(t *testing.T) {
	if got := (Process{1184, "ng\x1b[2Jinx"}).String(); got != "ng?[2Jinx[1184]" {
		t.Error(got)
	}
}
