package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
		// Its network is the client's, as the run serves no other.
		"linux": map[string]any{"namespaces": []map[string]string{{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}}},
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
