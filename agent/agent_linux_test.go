package agent

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/agent/sockdiag"
	"github.com/faultproxy/fault/internal/requires"
)

// TestIntercepts is the main job: an unmodified client is slowed, its bytes
// arrive, its peer is who it asked for, and the summary knows.
func TestIntercepts(t *testing.T) {
	ns := newNS(t)
	echo(t, ns)
	p := start(t, ns, settings{Upstreams: []string{"*"}, Latency: 200 * time.Millisecond})
	for range 3 {
		_, took, err := exchange(ns, strings.Repeat("to and fro ", 10000))
		if err != nil {
			t.Fatal(err)
		}
		// Only the lower bound is a promise: the machine may be slow.
		if took < 200*time.Millisecond {
			t.Errorf("the first byte took %v, want 200 ms at least", took)
		}
	}
	c, err := dial(ns)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.RemoteAddr().String(); got != server.String() {
		t.Errorf("the client sees the peer %s, want %v", got, server)
	}
	c.Close()
	h := p.held()
	p.signal(syscall.SIGTERM)
	text := p.end()
	for _, want := range []string{
		"intercepts  every new TCP connection",
		"ended after", "(signal)",
		"flows           4   4 matched, 0 passed through; 0 cut off at the end\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if n := len(regexp.MustCompile(`(?m)^\S+ agent\.test\[\d+\] -> 192\.0\.2\.10:80 matched matched_by=address latency=\d+\.\dms to_client=\d+B`).FindAllString(text, -1)); n < 3 {
		t.Errorf("%d lines of flows in\n%s", n, text)
	}
	nothingLeft(t, h)
}

// TestKilled kills the agent under a loop of connects: the one in flight may
// break, and be refused if it was held, but none that begins later, and soon
// all go direct.
func TestKilled(t *testing.T) {
	ns := newNS(t)
	echo(t, ns)
	p := start(t, ns, settings{Upstreams: []string{"*"}})
	h := p.held()
	const before = 20
	var broken int
	deadline := time.Now().Add(patience)
	for n, direct := 0, 0; direct < 20; n++ {
		if n == before {
			p.signal(syscall.SIGKILL)
		}
		late := gone(p)
		peer, _, err := exchange(ns, "text")
		switch {
		case late && errors.Is(err, unix.ECONNREFUSED):
			t.Fatal("a connect was refused")
		case err != nil && n < before:
			t.Fatalf("before the kill: %v", err)
		case err != nil:
			broken++
		case n > before && gone(p):
			direct++
		case peer == "":
			t.Fatal("no peer")
		}
		if time.Now().After(deadline) {
			t.Fatal("connections do not go direct")
		}
	}
	if broken > 1 {
		t.Errorf("%d connections of one client broke, want 1 at most", broken)
	}
	<-p.done
	_ = p.cmd.Wait()
	nothingLeft(t, h)
}

// gone says whether a process has ended, though nobody has waited for it.
func gone(p *process) bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// TestDuration is a run that ends by itself, with a flow that stays open.
func TestDuration(t *testing.T) {
	if testing.Short() {
		t.Skip("no kernel makes a difference to it")
	}
	ns := newNS(t)
	echo(t, ns)
	p := start(t, ns, settings{Upstreams: []string{"192.0.2.0/24"}, Duration: 3 * time.Second})
	h := p.held()
	c, err := dial(ns)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// It is cut off once the time to drain is over.
	if _, err := io.ReadAll(c); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("read until the end: %v, want a reset", err)
	}
	text := p.end()
	for _, want := range []string{"(duration)", "1 cut off at the end"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	nothingLeft(t, h)
}

// TestLimit has descriptors for few flows: those beyond go direct, and later
// ones come through the agent again.
func TestLimit(t *testing.T) {
	ns := newNS(t)
	echo(t, ns)
	const files = 128
	p := start(t, ns, settings{Upstreams: []string{"*"}, Files: files})
	var open []*net.TCPConn
	for range 60 {
		c, err := dial(ns)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatalf("connection %d: %v", len(open), err)
		}
	}
	for _, c := range open {
		c.Close()
	}
	deadline := time.Now().Add(patience)
	flows := regexp.MustCompile(`(?m) -> 192\.0\.2\.10:80 matched`)
	for {
		before := len(flows.FindAllString(p.output(), -1))
		if _, _, err := exchange(ns, "again"); err != nil {
			t.Fatal(err)
		}
		if before >= 20 && len(flows.FindAllString(p.output(), -1)) > before {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("connections still go direct:\n%s", p.output())
		}
	}
	p.signal(syscall.SIGTERM)
	if text := p.end(); !regexp.MustCompile(`left alone .*\d+ above the limit of flows`).MatchString(text) {
		t.Errorf("no flow beyond the limit in\n%s", text)
	}
}

// TestTargets intercepts one process only, told by its number or its name.
func TestTargets(t *testing.T) {
	requires.Root(t)
	name, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	self := strings.TrimSpace(string(name))
	other := start(t, newNS(t), settings{Upstreams: []string{"192.0.2.99"}}).cmd.Process.Pid
	for what, tc := range map[string]struct {
		settings
		says string
		hit  bool
	}{
		"pid":           {settings{Callers: []string{fmt.Sprintf("pid %d", os.Getpid())}}, "from these callers in this network namespace", true},
		"other pid":     {settings{Callers: []string{fmt.Sprintf("pid %d", other)}}, fmt.Sprintf("pid %d: 1 process now", other), false},
		"process":       {settings{Callers: []string{"process " + self}}, "process " + self + ": ", true},
		"other process": {settings{Callers: []string{"process nobody"}}, "nothing yet: waits for it", false},
		"one of two":    {settings{Callers: []string{"user 54321", "process " + self}}, "from these callers", true},
		"excluded":      {settings{Callers: []string{"exclude-process " + self}}, "from this network namespace but of these callers", false},
		"later unit":    {settings{Callers: []string{"unit fault-nobody.service"}}, "nothing yet: waits for it", false},
	} {
		if strings.HasSuffix(what, "pid") && !inInitialPIDNamespace() {
			continue // nobody here knows the number that the kernel knows us by
		}
		t.Run(what, func(t *testing.T) {
			ns := newNS(t)
			echo(t, ns)
			tc.Upstreams = []string{"*"}
			p := start(t, ns, tc.settings)
			if _, _, err := exchange(ns, "text"); err != nil {
				t.Fatal(err)
			}
			p.signal(syscall.SIGTERM)
			text := p.end()
			if hit := strings.Contains(text, " -> 192.0.2.10:80 matched"); hit != tc.hit || !strings.Contains(text, tc.says) {
				t.Errorf("want a flow: %t, and %q in\n%s", tc.hit, tc.says, text)
			}
			// Those of other namespaces may be among them.
			if !tc.hit && !regexp.MustCompile(`left alone .*\d other processes`).MatchString(text) {
				t.Errorf("what was left alone is not counted:\n%s", text)
			}
		})
	}
}

// TestNamedUpstream holds that faults are for the addresses of a name: the
// kernel gives us no names.
func TestNamedUpstream(t *testing.T) {
	ns := newNS(t)
	local := netip.MustParseAddrPort("127.0.0.1:7")
	echoAt(t, ns, local)
	p := start(t, ns, settings{Upstreams: []string{"localhost:7"}})
	c, err := dialAt(ns, local)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	c.Close()
	p.signal(syscall.SIGTERM)
	if text := p.end(); !strings.Contains(text, " -> 127.0.0.1:7 matched") {
		t.Errorf("the flow did not match:\n%s", text)
	}
}

// TestEvents holds what programs are told of a run.
func TestEvents(t *testing.T) {
	ns := newNS(t)
	echo(t, ns)
	p := start(t, ns, settings{Upstreams: []string{"*"}, Latency: 50 * time.Millisecond, JSON: true})
	for range 3 {
		if _, _, err := exchange(ns, "text"); err != nil {
			t.Fatal(err)
		}
	}
	p.signal(syscall.SIGTERM)
	all := decoded(t, p.end())
	if got := strings.Join(all.words, " "); got != "start fault flow flow flow fault summary" {
		t.Fatalf("the events are %s", got)
	}
	_, err := sockdiag.Connections()
	tells := err == nil // not all kernels do
	if s := all.start; s.Mode != "transparent" || s.PID != p.cmd.Process.Pid || s.Interception.Netns != ns.Inode() ||
		(s.OpenConnections != nil) != tells || tells && *s.OpenConnections != 0 || !strings.HasPrefix(s.Listen, "127.0.0.1:") {
		t.Errorf("it started with %+v, %+v", s, s.Interception)
	}
	for _, f := range all.flows {
		if f.Verdict != "matched" || f.EnteredBy != "intercepted" || f.Upstream.IP != "192.0.2.10" || f.Upstream.Port != 80 ||
			f.Error != "" || *f.ToServerBytes != 4 || f.Process.Name == "" || len(f.Faults) != 1 {
			t.Errorf("a flow is %+v", f)
			continue
		}
		if in := f.Faults[0]; in.ID != "latency" || in.Link != "to-client" || *in.DelayMS < 50 || in.DrawnMS[0] != 50 {
			t.Errorf("its latency is %+v", in)
		}
	}
	sum := all.summary
	if sum.Flows.Met != 3 || sum.Flows.Matched != 3 || sum.Flows.Passed != 0 || sum.Flows.Errors != 0 || sum.Flows.LeftAlone == nil ||
		sum.Reason != "signal" || sum.ToServerBytes != 12 || *sum.Faults[0].Injected.N != 6 || *sum.Faults[0].Asked.P50MS != 50 {
		t.Errorf("the summary is %+v, %+v", sum, sum.Faults)
	}
}

// TestTwoAgents run in one namespace, and each is meant for everything: a
// connection goes through one of them, once.
func TestTwoAgents(t *testing.T) {
	ns := newNS(t)
	echo(t, ns)
	agents := []*process{start(t, ns, settings{Upstreams: []string{"*"}}), start(t, ns, settings{Upstreams: []string{"*"}})}
	for range 5 {
		if _, _, err := exchange(ns, "once"); err != nil {
			t.Fatal(err)
		}
	}
	flows := 0
	for _, p := range agents {
		p.signal(syscall.SIGTERM)
		flows += strings.Count(p.end(), " -> 192.0.2.10:80 matched")
	}
	if flows != 5 {
		t.Errorf("%d flows, want 5", flows)
	}
}

// held is the ids of the programs and links that a process holds.
type held struct{ programs, links []uint32 }

func (p *process) held() held {
	p.t.Helper()
	var h held
	dir := fmt.Sprintf("/proc/%d/fdinfo", p.cmd.Process.Pid)
	files, err := os.ReadDir(dir)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		for line := range strings.Lines(string(text)) {
			var id uint32
			if _, err := fmt.Sscanf(line, "link_id:\t%d", &id); err == nil {
				h.links = append(h.links, id)
			}
			if _, err := fmt.Sscanf(line, "prog_id:\t%d", &id); err == nil {
				h.programs = append(h.programs, id)
			}
		}
	}
	if len(h.programs) < 7 || len(h.links) != 7 {
		p.t.Errorf("the agent holds %+v", h)
	}
	return h
}

// nothingLeft wants the kernel to have none of what an agent held.
func nothingLeft(t *testing.T, h held) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		var left []string
		for _, id := range h.links {
			if l, err := link.NewFromID(link.ID(id)); err == nil {
				l.Close()
				left = append(left, fmt.Sprintf("link %d", id))
			}
		}
		for _, id := range h.programs {
			if p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id)); err == nil {
				p.Close()
				left = append(left, fmt.Sprintf("program %d", id))
			}
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still in the kernel: %v", left)
		}
	}
}
