package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/faultproxy/fault/agent/procfs"
	"github.com/faultproxy/fault/bpf"
)

// workers is how many connects are under way when the agent ends.
const workers = 8

// TestKilled ends the agent under a loop of connects, the hard way and the
// soft way.
func TestKilled(t *testing.T) {
	needs(t)
	for name, end := range map[string]struct {
		signal syscall.Signal
		code   int
		lost   int // flows that may fail: those in flight
	}{
		"SIGKILL": {syscall.SIGKILL, -1, workers},
		"SIGTERM": {syscall.SIGTERM, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			server := newServer(t)
			echo := server.serveEcho(t, "192.0.2.10:0")
			client := newClient(t, server)
			cgroup := client.isolate(t)
			a := client.run(t, "--cgroup", cgroup, "--with-latency", "--latency-mean", "20", "--upstream", "*")
			objects := a.objects(t)
			if n := len(objects["link"]); n != 7 {
				t.Errorf("%d programs are attached, want 7", n)
			}

			loop := client.connects(t, echo, workers)
			loop.awaitMore(t, 100)
			asked := time.Now()
			a.signal(t, end.signal)
			if code := a.await(t); code != end.code {
				t.Errorf("exit %d, want %d", code, end.code)
			}
			ended := time.Now()
			if took := ended.Sub(asked); took > time.Second {
				t.Errorf("it took %v", took)
			}
			loop.awaitMore(t, 200)
			judge(t, loop.finish(t), asked, ended, end.lost)

			objects.vanish(t)
		})
	}
}

// judge holds that connects went through the agent before it was asked to end,
// and direct once it had, and that no more failed than may have.
func judge(t *testing.T, all []attempt, asked, ended time.Time, lost int) {
	t.Helper()
	var before, after, failed int
	for _, a := range all {
		switch {
		case a.err != "":
			failed++
			t.Logf("begun %v after the signal, failed %v after it: %s", a.began.Sub(asked), a.ended.Sub(asked), a.err)
			if a.ended.Before(asked) || a.began.After(ended) {
				t.Error("the agent was not ending then")
			}
		case a.ended.Before(asked):
			before++
			if a.direct {
				t.Error("a connect went direct while the agent was there")
			}
		case a.began.After(ended):
			after++
			if !a.direct {
				t.Error("a connect was diverted to nobody")
			}
		}
	}
	t.Logf("%d connects before, %d after, %d failed; the agent took %v to end", before, after, failed, ended.Sub(asked))
	if failed > lost || before == 0 || after == 0 {
		t.Errorf("%d connects failed, at most %d may; %d were before, %d after", failed, lost, before, after)
	}
}

// attached is what bpftool says about a cgroup and what is below it.
func attached(t *testing.T, cgroup string) string {
	t.Helper()
	return answer(t, nil, program(t, "bpftool", "cgroup", "tree", cgroup))
}

// detached waits until no program of ours is attached to a cgroup, wherever that
// is, which no process holds there.
func detached(t *testing.T) {
	t.Helper()
	var left []string
	if !within(patience, func() bool {
		all, err := bpf.Attachments()
		if err != nil {
			t.Fatal(err)
		}
		left = nil
		for _, a := range all {
			if _, held := procfs.HolderOfLink(a.Link); !held {
				left = append(left, fmt.Sprintf("%s at cgroup %d", a.Program, a.Cgroup))
			}
		}
		return len(left) == 0
	}) {
		t.Errorf("still attached: %q", left)
	}
}

// objects are what a process holds in the kernel, by kind and number: names
// would not tell them from another agent's.
type objects map[string][]int

var objectID = regexp.MustCompile(`(?m)^(link|prog|map)_id:\s+(\d+)$`)

func (a *agent) objects(t *testing.T) objects {
	t.Helper()
	all := make(objects)
	infos, err := filepath.Glob(a.procPath("fdinfo", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		text, err := os.ReadFile(info)
		if err != nil {
			continue // a descriptor that is no more
		}
		for _, m := range objectID.FindAllStringSubmatch(string(text), -1) {
			all[m[1]] = append(all[m[1]], number(t, m[2]))
		}
	}
	for _, kind := range []string{"link", "prog", "map"} {
		if len(all[kind]) == 0 {
			t.Fatalf("the agent has no %s", kind)
		}
	}
	return all
}

// vanish waits until the kernel has none of them any more: it frees them a
// little after their last holder has gone.
func (o objects) vanish(t *testing.T) {
	t.Helper()
	for kind, ids := range o {
		for _, id := range ids {
			if !within(patience, func() bool { return !exists(kind, id) }) {
				t.Errorf("%s %d is left behind", kind, id)
			}
		}
	}
}

func exists(kind string, id int) bool {
	var object interface{ Close() error }
	var err error
	switch kind {
	case "link":
		object, err = link.NewFromID(link.ID(id))
	case "prog":
		object, err = ebpf.NewProgramFromID(ebpf.ProgramID(id))
	case "map":
		object, err = ebpf.NewMapFromID(ebpf.MapID(id))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err == nil {
		object.Close()
	}
	return true
}
