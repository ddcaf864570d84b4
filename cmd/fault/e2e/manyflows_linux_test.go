package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

// openFlows opens flows to an echo server, and checks what comes back on each:
// args are the address, and how many flows there are in all and at once.
func openFlows(args []string) error {
	all, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	atOnce, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	for begun := 0; begun < all; begun += atOnce {
		if err := openTogether(args[0], begun, atOnce); err != nil {
			return err
		}
	}
	return nil
}

// openTogether has so many flows open at the same time.
func openTogether(address string, first, n int) error {
	var opened, ended sync.WaitGroup
	errs := make([]error, n)
	opened.Add(n)
	for i := range n {
		ended.Go(func() {
			c, err := dialEcho(&net.Dialer{}, "tcp", address)
			opened.Done()
			opened.Wait()
			if err != nil {
				errs[i] = fmt.Errorf("flow %d: %w", first+i, err)
				return
			}
			defer c.Close()
			if c.direct() {
				err = errors.New("it is direct")
			}
			payload := strings.Repeat(fmt.Sprintf("payload of flow %d;", first+i), 200)
			if errs[i] = errors.Join(err, c.checks([]byte(payload))); errs[i] != nil {
				errs[i] = fmt.Errorf("flow %d: %w", first+i, errs[i])
			}
		})
	}
	ended.Wait()
	return errors.Join(errs...)
}

// TestManyFlows holds that flows leave nothing behind in the agent.
func TestManyFlows(t *testing.T) {
	needs(t)
	server := newServer(t)
	echo := server.serveEcho(t, "192.0.2.10:0")
	client := newClient(t, server)
	args := []string{"--cgroup", client.isolate(t), "--with-latency", "--latency-mean", "1", "--upstream", "*"}
	idle := client.run(t, args...)
	goroutines := idle.goroutines(t) // this ends it

	a := client.run(t, args...)
	origins := a.mapNamed(t, "origins")
	before := a.load(t, origins)
	t.Logf("at the start %v", before)
	for _, tc := range []struct{ all, atOnce int }{{5_000, 8}, {5_000, 8}, {2_000, 2_000}} {
		began := time.Now()
		answer(t, client, role(t, "flows", echo, strconv.Itoa(tc.all), strconv.Itoa(tc.atOnce)))
		took := time.Since(began)
		var after load
		if !within(patience, func() bool {
			after = a.load(t, origins)
			return after.descriptors <= before.descriptors && after.origins <= before.origins
		}) {
			t.Errorf("after %d flows it has %v, before %v", tc.all, after, before)
		}
		t.Logf("%d flows, %d at once: %v; settled %v later with %v", tc.all, tc.atOnce, took, time.Since(began)-took, after)
		// Go keeps the threads of its busiest moment, but a flow needs none.
		if after.threads > before.threads+tc.atOnce/4+10 {
			t.Errorf("%d threads, at the start %d", after.threads, before.threads)
		}
	}
	now := a.goroutines(t)
	t.Logf("%d goroutines, of an idle agent %d", now, goroutines)
	if now > goroutines || goroutines == 0 {
		t.Errorf("goroutines are left:\n%s", a.stderr.String())
	}
}

// load is what an agent has in use.
type load struct{ descriptors, threads, origins int }

func (l load) String() string {
	return fmt.Sprintf("%d descriptors, %d threads, %d origins", l.descriptors, l.threads, l.origins)
}

func (a *agent) load(t *testing.T, origins *ebpf.Map) load {
	t.Helper()
	return load{descriptors: len(a.descriptors()), threads: a.threads(t), origins: entries(origins)}
}

// mapNamed opens one of the agent's maps.
func (a *agent) mapNamed(t *testing.T, name string) *ebpf.Map {
	t.Helper()
	for _, id := range a.objects(t)["map"] {
		m, err := ebpf.NewMapFromID(ebpf.MapID(id))
		if err != nil {
			t.Fatal(err)
		}
		if info, err := m.Info(); err == nil && info.Name == name {
			t.Cleanup(func() { m.Close() })
			return m
		}
		m.Close()
	}
	t.Fatalf("the agent has no map %s", name)
	return nil
}

// goroutines ends the agent by asking Go's runtime for all its stacks, and
// counts those that are not the runtime's own.
func (a *agent) goroutines(t *testing.T) int {
	t.Helper()
	a.awaitRest(t)
	a.signal(t, syscall.SIGQUIT)
	a.await(t)
	n := 0
	for _, stack := range strings.Split(a.stderr.String(), "\ngoroutine ")[1:] {
		if !strings.Contains(stack, "\ncreated by runtime.") {
			n++
		}
	}
	return n
}

// awaitRest waits until the agent has used no processor for a while: the end
// of a goroutine comes a little after that of its descriptors.
func (a *agent) awaitRest(t *testing.T) {
	t.Helper()
	var used string
	var since time.Time
	eventually(t, "the agent is at rest", func() bool {
		stat, err := os.ReadFile(a.procPath("stat"))
		if err != nil {
			t.Fatal(err)
		}
		const userTime, systemTime = 11, 12 // counted from behind the name
		f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if now := f[userTime] + " " + f[systemTime]; now != used {
			used, since = now, time.Now()
		}
		return time.Since(since) > 100*time.Millisecond
	})
}
