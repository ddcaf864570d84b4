package e2e

import (
	"math"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/faultproxy/fault/faults"
)

// seed is one whose first draws are much like the distribution, so that what
// is measured tells of the agent and not of luck.
const seed = 91

// connections is how many each client makes.
const connections = 50

// TestRealClients runs the main command under programs that know nothing of
// it. Each has a namespace and an agent of its own, so that its flows have the
// numbers 1 to 50 and what was drawn for each is known.
func TestRealClients(t *testing.T) {
	needs(t, "nginx", "initdb", "postgres", "redis-server", "curl", "psql", "redis-cli", "python3", "node", "java")
	server := newServer(t)
	ca := filepath.Join(server.serveWeb(t), "ca.pem")
	server.servePostgres(t)
	server.serveRedis(t)
	both := []netip.Addr{server.v4, server.v6}
	clients := map[string]struct {
		to      []netip.Addr // taken in turns
		prepare func(t *testing.T, h *host) client
	}{
		"curl http IPv4":  {both[:1], func(_ *testing.T, h *host) client { return curl(h, "http", ca) }},
		"curl http IPv6":  {both[1:], func(_ *testing.T, h *host) client { return curl(h, "http", ca) }},
		"curl https IPv4": {both[:1], func(_ *testing.T, h *host) client { return curl(h, "https", ca) }},
		"curl https IPv6": {both[1:], func(_ *testing.T, h *host) client { return curl(h, "https", ca) }},
		"psql":            {both, func(_ *testing.T, h *host) client { return psql(h) }},
		"redis-cli":       {both, func(_ *testing.T, h *host) client { return redisCLI(h) }},
		"Go":              {both, func(t *testing.T, h *host) client { return longLived(t, h, role(t, "fetch", ca)) }},
		"Python": {both, func(t *testing.T, h *host) client {
			return longLived(t, h, script(t, "python3", "client.py", clientPython, ca))
		}},
		"Node": {both, func(t *testing.T, h *host) client {
			return longLived(t, h, script(t, "node", "client.js", clientNode, ca))
		}},
		"Java": {both, func(t *testing.T, h *host) client {
			return longLived(t, h, script(t, "java", "Client.java", clientJava, ca))
		}},
	}
	for name, c := range clients {
		h := newClient(t, server)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			slowsEachConnection(t, h, c.prepare, c.to)
		})
	}
}

// slowsEachConnection measures a client without and with the agent.
func slowsEachConnection(t *testing.T, h *host, prepare func(*testing.T, *host) client, to []netip.Addr) {
	once := func(do client, i int) time.Duration {
		at := to[i%len(to)]
		took, peer := do(t, at)
		if peer != "-" && peer != at.String() {
			t.Errorf("connection %d: the client sees %s instead of %v", i, peer, at)
		}
		return took
	}
	do, baseline := alone(func() client { return prepare(t, h) }, once)

	// What is drawn for the connects is not what is drawn for the bytes.
	a := h.run(t, append(latency, "--latency-on", "data", "--seed", strconv.Itoa(seed))...)
	drawn := draws(connections)
	var added, off []time.Duration
	for i := range connections {
		took := once(do, i)
		if took < drawn[i] {
			t.Errorf("connection %d took %v, less than the %v that were drawn for it", i, took, drawn[i])
		}
		added = append(added, took-baseline)
		off = append(off, (took - baseline - drawn[i]).Abs())
	}
	s := a.stop(t)

	mean, deviation := moments(added)
	t.Logf("without %.1f ms; added mean %.1f ms, deviation %.1f ms; off what was drawn by %.2f ms in the median",
		baseline.Seconds()*1000, mean, deviation, median(off).Seconds()*1000)
	if mean < 285 || mean > 315 || deviation < 35 || deviation > 65 {
		t.Errorf("the added delay has mean %.1f and deviation %.1f ms, want 300±15 and 50±15", mean, deviation)
	}
	// Had flows got each other's draws, it would be 50 ms.
	if m := median(off); m > 20*time.Millisecond {
		t.Errorf("the added delay is off what was drawn by %v in the median", m)
	}
	if s.flows != connections || s.matched != connections {
		t.Errorf("%d flows, %d matched, want %d", s.flows, s.matched, connections)
	}
	// Some TLS clients say goodbye when the server has already closed, which
	// answers with a reset: without the agent, too.
	delete(s.errors, "connection reset")
	if len(s.errors) != 0 {
		t.Errorf("errors: %v", s.errors)
	}
}

var oneAtATime sync.Mutex

// alone prepares a client and says how long it takes without the agent, while
// no other client keeps the processors busy: delayed ones leave them idle.
func alone(prepare func() client, once func(do client, i int) time.Duration) (client, time.Duration) {
	oneAtATime.Lock()
	defer oneAtATime.Unlock()
	do := prepare()
	const warmUp, usual = 20, 20 // a virtual machine compiles as it goes
	var all []time.Duration
	for i := range warmUp + usual {
		all = append(all, once(do, i))
	}
	return do, median(all[warmUp:])
}

// draws gives what the main command draws for the first flows.
func draws(n int) []time.Duration {
	plan := faults.Plan{Seed: seed, Faults: []faults.Planned{{Fault: faults.Latency{
		Delay: faults.Normal{Mean: 300 * time.Millisecond, StdDev: 50 * time.Millisecond},
		On:    faults.LinksOf(faults.Server, faults.Ingress),
	}}}}
	delays := make([]time.Duration, n)
	for i := range delays {
		delays[i] = plan.Chain(uint64(i+1), faults.ToClient, faults.Stream).Shape(0, 1).Leave
	}
	return delays
}

// TestSeed holds the choice of the seed.
func TestSeed(t *testing.T) {
	if mean, deviation := moments(draws(connections)); math.Abs(mean-300) > 3 || math.Abs(deviation-50) > 3 {
		t.Errorf("the seed draws mean %.1f and deviation %.1f ms", mean, deviation)
	}
}

// moments gives mean and standard deviation, in ms.
func moments(all []time.Duration) (mean, deviation float64) {
	for _, d := range all {
		mean += d.Seconds() * 1000 / float64(len(all))
	}
	for _, d := range all {
		off := d.Seconds()*1000 - mean
		deviation += off * off / float64(len(all)-1)
	}
	return mean, math.Sqrt(deviation)
}

func median(all []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
