package e2e

import (
	"fmt"
	"testing"
	"time"
)

// TestSchedules follows one connection through two periods of a fault, of
// another that overlaps with the first, and of a third that is said in percent.
func TestSchedules(t *testing.T) {
	needs(t)
	server := newServer(t)
	address := server.serveEcho(t, fmt.Sprintf("%v:4000", server.v4))
	h := newClient(t, server)
	file, toFile := eventsFile(t)
	h.run(t, "--duration", "10s", toFile, "--upstream", "*",
		"--with-latency", "--latency-mean", "100", "--latency-per-read-write", "--latency-sched", "start:1s,duration:2s;start:6s;duration:1s",
		"--with-blackhole", "--blackhole-sched", "start:2s,duration:500ms",
		"--with-bandwidth", "--bandwidth-rate", "100", "--bandwidth-sched", "start:80%,duration:5%")
	pongs := h.pings(t, pinger{address: address, every: 2 * time.Millisecond, lasts: 9 * time.Second})
	zero := readEvents(t, file).began(t)

	line := timeline{zero, pongs}
	const fast, slow = 30 * time.Millisecond, 95 * time.Millisecond
	line.turns(t, "latency on", 1*time.Second, line.firstSent(500*time.Millisecond, func(d time.Duration) bool { return d > fast }))
	line.turns(t, "latency off", 3*time.Second, line.lastSent(3500*time.Millisecond, func(d time.Duration) bool { return d > slow }))
	line.turns(t, "latency on again", 6*time.Second, line.firstSent(4*time.Second, func(d time.Duration) bool { return d > fast }))
	line.turns(t, "latency off again", 7*time.Second, line.lastSent(7500*time.Millisecond, func(d time.Duration) bool { return d > slow }))
	from, to := line.silence(1500*time.Millisecond, 3*time.Second)
	line.turns(t, "blackhole on", 2*time.Second, from)
	line.turns(t, "blackhole off", 2500*time.Millisecond, to)
	line.turns(t, "bandwidth on", 8*time.Second, line.firstSent(7500*time.Millisecond, func(d time.Duration) bool { return d > fast }))
	line.turns(t, "bandwidth off", 8500*time.Millisecond, line.flood(8200*time.Millisecond))
}

// timeline is what became of steady messages, by times of the run.
type timeline struct {
	zero  time.Time
	pongs []pong
}

// turns holds when something happened.
func (l timeline) turns(t *testing.T, what string, want, got time.Duration) {
	t.Helper()
	t.Logf("%s at %v", what, got)
	if off := got - want; off < -20*time.Millisecond || off > 20*time.Millisecond {
		t.Errorf("%s at %v, not at %v", what, got, want)
	}
}

// firstSent is when the first message after a time was sent that took so long.
func (l timeline) firstSent(after time.Duration, long func(time.Duration) bool) time.Duration {
	for _, p := range l.pongs {
		if at := p.sent.Sub(l.zero); at > after && long(p.took) {
			return at
		}
	}
	return 0
}

// lastSent is when the last one before a time was.
func (l timeline) lastSent(before time.Duration, long func(time.Duration) bool) time.Duration {
	var last time.Duration
	for _, p := range l.pongs {
		if at := p.sent.Sub(l.zero); at < before && long(p.took) {
			last = at
		}
	}
	return last
}

// silence is the longest time in a stretch in which nothing came back.
func (l timeline) silence(after, before time.Duration) (from, to time.Duration) {
	last := after
	for i := range l.pongs {
		at := l.returned(i)
		if at < after || at > before {
			continue
		}
		if at-last > to-from {
			from, to = last, at
		}
		last = at
	}
	return from, to
}

// flood is when after a time many came back together.
func (l timeline) flood(after time.Duration) time.Duration {
	const many = 5
	for i := many; i < len(l.pongs); i++ {
		at := l.returned(i)
		if at > after && at-l.returned(i-many) < many*time.Millisecond {
			return at
		}
	}
	return 0
}

// returned is when a message came back.
func (l timeline) returned(i int) time.Duration {
	return l.pongs[i].sent.Add(l.pongs[i].took).Sub(l.zero)
}
