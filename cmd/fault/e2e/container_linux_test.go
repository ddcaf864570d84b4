package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/faultproxy/fault/agent/event"
)

// container is one of runc's, with the host's programs, that connects as it is
// told: by a shell that reads addresses.
type container struct {
	*conversation
	name string
}

// container starts one, in the network namespace of the client.
func (c *callers) container(name string) *container {
	c.t.Helper()
	return c.containerOn(c.h, name)
}

// containerOn starts one, whose network is a host's.
func (c *callers) containerOn(h *host, name string) *container {
	c.t.Helper()
	bundle := sharedDir(c.t)
	root := filepath.Join(bundle, "rootfs")
	mounts := []map[string]any{{"destination": "/proc", "type": "proc", "source": "proc"}}
	for _, folder := range []string{"/usr", "/bin", "/lib", "/lib64", "/etc"} {
		if to, err := os.Readlink(folder); err == nil { // to what is in /usr
			if err := os.MkdirAll(root, 0o755); err != nil {
				c.t.Fatal(err)
			}
			if err := os.Symlink(to, root+folder); err != nil {
				c.t.Fatal(err)
			}
			continue
		}
		mounts = append(mounts, map[string]any{"destination": folder, "type": "bind", "source": folder, "options": []string{"rbind", "ro"}})
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		c.t.Fatal(err)
	}
	config, err := json.Marshal(map[string]any{
		"ociVersion": "1.0.2",
		"root":       map[string]any{"path": "rootfs"},
		"mounts":     mounts,
		"process": map[string]any{
			"user": map[string]any{"uid": 0, "gid": 0}, "cwd": "/", "env": cleanEnvironment(),
			"args": []string{"sh", "-c", "echo ready; while read address; do set -- $address; " + curlSees + "; done"},
		},
		"linux": map[string]any{"namespaces": []map[string]string{
			{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}, {"type": "network", "path": h.ns.Path()}}},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	writeFile(c.t, filepath.Join(bundle, "config.json"), string(config))
	c.t.Cleanup(func() { finish(c.t, nil, program(c.t, "runc", "delete", "--force", name)) })
	box := &container{converse(c.t, c.h, program(c.t, "runc", "run", "--bundle", bundle, name)), name}
	select {
	case line := <-box.lines:
		if line == "ready" {
			return box
		}
		c.t.Fatalf("%s says %q\n%s", name, line, tail(&box.stderr))
	case <-time.After(patience):
		c.t.Fatalf("%s does not start", name)
	}
	return nil
}

// sees is how its connections go, of each family.
func (b *container) sees(c *callers) string {
	c.t.Helper()
	var all []string
	for _, address := range c.addresses {
		all = append(all, b.seesOf(c.t, address))
	}
	return both(c.t, all)
}

func (b *container) seesOf(t *testing.T, address string) string {
	t.Helper()
	said, err := b.ask(address)
	if err != nil {
		t.Fatal(err)
	}
	return seen(t, said+" "+<-b.lines)
}

// TestCallerContainer selects a container by its name, which may start later, and
// affects it, and not its neighbour.
func TestCallerContainer(t *testing.T) {
	needs(t, "runc")
	c := newCallers(t)
	name := func(what string) string { return fmt.Sprintf("fault-e2e-%d-%s", os.Getpid(), what) }
	now, later, neighbour := name("now"), name("later"), name("neighbour")
	boxes := map[string]*container{now: c.container(now), neighbour: c.container(neighbour)}
	a, found := c.run("--container", now+","+later)
	for i, want := range []event.Caller{{Kind: "container", Value: now, Present: true}, {Kind: "container", Value: later}} {
		if got := found[i]; got.Kind != want.Kind || got.Value != want.Value || got.Present != want.Present || (*got.Processes > 0) != want.Present {
			t.Errorf("found %+v, want %+v", got, want)
		}
	}
	a.says(t, "container "+later+": nothing yet: waits for it\n")
	boxes[later] = c.container(later)
	diverted := 0
	// An engine says a little later than its container starts where that is.
	eventually(t, "the later one is affected", func() bool { return boxes[later].seesOf(t, c.addresses[0]) == "diverted" })
	diverted++
	for name, box := range boxes {
		want := "diverted"
		if name == neighbour {
			want = "direct"
		}
		if got := box.sees(c); got != want {
			t.Errorf("%s: %s, want %s", strings.TrimPrefix(name, "fault-e2e-"), got, want)
		}
		if want == "diverted" {
			diverted += len(c.addresses)
		}
	}
	if got := c.curl(); got != "direct" {
		t.Errorf("outside: %s", got)
	}
	c.checked(a, diverted)
}

// TestCallerContainerNetwork selects containers that have network namespaces of their
// own, which are intercepted then, and not their neighbours, in those or others. One
// comes later, one is started again, and one cannot be reached at first.
func TestCallerContainerNetwork(t *testing.T) {
	needs(t, "runc", "ip")
	c := newCallers(t)
	beside := func() *host { return newClient(t, c.server) }
	name := func(what string) string { return fmt.Sprintf("fault-e2e-%d-net-%s", os.Getpid(), what) }
	own, others, last := beside(), beside(), beside()
	web := c.containerOn(own, name("web"))
	neighbours := map[string]*container{
		"a neighbour": c.containerOn(others, name("db")), "one that shares its network": c.containerOn(own, name("sidecar")),
	}
	later, closed := name("later"), name("closed")
	path, events := eventsFile(t)
	a := c.h.run(t, "--with-latency", "--latency-mean", "50", "--upstream", "192.0.2.10,2001:db8::10", events, "--container", web.name+","+later+","+closed)
	begun := awaitStart(t, path).Interception
	want := []event.Namespace{{Name: "self", Netns: c.h.ns.Inode()}, {Name: "container " + web.name, Netns: own.ns.Inode()}}
	if !slices.Equal(begun.Namespaces, want) {
		t.Errorf("it intercepts in %+v, want %+v", begun.Namespaces, want)
	}
	a.says(t, "container "+later+": nothing yet: waits for it\n")
	var told []string
	tells := func(code, text string) {
		t.Helper()
		told = append(told, text)
		eventually(t, text, func() bool { return len(readEvents(t, path).warnings) >= len(told) })
		if all := readEvents(t, path).warnings; len(all) != len(told) || all[len(all)-1].Code != code || all[len(all)-1].Text != text {
			t.Errorf("the warnings are %+v", all)
		}
	}
	matched := 0
	affects := func(what string, box *container) {
		t.Helper()
		if got := box.sees(c); got != "diverted" {
			t.Errorf("%s: %s", what, got)
		}
		matched += len(c.addresses)
	}
	affects("the container", web)
	boxLater := c.containerOn(others, later)
	tells("netns-joined", "the network namespace of container "+later+" is intercepted from now on")
	affects("a later one", boxLater)
	for what, box := range neighbours {
		if got := box.sees(c); got != "direct" {
			t.Errorf("%s: %s", what, got)
		}
	}
	if got := c.curlAt(own); got != "direct" {
		t.Errorf("a program in its network: %s", got)
	}

	answer(t, nil, program(t, "runc", "delete", "--force", web.name))
	web.await(t)
	again := c.containerOn(last, web.name)
	tells("netns-joined", "the network namespace of container "+web.name+" is intercepted from now on")
	affects("one that was started again", again)

	without := beside()
	answer(t, without, program(t, "ip", "link", "set", "lo", "down"))
	boxClosed := c.containerOn(without, closed)
	tells("container-netns", "container "+closed+" has a network namespace that is not one of this run, and its connections are left alone: its loopback device is down, and connections could not get to us")
	if got := boxClosed.sees(c); got != "direct" {
		t.Errorf("one without a loopback device: %s", got)
	}
	answer(t, without, program(t, "ip", "link", "set", "lo", "up"))
	tells("netns-joined", "the network namespace of container "+closed+" is intercepted from now on")
	affects("one with a loopback device", boxClosed)

	a.signal(t, syscall.SIGTERM)
	a.endsWithin(t, patience, 0)
	for _, text := range told {
		if said := a.stderr.String(); !strings.Contains(said, "warning: "+text+"\n") {
			t.Errorf("standard error: %s", said)
		}
	}
	if s := readEvents(t, path).summary(t); s.Flows.Matched != uint64(matched) || s.Flows.Passed != 0 || s.LeftAlone["other-netns"] != uint64(len(c.addresses)) {
		t.Errorf("the summary is %+v, want %d matched", s, matched)
	}
}

// TestCallerContainerUnseen has an agent that may not look at the container: it
// tells so, and goes on, as the network may be its own.
func TestCallerContainerUnseen(t *testing.T) {
	needs(t, "runc", "setcap")
	c := newCallers(t)
	box := c.container(fmt.Sprintf("%064x", os.Getpid())) // what runc knows of names others may not see
	cmd := as(credential(t, "nobody"), fault("run", "--upstream", "192.0.2.10,2001:db8::10", "--container", box.name))
	cmd.Path = withCapabilities(t, intercepting)
	a := c.h.runs(t, cmd)
	if got := box.sees(c); got != "diverted" {
		t.Errorf("%s", got)
	}
	a.signal(t, syscall.SIGTERM)
	a.endsWithin(t, patience, 0)
	if text := a.stderr.String(); !strings.Contains(text, ": its network namespace may not be looked at, which takes cap_sys_ptrace") {
		t.Errorf("standard error: %s", text)
	}
}
