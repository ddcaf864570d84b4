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
	a.says(t, "container "+later+": nothing yet: waits for it, if it has no network namespace of its own\n")
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

// TestCallerContainerNetwork selects a container that has a network namespace of
// its own, which is intercepted then, and not its neighbour, in that or another.
// Of one that comes later it is told that it is left alone.
func TestCallerContainerNetwork(t *testing.T) {
	needs(t, "runc")
	c := newCallers(t)
	beside := func() *host { return newClient(t, c.server) }
	name := func(what string) string { return fmt.Sprintf("fault-e2e-%d-net-%s", os.Getpid(), what) }
	own, others := beside(), beside()
	web := c.containerOn(own, name("web"))
	neighbours := map[string]*container{
		"a neighbour": c.containerOn(others, name("db")), "one that shares its network": c.containerOn(own, name("sidecar")),
	}
	later := name("later")
	path, events := eventsFile(t)
	a := c.h.run(t, "--with-latency", "--latency-mean", "50", "--upstream", "192.0.2.10,2001:db8::10", events, "--container", web.name+","+later)
	begun := awaitStart(t, path).Interception
	want := []event.Namespace{{Name: "self", Netns: c.h.ns.Inode()}, {Name: "container " + web.name, Netns: own.ns.Inode()}}
	if !slices.Equal(begun.Namespaces, want) {
		t.Errorf("it intercepts in %+v, want %+v", begun.Namespaces, want)
	}
	a.says(t, "container "+later+": nothing yet: waits for it, if it has no network namespace of its own\n")
	if got := web.sees(c); got != "diverted" {
		t.Errorf("the container: %s", got)
	}
	neighbours["a later one"] = c.containerOn(others, later)
	eventually(t, "it is told that the later one is left alone", func() bool { return len(readEvents(t, path).warnings) > 0 })
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
	c.containerOn(others, web.name)
	eventually(t, "it is told that it has another network", func() bool { return len(readEvents(t, path).warnings) > 1 })
	a.signal(t, syscall.SIGTERM)
	a.endsWithin(t, patience, 0)
	all := readEvents(t, path)
	for i, name := range []string{later, web.name} {
		told := "container " + name + " has a network namespace that is not one of this run: its connections are left alone"
		if w := all.warnings[i]; w.Code != "container-netns" || w.Text != told {
			t.Errorf("the warning is %+v", w)
		}
		if text := a.stderr.String(); !strings.Contains(text, "warning: "+told+"\n") {
			t.Errorf("standard error: %s", text)
		}
	}
	if len(all.warnings) != 2 {
		t.Errorf("the warnings are %+v", all.warnings)
	}
	if s := all.summary(t); s.Flows.Matched != uint64(len(c.addresses)) || s.Flows.Passed != 0 || s.LeftAlone["other-netns"] != uint64(len(c.addresses)) {
		t.Errorf("the summary is %+v", s)
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
