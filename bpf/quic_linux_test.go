package bpf

import (
	"errors"
	"net/netip"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/netns"
)

// quicHost is a host whose programs let QUIC pass, or block it.
func quicHost(t *testing.T, block bool, cfg Config) *host {
	needsRoot(t)
	h := &host{t: t, ns: newNS(t)}
	h.ln = listen(t, h.ns, "127.0.0.1:0")
	cfg.Cgroup, cfg.Proxy, cfg.BlockQUIC = testCgroup, addrPortOf(h.ln), block
	cfg.Rules = []Rule{everything(), {Prefix: netip.MustParsePrefix("192.0.2.11/32"), Exclude: true}}
	h.i = attach(t, cfg)
	if err := h.i.Serve(h.ln, h.ns.Inode()); err != nil {
		t.Fatal(err)
	}
	return h
}

// datagram sends one in the namespace, over a socket that is connected or not.
func datagram(h *host, ns *netns.NS, family int, to netip.AddrPort, connected bool) error {
	fd := socket(h.t, ns, family, unix.SOCK_DGRAM, 0)
	if !connected {
		return unix.Sendto(fd, []byte("datagram"), 0, sockaddr(to))
	}
	if err := unix.Connect(fd, sockaddr(to)); err != nil {
		return err
	}
	_, err := unix.Write(fd, []byte("datagram"))
	if errors.Is(err, unix.ECONNREFUSED) { // nobody is there
		return nil
	}
	return err
}

func TestQUIC(t *testing.T) {
	at := func(a netip.AddrPort, port uint16) netip.AddrPort { return netip.AddrPortFrom(a.Addr(), port) }
	for name, tc := range few(map[string]struct {
		family int
		to     netip.AddrPort
		quic   bool
	}{
		"IPv4":          {unix.AF_INET, at(server4, 443), true},
		"IPv6":          {unix.AF_INET6, at(server6, 443), true},
		"mapped":        {unix.AF_INET6, mappedAddr(at(server4, 443)), true},
		"another port":  {unix.AF_INET, at(server4, 80), false},
		"excluded":      {unix.AF_INET, netip.MustParseAddrPort("192.0.2.11:443"), false},
		"loopback":      {unix.AF_INET, netip.MustParseAddrPort("127.0.0.1:443"), false},
		"IPv6 loopback": {unix.AF_INET6, netip.MustParseAddrPort("[::1]:443"), false},
	}, "IPv4", "IPv6") {
		for _, block := range []bool{false, true} {
			for how, connected := range map[string]bool{"connect": true, "sendto": false} {
				t.Run(name+" "+how, func(t *testing.T) {
					h := quicHost(t, block, Config{})
					if tc.to.Addr() == netip.MustParseAddr("192.0.2.11") {
						if err := h.ns.AddAddr("lo", netip.MustParsePrefix("192.0.2.11/32")); err != nil {
							t.Fatal(err)
						}
					}
					err := datagram(h, h.ns, tc.family, tc.to, connected)
					if refused := errors.Is(err, unix.EPERM); refused != (block && tc.quic) || err != nil && !refused {
						t.Errorf("block %v: %v", block, err)
					}
					want := map[Verdict]uint64{QUIC: 0, QUICBlocked: 0}
					switch {
					case tc.quic && block:
						want[QUICBlocked] = 1
					case tc.quic:
						want[QUIC] = 1
					}
					for v, n := range want {
						if got := h.counted(v); got != n {
							t.Errorf("block %v: %d counted as %s, want %d", block, got, v, n)
						}
					}
				})
			}
		}
	}
}

// TestQUICCounted counts a socket once for each peer that it turns to.
func TestQUICCounted(t *testing.T) {
	h := quicHost(t, false, Config{})
	fd := h.socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	for _, to := range []string{"192.0.2.10:443", "192.0.2.10:443", "192.0.2.10:80", "192.0.2.10:443", "192.0.2.9:443", "192.0.2.9:443"} {
		if err := unix.Sendto(fd, []byte("datagram"), 0, sockaddr(netip.MustParseAddrPort(to))); err != nil && !errors.Is(err, unix.ENETUNREACH) {
			t.Fatal(err)
		}
	}
	if n := h.counted(QUIC); n != 2 {
		t.Errorf("%d counted, want one for each of two peers", n)
	}
}

// TestQUICOfOthers blocks nothing in another namespace, of another process, of
// the agent itself, while the agent takes no connections, and where it is not
// known whom it is for.
func TestQUICOfOthers(t *testing.T) {
	to := netip.AddrPortFrom(server4.Addr(), 443)
	free := func(t *testing.T, h *host, ns *netns.NS) {
		for _, connected := range []bool{true, false} {
			if err := datagram(h, ns, unix.AF_INET, to, connected); err != nil {
				t.Errorf("connected %v: %v", connected, err)
			}
		}
	}
	t.Run("another namespace", func(t *testing.T) {
		h := quicHost(t, true, Config{})
		free(t, h, newNS(t))
	})
	t.Run("another process", func(t *testing.T) {
		h := quicHost(t, true, Config{Targets: Targets{PIDs: []uint32{uint32(os.Getpid()) + 1<<21}}})
		free(t, h, h.ns)
	})
	t.Run("paused", func(t *testing.T) {
		h := quicHost(t, true, Config{})
		if err := h.i.Pause(h.ln); err != nil {
			t.Fatal(err)
		}
		free(t, h, h.ns)
		if err := h.i.Serve(h.ln, h.ns.Inode()); err != nil {
			t.Fatal(err)
		}
		if err := datagram(h, h.ns, unix.AF_INET, to, false); !errors.Is(err, unix.EPERM) {
			t.Errorf("once it goes on: %v", err)
		}
	})
	t.Run("of several names", func(t *testing.T) {
		h := quicHost(t, true, Config{Names: []NameRule{{Name: "excluded.test", Exclude: true}}})
		for _, name := range []string{"excluded.test", "other.test"} {
			if err := h.i.SetAddresses(name, []netip.Addr{to.Addr()}); err != nil {
				t.Fatal(err)
			}
		}
		free(t, h, h.ns)
		if n := h.counted(QUIC); n != 2 {
			t.Errorf("%d counted, want 2", n)
		}
	})
	t.Run("the agent's", func(t *testing.T) {
		h := quicHost(t, true, Config{})
		fd := h.socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		if err := h.i.objs.AgentSockets.Put(uint32(fd), uint64(0)); err != nil {
			t.Fatal(err)
		}
		if err := unix.Sendto(fd, []byte("datagram"), 0, sockaddr(to)); err != nil {
			t.Error(err)
		}
	})
	t.Run("ended", func(t *testing.T) {
		h := quicHost(t, true, Config{})
		if err := h.i.Stop(); err != nil {
			t.Fatal(err)
		}
		free(t, h, h.ns)
	})
}
