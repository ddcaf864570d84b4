package e2e

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

func init() { roles["together"] = connectTogether }

// connectTogether connects to two addresses in turns, so often in all, at the
// same time, and prints what became of that and how often: COUNT RESULT.
func connectTogether(args []string) error {
	return tallied(args[2], func(i int) string {
		c, err := net.Dial("tcp", args[i%2])
		if err != nil {
			return fmt.Sprintf("%d %s", i%2, named(err))
		}
		c.Close()
		return fmt.Sprintf("%d connected", i%2)
	})
}

// tallied does something so many times at once, and prints what came of it and
// how often.
func tallied(times string, do func(i int) string) error {
	n, err := strconv.Atoi(times)
	if err != nil {
		return err
	}
	results := make([]string, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { results[i] = do(i) })
	}
	all.Wait()
	counts := make(map[string]int)
	for _, r := range results {
		counts[r]++
	}
	for r, n := range counts {
		fmt.Println(n, r)
	}
	return nil
}

// counted are the results of such a client, by result.
func counted(t *testing.T, lines []string) map[string]int {
	t.Helper()
	counts := make(map[string]int)
	for _, line := range lines {
		n, result, _ := strings.Cut(line, " ")
		counts[result] = number(t, n)
	}
	return counts
}

// TestManyHeld holds many connects at the same moment, half of which are to
// succeed, longer than it takes until their SYNs are sent again.
func TestManyHeld(t *testing.T) {
	needs(t)
	const many = 5000
	server := newServer(t)
	var accepted countedListener
	accepted.Listener = server.listen(t, "192.0.2.10:0")
	go accepted.serve()
	client := newClient(t, server)
	a := client.run(t, "--cgroup", client.isolate(t), "--upstream", "*",
		"--with-latency", "--latency-on", "connect", "--latency-mean", "2500")
	maps := []*ebpf.Map{a.mapNamed(t, "origins"), a.mapNamed(t, "admitted")}

	began := time.Now()
	counts := counted(t, printed(t, client, role(t, "together", accepted.Addr().String(), "192.0.2.10:1", strconv.Itoa(many))))
	t.Logf("after %v: %v", time.Since(began), counts)
	if len(counts) != 2 || counts["0 connected"] != many/2 || counts["1 connection refused"] != many/2 {
		t.Errorf("the connects ended with %v", counts)
	}
	if n := accepted.count(); n != many/2 {
		t.Errorf("the server got %d connections of %d", n, many/2)
	}
	for _, m := range maps {
		var left int
		if !within(patience, func() bool { left = entries(m); return left == 0 }) {
			t.Errorf("%d entries are left in %v", left, m)
		}
	}
	if s := a.stop(t); s.matched != many || s.errors["refused by upstream"] != many/2 || len(s.errors) != 1 {
		t.Errorf("the summary has %+v", s)
	}
}

// TestKilledWhileHolding kills an agent that holds connects: they are refused
// when their SYN is sent again, and nobody else notices.
func TestKilledWhileHolding(t *testing.T) {
	needs(t)
	t.Parallel()
	const many = 1000
	server := newServer(t)
	echo := server.serveEcho(t, "192.0.2.10:0")
	client := newClient(t, server)
	a := client.run(t, "--cgroup", client.isolate(t), "--upstream", "192.0.2.10:1", "--with-blackhole")
	objects, origins := a.objects(t), a.mapNamed(t, "origins")
	bystanders := client.connects(t, echo, 1)
	held := start(t, client, role(t, "together", "192.0.2.10:1", "192.0.2.10:1", strconv.Itoa(many)))
	eventually(t, "all are held", func() bool { return entries(origins) == many })
	origins.Close()
	bystanders.awaitMore(t, 100)
	kill(t, a.Process.Pid)
	bystanders.awaitMore(t, 100)
	if code := held.await(t); code != 0 {
		t.Fatalf("exit %d: %s", code, tail(&held.stderr))
	}
	counts := counted(t, strings.Split(strings.TrimSpace(held.stdout.String()), "\n"))
	if counts["0 connection refused"] != many/2 || counts["1 connection refused"] != many/2 {
		t.Errorf("the connects ended with %v", counts)
	}
	for _, c := range bystanders.finish(t) {
		if c.err != "" || !c.direct {
			t.Errorf("a connect that is not meant: %+v", c)
		}
	}
	objects.vanish(t)
}

// entries counts what a map has.
func entries(m *ebpf.Map) int {
	n := 0
	for key, value, all := []byte(nil), []byte(nil), m.Iterate(); all.Next(&key, &value); {
		n++
	}
	return n
}

// countedListener accepts connections, counts them and closes them when their
// clients do.
type countedListener struct {
	net.Listener
	mu sync.Mutex
	n  int
}

func (l *countedListener) serve() {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		l.mu.Lock()
		l.n++
		l.mu.Unlock()
		go func() {
			_, _ = c.Read(make([]byte, 1))
			c.Close()
		}()
	}
}

func (l *countedListener) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}
