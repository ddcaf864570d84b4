package e2e

import (
	"fmt"
	"math"
	"sync"
	"testing"
	"time"
)

// tunnels are the paths by which a connection of any protocol gets to the
// faults of an agent whose mapping is at 127.0.0.1:9080.
func (a *agent) tunnels(address string) map[string]pinger {
	return map[string]pinger{
		"intercepted": {address: address},
		"CONNECT":     {address: address, proxy: a.proxy},
		"mapping":     {address: "127.0.0.1:9080"},
	}
}

// TestJitter measures how often, and by how much, messages of a steady stream
// are late.
func TestJitter(t *testing.T) {
	needs(t)
	t.Parallel()
	const amplitude, frequency, lasts = 80 * time.Millisecond, 4, 8 * time.Second
	server := newServer(t)
	address := server.serveEcho(t, fmt.Sprintf("%v:4000", server.v4))
	h := newClient(t, server)
	a := h.run(t, "--with-jitter", "--jitter-amplitude", "80", "--jitter-frequency", "4", "--upstream", "*",
		"--proxy", "127.0.0.1:9080="+address)
	clients := map[string]*host{"direct": newClient(t, server)}
	tunnels := a.tunnels(address)
	for name := range tunnels {
		clients[name] = h
	}
	tunnels["direct"] = pinger{address: address}
	var mu sync.Mutex
	events, most := make(map[string]int), make(map[string]time.Duration)
	t.Run("beside each other", func(t *testing.T) {
		for name, p := range tunnels {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p.every, p.lasts = 2*time.Millisecond, lasts
				pongs := clients[name].pings(t, p)
				mu.Lock()
				defer mu.Unlock()
				events[name], most[name] = spikes(pongs)
			})
		}
	})
	// What this host does to them all by itself is no fault.
	noise, by := events["direct"], most["direct"]
	for name := range a.tunnels(address) {
		t.Logf("%s: late %d times in %v, by up to %v; without faults %d times, by up to %v", name, events[name], lasts, most[name], noise, by)
		// One in eight draws is too short to be told from noise.
		if expected := frequency * lasts.Seconds(); float64(events[name]) > expected+1+float64(noise) || float64(events[name]) < 0.6*expected {
			t.Errorf("%s: late %d times in %v", name, events[name], lasts)
		}
		if most[name] > amplitude+20*time.Millisecond+by || most[name] < amplitude/2 {
			t.Errorf("%s: late by up to %v", name, most[name])
		}
	}
}

// spikes is how often messages were late, and by how much at most.
func spikes(pongs []pong) (events int, most time.Duration) {
	var last time.Time
	for _, pong := range pongs {
		most = max(most, pong.took)
		// One that is late makes those behind it late, by less and less.
		if pong.took > 10*time.Millisecond && pong.sent.Sub(last) > 100*time.Millisecond {
			events++
			last = pong.sent
		}
	}
	return events, most
}

// TestPacketLoss measures how many messages of a slow stream are held up by
// the loss of a packet, and for how long.
func TestPacketLoss(t *testing.T) {
	needs(t)
	t.Parallel()
	const share, every, lasts = 0.05, 10 * time.Millisecond, 10 * time.Second
	server := newServer(t)
	address := server.serveEcho(t, fmt.Sprintf("%v:4000", server.v4))
	h := newClient(t, server)
	a := h.run(t, "--with-packet-loss", "--packet-loss-rate", fmt.Sprint(share), "--seed", "3", "--upstream", "*",
		"--proxy", "127.0.0.1:9080="+address)
	for name, p := range a.tunnels(address) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p.every, p.lasts = every, lasts
			lost, n := 0, 0
			before := time.Duration(0)
			for _, pong := range h.pings(t, p) {
				n++
				// A lost one takes a timeout from its own arrival; those behind wait
				// for it, each for a pace less.
				if pong.took > 190*time.Millisecond && pong.took > before {
					lost++
				}
				before = pong.took
				if pong.took > 3*time.Second {
					t.Errorf("a message took %v", pong.took)
				}
			}
			deviation := math.Sqrt(float64(n) * share * (1 - share))
			t.Logf("%d of %d were seen to be lost", lost, n)
			if n != int(lasts/every) || math.Abs(float64(lost)-share*float64(n)) > 3*deviation {
				t.Errorf("%d of %d were seen to be lost", lost, n)
			}
		})
	}
}
