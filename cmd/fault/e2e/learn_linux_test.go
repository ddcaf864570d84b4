package e2e

import (
	"fmt"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// resolve looks a name up as other programs do, and connects, some times.
const resolve = `
import socket, sys
for _ in range(int(sys.argv[3])):
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), 20) as s:
        print(s.getpeername()[0])
`

// TestNamesLearnt has a name below a domain get another address with each
// answer, of which the run knows none before.
func TestNamesLearnt(t *testing.T) {
	needs(t, "unshare", "mount", "python3")
	t.Parallel()
	const addresses, connects, port = 5, 20, "7000"
	server := newServer(t)
	h := newClient(t, server)
	for n := range addresses {
		h.serveEcho(t, fmt.Sprintf("127.0.1.%d:%s", n+1, port))
		h.serveEcho(t, fmt.Sprintf("127.0.2.%d:%s", n+1, port))
	}
	var asked atomic.Uint32
	h.serveNames(t, "127.0.0.1:53", func(name string) []netip.Addr {
		n := byte(asked.Add(1)%addresses) + 1
		if strings.HasSuffix(name, ".wild.test.") && name != "not.wild.test." {
			return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 1, n})}
		}
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 2, n})}
	})
	resolving := h.resolving(t, "")
	a := h.runs(t, resolving(fault("run", "--upstream", "*.wild.test:"+port+",!not.wild.test")))
	for _, name := range []string{"some.wild.test", "Other.WILD.test", "not.wild.test", "else.test"} {
		peers := answer(t, h, resolving(program(t, "python3", "-c", resolve, name, port, fmt.Sprint(connects))))
		seen := make(map[string]bool)
		for peer := range strings.FieldsSeq(peers) {
			seen[peer] = true
		}
		if len(seen) < 2 {
			t.Errorf("%s has rotated among %v", name, seen)
		}
	}
	if s := a.stop(t); s.matched != 2*connects || s.passed != 0 || s.leftAlone["excluded"] == 0 {
		t.Errorf("the summary has %+v, want %d matched", s, 2*connects)
	}
}

// serveNames is a DNS server that knows addresses for every name.
func (h *host) serveNames(t *testing.T, address string, find func(name string) []netip.Addr) {
	t.Helper()
	c := h.listenUDP(t, address)
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return // closed with the test
			}
			if reply := respond(buf[:n], find); reply != nil {
				_, _ = c.WriteTo(reply, from)
			}
		}
	}()
}

func respond(query []byte, find func(name string) []netip.Addr) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	reply := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
	head := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class}
	for _, a := range find(strings.ToLower(q.Name.String())) {
		switch {
		case q.Type == dnsmessage.TypeA && a.Is4():
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: a.As4()}})
		case q.Type == dnsmessage.TypeAAAA && a.Is6():
			reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	packed, err := reply.Pack()
	if err != nil {
		return nil
	}
	return packed
}

// resolving gives commands an /etc/hosts of their own, and the server that a test
// has at 127.0.0.1.
func (h *host) resolving(t *testing.T, hosts string) func(*exec.Cmd) *exec.Cmd {
	t.Helper()
	dir := sharedDir(t)
	writeFile(t, filepath.Join(dir, "resolv.conf"), "nameserver 127.0.0.1\n")
	writeFile(t, filepath.Join(dir, "hosts"), hosts)
	const bind = `mount --bind "$0/resolv.conf" /etc/resolv.conf && mount --bind "$0/hosts" /etc/hosts && exec "$@"`
	return func(cmd *exec.Cmd) *exec.Cmd {
		wrapped := program(t, "unshare", append([]string{"--mount", "--", "sh", "-c", bind, dir}, cmd.Args...)...)
		wrapped.Args[len(wrapped.Args)-len(cmd.Args)] = cmd.Path
		wrapped.Env = cmd.Env
		return wrapped
	}
}
