package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/faultproxy/fault/agent/control"
	"github.com/faultproxy/fault/netns"
)

// newNamed makes a client whose namespace has a name of `ip netns`, and lasts
// until forget is called.
func newNamed(t *testing.T, server *host, name string) (h *host, forget func()) {
	t.Helper()
	answer(t, nil, program(t, "ip", "netns", "add", name))
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
	answer(t, nil, program(t, "ip", "-n", name, "link", "set", "lo", "up"))
	ns, err := netns.Open("/run/netns/" + name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	h = &host{ns: ns}
	h.join(t, server)
	return h, func() {
		answer(t, nil, program(t, "ip", "netns", "del", name))
		if err := ns.Close(); err != nil {
			t.Error(err)
		}
	}
}

// devices are the names of a host's network devices.
func (h *host) devices(t *testing.T) (names []string) {
	t.Helper()
	err := h.ns.Do(func() error {
		all, err := net.Interfaces()
		for _, d := range all {
			names = append(names, d.Name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestNamespaces intercepts in namespaces that are called what they can be, but
// not in others. Then one goes, and the part of the others goes on.
func TestNamespaces(t *testing.T) {
	needs(t, "ip", "sleep")
	server := newServer(t)
	echoes := []string{server.serveEcho(t, "192.0.2.10:0"), server.serveEcho(t, "[2001:db8::10]:0")}
	ours := newClient(t, server)
	cgroup := ours.isolate(t)
	names := []string{fmt.Sprintf("fault-red-%d", os.Getpid()), fmt.Sprintf("fault-blue-%d", os.Getpid())}
	red, forget := newNamed(t, server, names[0])
	blue, _ := newNamed(t, server, names[1])
	green, unasked := newClient(t, server), newClient(t, server)
	all := []*host{ours, red, blue, green, unasked}
	for _, h := range all {
		h.cgroup = ours.cgroup
	}
	inGreen := start(t, green, program(t, "sleep", "600"))
	path, events := eventsFile(t)
	a := ours.run(t, events, "--cgroup", cgroup, "--with-latency", "--latency-mean", "100", "--upstream", "*",
		"--netns", names[0]+",self", "--netns", "/run/netns/"+names[1], "--netns", strconv.Itoa(inGreen.Process.Pid), "--netns", names[0])
	slowed := func(h *host, want bool) {
		t.Helper()
		for _, address := range echoes {
			met := (visitor{network: "tcp", address: address}).visit(t, h)
			if met.direct == want || want && met.ms < 100 || met.peer != address {
				t.Errorf("%+v of %s, slowed: want %v", met, address, want)
			}
		}
	}
	for _, h := range all {
		slowed(h, h != unasked)
		for _, closed := range []string{"192.0.2.10:9", "[2001:db8::10]:9"} {
			_, stderr, code := finish(t, h, (visitor{network: "tcp", address: closed}).command(t))
			if code != 1 || !strings.Contains(stderr, "connect: connection refused") {
				t.Errorf("a visit to %s ends with %d, %s", closed, code, stderr)
			}
		}
	}
	begun := awaitStart(t, path).Interception
	var called []string
	for _, n := range begun.Namespaces {
		called = append(called, n.Name)
	}
	want := []string{names[0], "self", "/run/netns/" + names[1], strconv.Itoa(inGreen.Process.Pid)}
	if !slices.Equal(called, want) || begun.Netns != ours.ns.Inode() || begun.Namespaces[0].Netns != red.ns.Inode() {
		t.Errorf("it intercepts in %+v, want %v", begun, want)
	}
	flows := make(map[uint64]int)
	for _, f := range readEvents(t, path).flows {
		flows[f.Process.Netns]++
	}
	for _, h := range all[:4] {
		if n := flows[h.ns.Inode()]; n != 2*len(echoes) {
			t.Errorf("%d flows of namespace %d, want %d", n, h.ns.Inode(), 2*len(echoes))
		}
	}

	// Its name goes, and it lasts as long as a process is in it.
	inRed, inBlue := red.connects(t, echoes[0], 4), blue.connects(t, echoes[1], 4)
	cables := len(server.devices(t))
	forget()
	inRed.awaitMore(t, 4)
	inBlue.awaitMore(t, 4)
	if n := len(readEvents(t, path).warnings); n != 0 {
		t.Errorf("%d warnings although a process is there", n)
	}
	for _, made := range inRed.finish(t) {
		if made.direct || made.err != "" {
			t.Errorf("where the name has gone: %+v", made)
		}
	}
	eventually(t, "the namespace has gone", func() bool { return len(server.devices(t)) == cables-1 })
	eventually(t, "it is told", func() bool { return len(readEvents(t, path).warnings) > 0 })
	inBlue.awaitMore(t, 4)
	for _, made := range inBlue.finish(t) {
		if made.direct || made.err != "" {
			t.Errorf("beside one that has gone: %+v", made)
		}
	}
	for _, h := range []*host{ours, blue, green} {
		slowed(h, true)
	}
	told := "the network namespace " + names[0] + " has gone: the run goes on without it"
	if all := readEvents(t, path).warnings; len(all) != 1 || all[0].Code != "netns-gone" || all[0].Text != told {
		t.Errorf("the warnings are %+v", all)
	}
	if text := a.stderr.String(); text != "warning: "+told+"\n" {
		t.Errorf("standard error: %s", text)
	}
	a.signal(t, syscall.SIGTERM)
	a.endsWithin(t, patience, 0)
	last := readEvents(t, path).summaries[0]
	if last.LeftAlone["other-netns"] != uint64(2*len(echoes)) || last.Flows.Errors != uint64(4*len(echoes)) || last.Errors["refused"] != last.Flows.Errors {
		t.Errorf("the summary is %+v", last)
	}
}

// TestNamespaceStrangers are those who speak to the listener of a namespace: they
// get nothing that is outside of it.
func TestNamespaceStrangers(t *testing.T) {
	needs(t, "curl")
	ours, other := newHost(t), newHost(t)
	secret := ours.servePage(t, "127.0.0.1:0")
	a := ours.run(t, "--upstream", "*", "--cgroup", ours.isolate(t), "--netns", other.ns.Path())
	if got := answer(t, ours, program(t, "curl", "-sS", "-x", "http://"+a.proxy, secret)); got != page {
		t.Errorf("a client of the proxy gets %q", got)
	}
	got, stderr, code := finish(t, other, program(t, "curl", "-sS", "--max-time", "20", "-x", "http://"+a.proxy, secret))
	// A reset is a failed connect if it comes that early, or else one of its own.
	if got != "" || code != 7 && code != 56 {
		t.Errorf("a stranger's curl ends with %d: %s%s", code, got, stderr)
	}
}

// TestNamespaceExisting resets what is open in a namespace that is asked for.
func TestNamespaceExisting(t *testing.T) {
	needs(t, "bash")
	server := newServer(t)
	echo, err := netip.ParseAddrPort(server.serveEcho(t, "192.0.2.10:0"))
	if err != nil {
		t.Fatal(err)
	}
	asked, unasked, ours := newClient(t, server), newClient(t, server), newClient(t, server)
	cgroup := asked.isolate(t)
	var holders []*process
	for _, h := range []*host{asked, unasked, ours} {
		h.cgroup = asked.cgroup
		p := start(t, h, program(t, "bash", "-c", fmt.Sprintf(
			"exec 3<>/dev/tcp/%v/%d; read -r line <&3; echo open; read -r line <&3; echo closed", echo.Addr(), echo.Port())))
		p.says(t, "open\n")
		holders = append(holders, p)
	}
	path, events := eventsFile(t)
	a := ours.run(t, events, "--cgroup", cgroup, "--upstream", "*", "--reset-existing", "--netns", asked.ns.Path())
	holders[0].says(t, "closed\n")
	for _, p := range holders[1:] {
		if !p.running() {
			t.Error("a connection was reset that is in another namespace")
		}
	}
	if begun := awaitStart(t, path); *begun.ResetConnections != 1 || *begun.OpenConnections != 0 {
		t.Errorf("%d are reset, and %d are open", *begun.ResetConnections, *begun.OpenConnections)
	}
	var status control.Status
	if err := json.Unmarshal([]byte(answer(t, ours, fault("status", "--json"))), &status); err != nil || !slices.Equal(status.Netns, []string{asked.ns.Path()}) {
		t.Errorf("its status is %+v, %v", status, err)
	}
	a.stop(t)
}

// TestNamespaceErrors are namespaces in which an agent cannot be.
func TestNamespaceErrors(t *testing.T) {
	needs(t, "ip", "setcap")
	down := fmt.Sprintf("fault-down-%d", os.Getpid())
	answer(t, nil, program(t, "ip", "netns", "add", down))
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", down).Run() })
	ours, busy, own := newHost(t), newHost(t), newHost(t)
	busy.listen(t, "127.0.0.1:3180")
	gateway := netip.MustParsePrefix("192.0.2.1/32")
	if err := own.ns.AddAddr("lo", gateway); err != nil {
		t.Fatal(err)
	}
	nobody := credential(t, "nobody")
	cgroup := ours.isolate(t)
	for name, tc := range map[string]struct {
		args  []string
		as    *syscall.Credential
		names []string
		code  int
	}{
		"loopback is down": {args: []string{"--netns", down}, names: []string{"--netns", down, "loopback", "down"}, code: 1},
		"port taken":       {args: []string{"--netns", busy.ns.Path()}, names: []string{"127.0.0.1:3180", busy.ns.Path(), "in use by e2e.test["}, code: 1},
		"address of one": {args: []string{"--netns", "self," + ours.ns.Path(), "--proxy-address", "192.0.2.1:3180"},
			names: []string{"--proxy-address", "192.0.2.1:3180", "--netns"}, code: 2},
		"no privilege": {args: []string{"--netns", down}, as: nobody, names: []string{"--netns", down, "cap_sys_admin"}, code: 1},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := fault(append([]string{"run", "--upstream", "*", "--cgroup", cgroup}, tc.args...)...)
			if tc.as != nil {
				cmd.Path = withCapabilities(t, intercepting)
				cmd = as(tc.as, cmd)
			}
			p := start(t, own, cmd)
			p.endsWithin(t, patience, tc.code)
			complains(t, p, tc.names...)
		})
	}
	// What the proxy has need not be there where it does not intercept.
	a := own.run(t, "--upstream", "*", "--cgroup", cgroup, "--netns", ours.ns.Path(), "--proxy-address", "192.0.2.1:0")
	a.stop(t)
	// Of many free ports one is free in all.
	own.run(t, "--upstream", "*", "--cgroup", cgroup, "--netns", "self,"+busy.ns.Path(), "--proxy-address", "127.0.0.1:0").stop(t)
}

// TestNamespaceUnprivileged has capabilities until it is in the namespaces, and
// none after that.
func TestNamespaceUnprivileged(t *testing.T) {
	needs(t, "ip", "setcap")
	nobody := credential(t, "nobody")
	server := newServer(t)
	echo := server.serveEcho(t, "192.0.2.10:0")
	name := fmt.Sprintf("fault-nobody-%d", os.Getpid())
	h, _ := newNamed(t, server, name)
	cmd := as(nobody, fault("run", "--upstream", "*", "--cgroup", h.isolate(t), "--netns", name))
	cmd.Path = withCapabilities(t, strings.Replace(intercepting, "+ep", ",cap_sys_admin+ep", 1))
	a := newHost(t).runs(t, cmd)
	a.hasNoCapability(t)
	for range 3 {
		if met := (visitor{network: "tcp", address: echo}).visit(t, h); met.direct || met.peer != echo {
			t.Errorf("%+v", met)
		}
	}
	if s := a.stop(t); s.matched != 3 || len(s.errors) != 0 {
		t.Errorf("the summary has %+v", s)
	}
}
