package callers

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"process curl":                 "process curl",
		"process ./curl":               "process " + filepath.Join(here, "curl"),
		"process /usr/../bin/curl":     "process /bin/curl",
		"exclude-process a b":          "exclude-process a b",
		"pid 4711":                     "pid 4711",
		"user 0":                       "user 0",
		"user 4294967295":              "user 4294967295",
		"user root":                    "user root",
		"cgroup /system.slice":         "cgroup /system.slice",
		"unit nginx.service":           "unit nginx.service",
		"unit app@1.service":           "unit app@1.service",
		"unit user.slice":              "unit user.slice",
		"container web":                "container web",
		"process ":                     "is empty",
		"cgroup  ":                     "is empty",
		"process a\x00b":               "NUL",
		"pid 0":                        "above 0",
		"pid -1":                       "above 0",
		"pid 4294967296":               "above 0",
		"pid x":                        "above 0",
		"user nobody-knows":            "is no user",
		"user 4294967296":              "is no user",
		"unit nginx":                   "is not the name of a unit",
		"unit .service":                "is not the name of a unit",
		"unit nginx.timer":             "is not the name of a unit",
		"unit a/b.service":             "is not the name of a unit",
		"container \t":                 "is empty",
		"exclude-process /bin/../x/./": "exclude-process /x",
	} {
		kind, value, _ := strings.Cut(text, " ")
		s, err := Parse(Kind(kind), value)
		if got := s.String(); err == nil && got != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	}
}

func TestSelects(t *testing.T) {
	except, pid := Selector{Kind: ExceptProcess, Value: "curl"}, Selector{Kind: PID, Value: "7", id: 7}
	for want, sets := range map[bool][]Set{false: {nil, {except}}, true: {{pid}, {except, pid}}} {
		for _, set := range sets {
			if set.Selects() != want {
				t.Errorf("%v: %v", set, !want)
			}
		}
	}
}

func TestMatchSays(t *testing.T) {
	for want, m := range map[string]Match{
		"nothing yet: waits for it":                {Selector: Selector{Kind: Unit}},
		"no process yet: waits for one":            {Selector: Selector{Kind: Unit}, Present: true},
		"1 process now":                            {Selector: Selector{Kind: PID}, Processes: 1, Present: true},
		"5 processes now":                          {Selector: Selector{Kind: Process}, Processes: 5, Present: true},
		"no process yet":                           {Selector: Selector{Kind: ExceptProcess}},
		"starts now":                               {Selector: Selector{Kind: Command}, Present: true},
		"is there, and who runs it cannot be seen": {Selector: Selector{Kind: Unit}, Processes: -1, Present: true},
	} {
		if got := m.String(); got != want {
			t.Errorf("%+v: %q, want %q", m, got, want)
		}
	}
}

var id = strings.Repeat("0123456789abcdef", 4)

// TestContainerOf is how engines name cgroups, and that nothing else is taken for
// a container.
func TestContainerOf(t *testing.T) {
	for cgroup, want := range map[string]string{
		"docker-" + id + ".scope":         id,
		"libpod-" + id + ".scope":         id,
		"cri-containerd-" + id + ".scope": id,
		"crio-" + id + ".scope":           id,
		"nerdctl-" + id + ".scope":        id,
		"runc-web.scope":                  "web",
		"runc-web-1.scope":                "web-1",
		`machine-web\x2d1.scope`:          "web-1",
		`systemd-nspawn@web\x2d1.service`: "web-1",
		"lxc.payload.web":                 "web",
		id:                                id,
		"libpod-conmon-" + id + ".scope":  "",
		"init.scope":                      "",
		"session-2.scope":                 "",
		"web":                             "",
		id[:63]:                           "",
		"systemd-nspawn@web.socket":       "",
	} {
		got, ok := containerOf(cgroup)
		if ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v, want %q", cgroup, got, ok, want)
		}
		if ok && !slices.Contains(containerCgroups(got), cgroup) {
			t.Errorf("%q is not where %q is looked for", cgroup, got)
		}
	}
}

func TestMeans(t *testing.T) {
	for value, want := range map[string]bool{id: true, id[:12]: true, id[:6]: true, id[:5]: false, "": false, id[1:]: false, "0123456x": false} {
		if got := means(value, id); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
	if !means("web", "web") || means("abcdef", "abcdef0") {
		t.Error("a name is meant as a whole, and by nothing else")
	}
}

// FuzzContainerOf holds that what is looked for later is what is found now.
func FuzzContainerOf(f *testing.F) {
	for _, seed := range []string{"docker-" + id + ".scope", `machine-a\x2db.scope`, `machine-\x.scope`, "lxc.payload.", id, "systemd-nspawn@.service"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if id, ok := containerOf(name); ok && !means(id, id) {
			t.Errorf("%q is not meant by itself", id)
		}
		for _, cgroup := range containerCgroups(name) {
			if strings.ContainsRune(cgroup, '/') {
				t.Errorf("%q has a slash", cgroup)
			}
			raw := strings.ContainsAny(name, `/\\`) || strings.HasPrefix(name, podmanMonitor)
			if got, ok := containerOf(cgroup); !raw && (!ok || got != name) {
				t.Errorf("%q: %q is of %q, %v", name, cgroup, got, ok)
			}
		}
	})
}

const (
	store  = `[{"id":"a1","names":["web"],"created":"2026-01-01T00:00:00Z"},{"id":"b2","names":["db","web"]},{"id":"c3"}]`
	bundle = `{"annotations":{"io.kubernetes.cri.container-name":"web","nerdctl/name":"shop-web-1","other":"x"}}`
	state  = `{"id":"web","init_process_pid":7,"cgroup_paths":{"":"/sys/fs/cgroup/web","pids":"/sys/fs/cgroup/pids/web"}}`
)

func TestWhatEnginesKeep(t *testing.T) {
	if ids, err := storedIDs(strings.NewReader(store), "web"); err != nil || !slices.Equal(ids, []string{"a1", "b2"}) {
		t.Errorf("%q, %v", ids, err)
	}
	if names, err := bundleNames(strings.NewReader(bundle)); err != nil || !slices.Equal(names, []string{"shop-web-1", "web"}) {
		t.Errorf("%q, %v", names, err)
	}
	for text, want := range map[string]string{state: "/sys/fs/cgroup/web", `{"pid":7,"cgroup-path":"/machine.slice/x"}`: "+/machine.slice/x", `{}`: "", `nonsense`: ""} {
		path, below := folderIn([]byte(text))
		if below {
			path = "+" + path
		}
		if path != want {
			t.Errorf("%s: %q, want %q", text, path, want)
		}
	}
}

// FuzzEngines: nothing that an engine may have written makes the readers fail.
func FuzzEngines(f *testing.F) {
	for _, seed := range []string{store, bundle, state, "null", "[null]", `{"annotations":null}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = storedIDs(strings.NewReader(text), "web")
		_, _ = bundleNames(strings.NewReader(text))
		_, _ = folderIn([]byte(text))
	})
}
