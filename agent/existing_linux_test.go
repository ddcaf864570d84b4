package agent

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/agent/sockdiag"
	"github.com/faultproxy/fault/internal/requires"
	"github.com/faultproxy/fault/netns"
)

// open makes a connection of a network, which may be "mapped": IPv4 through an
// IPv6 socket.
func open(t *testing.T, ns *netns.NS, network string, at netip.AddrPort) net.Conn {
	t.Helper()
	var c net.Conn
	err := ns.Do(func() (err error) {
		if network != "mapped" {
			c, err = net.DialTimeout(network, at.String(), patience)
			return err
		}
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		f := os.NewFile(uintptr(fd), network)
		defer f.Close()
		if err := unix.Connect(fd, &unix.SockaddrInet6{Port: int(at.Port()), Addr: netip.AddrFrom16(at.Addr().As16()).As16()}); err != nil {
			return err
		}
		c, err = net.FileConn(f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	greeted(t, c)
	return c
}

// greeted reads the line by which a server begins.
func greeted(t *testing.T, c net.Conn) {
	t.Helper()
	for b := make([]byte, 1); b[0] != '\n'; {
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatal(err)
		}
	}
}

// echoes says why a connection does not carry bytes; nil if it does.
func echoes(c net.Conn) error {
	if _, err := io.WriteString(c, "text"); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 4))
	return err
}

// needsSockdiag wants a kernel that tells about connections. Those of guests
// have it as a module, and guests have no modules.
func needsSockdiag(t *testing.T) {
	t.Helper()
	_, err := sockdiag.Connections()
	if errors.Is(err, unix.ENOENT) {
		t.Skipf("this kernel does not tell about connections: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestExisting has connections of each kind open before a run. Those that match
// and that were opened here are counted; with ResetExisting they are reset, and
// no other is.
func TestExisting(t *testing.T) {
	requires.Root(t)
	needsSockdiag(t)
	server6, loopback := netip.MustParseAddrPort("[2001:db8::10]:80"), netip.MustParseAddrPort("127.0.0.1:7")
	excluded, gone := netip.MustParseAddrPort("192.0.2.10:81"), netip.MustParseAddrPort("192.0.2.10:82")
	for _, reset := range []bool{false, true} {
		t.Run(fmt.Sprint(reset), func(t *testing.T) {
			ns, other := newNS(t), newNS(t)
			for _, one := range []*netns.NS{ns, other} {
				if err := one.AddAddr("lo", netip.PrefixFrom(server6.Addr(), 128)); err != nil {
					t.Fatal(err)
				}
				for _, at := range []netip.AddrPort{server, server6, loopback, excluded} {
					echoAt(t, one, at)
				}
			}
			closed := echoAt(t, ns, gone)
			match := map[string]net.Conn{
				"IPv4":        open(t, ns, "tcp4", server),
				"IPv6":        open(t, ns, "tcp6", server6),
				"mapped":      open(t, ns, "mapped", server),
				"no listener": open(t, ns, "tcp4", gone),
			}
			closed.Close()
			stay := map[string]net.Conn{
				"loopback":             open(t, ns, "tcp4", loopback),
				"an excluded one":      open(t, ns, "tcp4", excluded),
				"in another namespace": open(t, other, "tcp4", server),
			}
			p := start(t, ns, settings{Upstreams: []string{"*", "!192.0.2.10:81"}, JSON: true, ResetExisting: reset})
			for name, c := range stay {
				if err := echoes(c); err != nil {
					t.Errorf("%s is affected: %v", name, err)
				}
			}
			for name, c := range match {
				if err := echoes(c); !reset && err != nil || reset && !errors.Is(err, unix.ECONNABORTED) {
					t.Errorf("%s: %v, reset %v", name, err, reset)
				}
			}
			if _, _, err := exchange(ns, "anew"); err != nil {
				t.Error(err)
			}
			p.signal(syscall.SIGTERM)
			all := decoded(t, p.end())
			begun, sum := all.start, all.summary
			if sum.Flows.Matched != 1 {
				t.Errorf("%d flows matched, want the new one", sum.Flows.Matched)
			}
			if reset {
				if *begun.OpenConnections != 0 || *begun.ResetConnections != 4 || *sum.OpenConnections != 0 || *sum.ResetConnections != 4 {
					t.Errorf("said %+v, %+v", begun, sum)
				}
				return
			}
			if *begun.OpenConnections != 4 || begun.ResetConnections != nil || *sum.OpenConnections != 4 || len(begun.OpenBy) != 3 {
				t.Fatalf("said %+v, %+v", begun, sum)
			}
			if first := begun.OpenBy[0]; first.N != 2 || first.Upstream != server.String() || first.Process.PID != os.Getpid() || first.Process.Name == "" {
				t.Errorf("the largest group is %+v, %+v", first, first.Process)
			}
		})
	}
}

// TestExistingOfTargets resets only what the process that is meant has alone.
func TestExistingOfTargets(t *testing.T) {
	requires.Root(t)
	needsSockdiag(t)
	if !inInitialPIDNamespace() {
		t.Skip("nobody here knows the number that the kernel knows us by")
	}
	other := start(t, newNS(t), settings{Upstreams: []string{"192.0.2.99"}}).cmd.Process.Pid
	for name, tc := range map[string]struct {
		settings
		open, reset int
	}{
		"ours":        {settings{Callers: []string{fmt.Sprintf("pid %d", os.Getpid())}}, 0, 1},
		"not ours":    {settings{Callers: []string{fmt.Sprintf("pid %d", other)}}, 0, 0},
		"not by name": {settings{Callers: []string{"process nobody"}}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			ns := newNS(t)
			echo(t, ns)
			c := open(t, ns, "tcp4", server)
			tc.Upstreams, tc.JSON, tc.ResetExisting = []string{"*"}, true, true
			p := start(t, ns, tc.settings)
			if err := echoes(c); (tc.reset == 1) != errors.Is(err, unix.ECONNABORTED) {
				t.Error(err)
			}
			p.signal(syscall.SIGTERM)
			if begun := decoded(t, p.end()).start; *begun.OpenConnections != tc.open || *begun.ResetConnections != tc.reset {
				t.Errorf("%d open, %d reset", *begun.OpenConnections, *begun.ResetConnections)
			}
		})
	}
}

// TestExistingInDoubt leaves a connection that another process has, too, one of
// another agent, and one of which bytes are on their way.
func TestExistingInDoubt(t *testing.T) {
	requires.Root(t)
	needsSockdiag(t)
	ns := newNS(t)
	echo(t, ns)
	agent := start(t, ns, settings{Upstreams: []string{server.String()}})
	through := open(t, ns, "tcp4", server)
	quiet, err := ns.Listen(t.Context(), "tcp4", "192.0.2.10:83", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer quiet.Close()
	var busy net.Conn
	if err := ns.Do(func() (err error) { busy, err = net.Dial("tcp4", quiet.Addr().String()); return err }); err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	_ = busy.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	for err = nil; err == nil; _, err = busy.Write(make([]byte, 1<<20)) {
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	p := start(t, ns, settings{Upstreams: []string{"*"}, ResetExisting: true})
	if err := echoes(through); err != nil {
		t.Errorf("a flow of another agent: %v", err)
	}
	text := p.output()
	for _, want := range []string{
		`(?m)^  reset +0 connections that were open`, `(?m)^ +not 1 of which it is not certain`,
		`(?m)^  untouched +1 connections that are already open`, `(?m)^ +1 of agent\.test\[\d+\] to 192\.0\.2\.10:83$`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	for _, one := range []*process{p, agent} {
		one.signal(syscall.SIGTERM)
		one.end()
	}
	if strings.Contains(text, "error") {
		t.Error(text)
	}
}

func TestIsShared(t *testing.T) {
	hosts := hostsOf(upstreamsOf(t, "api.test", "not.test"), strings.NewReader(
		"10.0.0.1 api.test\n10.0.0.2 api.test\n10.0.0.2 www.test\n10.0.0.2 not.test\n127.0.0.1 localhost\n127.0.0.1 www.test\n"))
	for _, tc := range []struct {
		upstreams, to string
		want          bool
	}{
		{"api.test", "10.0.0.1:80", false},
		{"api.test", "10.0.0.2:80", true},
		{"*.test", "10.0.0.2:80", false},
		{"*.test,!not.test", "10.0.0.2:80", true},
		{"*", "10.0.0.2:80", false},
		{"10.0.0.0/8", "10.0.0.2:80", false},
		{"10.0.0.0/8,!not.test", "10.0.0.2:80", true},
		{"localhost:80", "127.0.0.1:80", false},
	} {
		if got := isShared(upstreamsOf(t, tc.upstreams), hosts, netip.MustParseAddrPort(tc.to)); got != tc.want {
			t.Errorf("%s has %s shared: %v", tc.upstreams, tc.to, got)
		}
	}
}
