package callers

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/faultproxy/fault/agent/procfs"
	"github.com/faultproxy/fault/bpf"
	"github.com/faultproxy/fault/internal/requires"
)

// engineFiles is a host's folder of what engines keep, and the engines.
func engineFiles(t *testing.T, files map[string]string) engines {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	within := func(patterns []string) (all []string) {
		for _, p := range patterns {
			all = append(all, filepath.Join(dir, p))
		}
		return all
	}
	return engines{within(hostEngines.sockets), within(hostEngines.stores), within(hostEngines.bundles), within(hostEngines.states)}
}

func TestEngines(t *testing.T) {
	e := engineFiles(t, map[string]string{
		"var/lib/containers/storage/overlay-containers/containers.json":                   store,
		"home/u/.local/share/containers/storage/vfs-containers/containers.json":           `[{"id":"d4","names":["web"]}]`,
		"run/containerd/io.containerd.runtime.v2.task/k8s.io/" + id + "/config.json":      bundle,
		"run/containerd/io.containerd.runtime.v2.task/k8s.io/" + id[1:] + "0/config.json": `broken`,
		"run/runc/web/state.json":   state,
		"run/runc/other/state.json": `{"cgroup_paths":{"":"/sys/fs/cgroup/other"}}`,
		"run/crun/a1/status":        `{"pid":7,"cgroup-path":"/machine.slice/libpod-a1.scope"}`,
	})
	// What Docker answers, by name and by a part of an id.
	if err := os.MkdirAll(filepath.Dir(e.sockets[0]), 0o755); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", e.sockets[0])
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		_ = http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/containers/web/json" {
				http.Error(w, `{"message":"No such container"}`, http.StatusNotFound)
				return
			}
			fmt.Fprintln(w, `{"Id":"e5","Name":"/web","State":{"Pid":7}}`)
		}))
	}()
	for value, want := range map[string][]string{
		"web": {id, "a1", "b2", "d4", "e5"}, "db": {"b2"}, "shop-web-1": {id}, id[:12]: {id}, "nobody": nil, "../../etc": nil, "": nil,
	} {
		if got := e.ids(t.Context(), value); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
	}
	got := e.folders("/top", func(id string) bool { return id == "web" || id == "a1" })
	if want := []string{"/sys/fs/cgroup/web", "/top/machine.slice/libpod-a1.scope"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestDescend(t *testing.T) {
	var running []procfs.Running
	for pid, parent := range map[int]int{2: 1, 3: 2, 4: 3, 5: 1, 6: 5, 7: 4} {
		running = append(running, procfs.Running{Process: procfs.Process{PID: pid}, Parent: parent})
	}
	pids := map[uint32]bool{2: true}
	descend(pids, running)
	if len(pids) != 4 || !pids[3] || !pids[4] || !pids[7] {
		t.Errorf("%v", pids)
	}
	keepRunning(pids, running[:0])
	if len(pids) != 0 {
		t.Errorf("%v", pids)
	}
}

// newCgroup makes one in another, or at the top.
func newCgroup(t *testing.T, in, name string) string {
	t.Helper()
	if in == "" {
		top, _, err := bpf.TopCgroup()
		if err != nil {
			t.Fatal(err)
		}
		requires.That(t, top != "/", "a cgroup2 that is mounted")
		in = top
	}
	path := filepath.Join(in, name)
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(path) })
	return path
}

func finder(t *testing.T, texts ...string) *Finder {
	t.Helper()
	var set Set
	for _, text := range texts {
		kind, value, _ := strings.Cut(text, " ")
		s, err := Parse(Kind(kind), value)
		if err != nil {
			t.Fatal(err)
		}
		set = append(set, s)
	}
	f, err := NewFinder(set)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

// TestFindCgroups finds units and containers wherever they are, and those that
// come later.
func TestFindCgroups(t *testing.T) {
	requires.Root(t)
	unit := fmt.Sprintf("fault-test-%d.service", os.Getpid())
	slice := newCgroup(t, "", fmt.Sprintf("fault-test-%d.slice", os.Getpid()))
	first := newCgroup(t, slice, unit)
	below := newCgroup(t, slice, "user@1000.service")
	second := newCgroup(t, below, "_"+unit)
	box := newCgroup(t, first, "docker-"+id+".scope")
	newCgroup(t, slice, "x"+unit)
	f := finder(t, "unit "+unit, "container "+id[:12], "unit fault-nobody.service")
	targets, err := f.Find(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	var want []uint64
	for _, folder := range []string{first, second, box} {
		id, err := cgroupID(folder)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, id)
	}
	slices.Sort(want)
	slices.Sort(targets.Cgroups)
	if !slices.Equal(targets.Cgroups, want) {
		t.Errorf("%d, want %d", targets.Cgroups, want)
	}
	for _, name := range []string{unit, "fault-nobody.service", "_fault-nobody.service"} {
		if !slices.Contains(targets.CgroupNames, name) {
			t.Errorf("%q is not looked for when it is made: %q", name, targets.CgroupNames)
		}
	}
	matches, processes, err := f.Selected()
	if err != nil || len(processes) != 0 || !matches[0].Present || !matches[1].Present || matches[2].Present {
		t.Errorf("%+v, %v, %v", matches, processes, err)
	}
	if path, ok := f.Netns(f.set[1]); ok {
		t.Errorf("no process, but a network namespace: %s", path)
	}
	// One of another container whose id begins so, too.
	newCgroup(t, slice, "docker-"+id[:63]+"0.scope")
	if _, err := f.Find(t.Context(), true); err == nil || !strings.Contains(err.Error(), "2 containers have ids that begin so") {
		t.Errorf("two containers are one: %v", err)
	}
}

// TestNetns is that of a process in a container.
func TestNetns(t *testing.T) {
	requires.Root(t)
	folder := newCgroup(t, "", fmt.Sprintf("fault-test-%d-netns", os.Getpid()))
	box := newCgroup(t, folder, id)
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	if err := os.WriteFile(filepath.Join(box, "cgroup.procs"), fmt.Append(nil, cmd.Process.Pid), 0); err != nil {
		t.Fatal(err)
	}
	f := finder(t, "container "+id)
	if _, err := f.Find(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if path, ok := f.Netns(f.set[0]); !ok || path != fmt.Sprintf("/proc/%d/ns/net", cmd.Process.Pid) {
		t.Errorf("%q, %v", path, ok)
	}
	matches, _, err := f.Selected()
	if err != nil || matches[0].Selector != f.set[0] || matches[0].Cgroup == "" {
		t.Errorf("%+v, %v, want what was selected by, and its cgroup", matches, err)
	}
}

// TestFileReplaced is that those count that run the old file, and the new one.
func TestFileReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	f := finder(t, "process "+path)
	find := func(n int) {
		t.Helper()
		targets, err := f.Find(t.Context(), true)
		if err != nil || len(targets.Files) != n || targets.Files == nil {
			t.Errorf("%v, %v, want %d", targets.Files, err, n)
		}
	}
	find(0)
	for n, text := range []string{"one", "two"} {
		if err := os.WriteFile(path+".new", []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		find(n + 1)
		find(n + 1)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	find(2)
}

func TestNoSuchProcess(t *testing.T) {
	if !procfs.InInitialPIDNamespace() {
		t.Skip("nobody here knows the numbers that the kernel has")
	}
	f := finder(t, "pid 2147483646")
	if _, err := f.Find(t.Context(), false); err == nil || err.Error() != "pid 2147483646: there is no such process" {
		t.Error(err)
	}
}
