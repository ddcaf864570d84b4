package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// In the churn, every namespace has the same 256 destinations of each family.
const (
	churned4, churned6 = "198.18.0.0/16", "2001:db8:18::/64"
	destinations       = 256
	churnPort          = 7
)

// destination is one of them.
func destination(n int, v6 bool) netip.AddrPort {
	addr := netip.AddrFrom4([4]byte{198, 18, 1, byte(n)})
	if v6 {
		addr = netip.MustParseAddr(fmt.Sprintf("2001:db8:18::1:%x", n))
	}
	return netip.AddrPortFrom(addr, churnPort)
}

// newIdentities makes a host with all destinations, each of which answers with
// its identity: the name of the host and itself, and the port of whom it sees.
func newIdentities(t testing.TB, name string) *host {
	t.Helper()
	h := newHost(t)
	for _, args := range []string{"-4 route add local " + churned4 + " dev lo", "-6 route add local " + churned6 + " dev lo"} {
		answer(t, h, program(t, "ip", strings.Fields(args)...))
	}
	ln := h.listen(t, fmt.Sprintf("[::]:%d", churnPort))
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				fmt.Fprintln(c, name, c.LocalAddr(), c.RemoteAddr().(*net.TCPAddr).Port)
				c.Close()
			}()
		}
	}()
	return h
}

// churn connects again and again, to destinations at random and from ports that
// are the same in all namespaces: args are the name of the host, how many
// connections there are to be, and whether somebody is between the two ends.
func churn(args []string) error {
	const workers, ports, first = 8, 400, 20_000 // below those that the kernel takes
	name := args[0]
	all, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	var working sync.WaitGroup
	errs := make([]error, workers)
	for w := range workers {
		working.Go(func() {
			for n := w; n < all && errs[w] == nil; n += workers {
				to := destination(rand.IntN(destinations), n/workers%4 == 3)
				port := first + w*ports + n/workers%ports
				if err := identify(name, to, port, args[2] == "direct"); err != nil {
					errs[w] = fmt.Errorf("connection %d of %s, from %d to %v: %w", n, name, port, to, err)
				}
			}
		})
	}
	working.Wait()
	return errors.Join(errs...)
}

// identify connects from a port, and wants the right one to answer.
func identify(name string, to netip.AddrPort, port int, direct bool) error {
	d := net.Dialer{
		LocalAddr: &net.TCPAddr{Port: port}, Timeout: patience,
		Control: func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
		},
	}
	c, err := d.Dial("tcp", to.String())
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	said, err := io.ReadAll(bufio.NewReader(c))
	if err != nil {
		return err
	}
	var who, where, seen string
	if _, err := fmt.Sscan(string(said), &who, &where, &seen); err != nil {
		return fmt.Errorf("%q: %w", said, err)
	}
	switch {
	case who != name || where != to.String():
		return fmt.Errorf("it reached %s", said)
	case (seen == strconv.Itoa(port)) != direct:
		return fmt.Errorf("its peer has port %s, want one that is the same: %v", seen, direct)
	}
	return nil
}

// TestNamespacesChurn makes 100,000 connections under churn to 256 destinations
// from three namespaces, from equal ports: none reaches a wrong one, and nothing
// is left of them. A fourth namespace is not asked for.
func TestNamespacesChurn(t *testing.T) {
	needs(t, "ip")
	const all, unasked = 100_000, 2_000
	bystander := newIdentities(t, "bystander")
	cgroup := bystander.isolate(t)
	names := []string{"red", "green", "blue"}
	var hosts []*host
	args := []string{"--cgroup", cgroup, "--upstream", churned4 + "," + churned6}
	for _, name := range names {
		h := newIdentities(t, name)
		h.cgroup = bystander.cgroup
		hosts = append(hosts, h)
		args = append(args, "--netns", h.ns.Path())
	}
	a := newHost(t).run(t, args...)
	origins := a.mapNamed(t, "origins")
	before := a.load(t, origins)
	began := time.Now()
	running := make(map[string]*process)
	for i, name := range names {
		running[name] = start(t, hosts[i], role(t, "churn", name, strconv.Itoa((all+i)/len(names)), "carried"))
	}
	running["bystander"] = start(t, bystander, role(t, "churn", "bystander", strconv.Itoa(unasked), "direct"))
	limit := time.After(2 * time.Minute) // of a machine that does much else
	for name, p := range running {
		select {
		case <-p.ended:
		case <-limit:
			t.Fatalf("%s does not end", name)
		}
		if code := p.await(t); code != 0 {
			t.Errorf("%s: exit %d: %s", name, code, tail(&p.stderr))
		}
	}
	t.Logf("%d connections took %v", all, time.Since(began))
	var after load
	if !within(patience, func() bool {
		after = a.load(t, origins)
		return after.descriptors <= before.descriptors && after.origins <= before.origins
	}) {
		t.Errorf("it has %v, before %v", after, before)
	}
	s := a.stop(t)
	if s.flows != all || s.matched != all || len(s.errors) != 0 || s.cutOff != 0 {
		t.Errorf("the summary has %+v", s)
	}
	if n := s.leftAlone["other network namespaces"]; n != unasked {
		t.Errorf("%d are left alone in other network namespaces, want %d", n, unasked)
	}
}
