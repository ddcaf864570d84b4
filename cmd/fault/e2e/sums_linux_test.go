package e2e

import (
	"maps"
	"math"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/faultproxy/fault/agent/event"
)

// TestSums holds that the events of a run with faults and flows of many kinds
// agree with each other: what was told of each flow is what the summary says of
// all.
func TestSums(t *testing.T) {
	needs(t, "curl")
	path, toFile := eventsFile(t)
	a, steady := busyRun(t, toFile)
	eventually(t, "a flow that is open for long, and progress with all faults", func() bool {
		told := readEvents(t, path)
		return len(told.flows) > len(told.ended()) && len(told.progress) > 0 && swallowed(told.progress) > 0
	})
	a.signal(t, syscall.SIGTERM)
	a.signal(t, syscall.SIGINT) // cuts off what is open
	a.summary(t)
	steady.await(t)

	told := readEvents(t, path)
	sum := told.summary(t)
	if len(told.starts) != 1 || told.starts[0].Mode != "transparent" || told.starts[0].PID != sum.PID {
		t.Errorf("it starts with %+v", told.starts)
	}
	if sum.LeftAlone["excluded"] == 0 || sum.Flows.CutOff == 0 {
		t.Errorf("left alone are %v, %d were cut off", sum.LeftAlone, sum.Flows.CutOff)
	}
	if len(told.warnings) > 0 || sum.OutputDropped > 0 {
		t.Errorf("warnings %+v, %d lines were dropped", told.warnings, sum.OutputDropped)
	}
	all := added(told.ended())
	for what, n := range all.kinds {
		t.Logf("%3d %s", n, what)
	}
	for _, kind := range []string{
		"matched", "upstream-not-matched", "refused", "intercepted", "http", "connect",
		"answered by a fault", "answered by an upstream", "closed by client", "closed by fault", "closed by end",
	} {
		if all.kinds[kind] == 0 {
			t.Errorf("no flow is %s", kind)
		}
	}
	all.areThoseOf(t, &sum)
	changesAlternate(t, told.changes)
}

// busyRun is a run with all faults that has met flows of many kinds. One of
// them, that of the client which is returned, goes on.
func busyRun(t *testing.T, toFile string) (*agent, *process) {
	t.Helper()
	server := newServer(t)
	client := newClient(t, server)
	web, excluded := server.servePage(t, "192.0.2.10:0"), server.servePage(t, "192.0.2.10:0")
	own := client.servePage(t, "127.0.0.1:0")
	echo := server.serveEcho(t, "192.0.2.10:0")
	a := client.run(t, "--cgroup", client.isolate(t), toFile, "--seed", "7",
		"--upstream", "192.0.2.10", "--upstream", "!"+strings.Trim(excluded, "htp:/"),
		"--with-latency", "--latency-mean", "20", "--latency-stddev", "5", "--latency-direction", "both", "--latency-per-read-write",
		"--with-jitter", "--jitter-amplitude", "5",
		"--with-packet-loss", "--packet-loss-rate", "0.05",
		"--with-bandwidth", "--bandwidth-rate", "10", "--bandwidth-unit", "MBps",
		"--with-blackhole", "--blackhole-sched", "start:7s",
		"--with-http-response", "--http-response-trigger-probability", "0.5")
	cmd := role(t, "steady", echo)
	if _, err := cmd.StdinPipe(); err != nil { // which stays open
		t.Fatal(err)
	}
	steady := start(t, client, cmd)
	curl := func(args ...string) *exec.Cmd {
		return program(t, "curl", append([]string{"-sS", "--max-time", "20", "-d", "sent"}, args...)...)
	}
	for range 8 {
		answer(t, client, curl(web))
	}
	for _, url := range []string{web, excluded, own} {
		answer(t, client, curl(url))
		answer(t, client, curl("-x", "http://"+a.proxy, url))
		answer(t, client, curl("-x", "http://"+a.proxy, "--proxytunnel", url))
	}
	if _, _, code := finish(t, client, curl("http://192.0.2.10:9/")); code == 0 {
		t.Error("port 9 answers")
	}
	return a, steady
}

// swallowed is what blackholes have, by the last progress.
func swallowed(progress []event.Progress) (bytes uint64) {
	for _, f := range progress[len(progress)-1].Faults {
		if n := f.Injected.SwallowedBytes; n != nil {
			bytes += *n
		}
	}
	return bytes
}

// sums is what flows are together.
type sums struct {
	flows              uint64
	toClient, toServer int64
	kinds              map[string]uint64 // by all words that are said of them
	reasons, errors    map[string]uint64
	faults             map[string]event.Injection
	hit                map[string]uint64 // flows, by fault
}

func added(flows []event.Flow) *sums {
	s := &sums{
		flows: uint64(len(flows)), kinds: make(map[string]uint64), reasons: make(map[string]uint64), errors: make(map[string]uint64),
		faults: make(map[string]event.Injection), hit: make(map[string]uint64),
	}
	for _, f := range flows {
		s.toClient += *f.ToClientBytes
		s.toServer += *f.ToServerBytes
		s.kinds[f.Verdict]++
		s.kinds[f.EnteredBy]++
		s.kinds["closed by "+f.ClosedBy]++
		if f.Reason != "" {
			s.kinds[f.Reason]++
			s.reasons[f.Reason]++
		}
		if f.Error != "" {
			s.kinds[f.Error]++
			s.errors[f.Error]++
		}
		switch {
		case f.HTTP == nil:
		case f.HTTP.Injected:
			s.kinds["answered by a fault"]++
		default:
			s.kinds["answered by an upstream"]++
		}
		hit := make(map[string]bool)
		for _, in := range f.Faults {
			s.faults[in.ID] = plus(s.faults[in.ID], in)
			hit[in.ID] = true
		}
		for id := range hit {
			s.hit[id]++
		}
	}
	return s
}

// plus adds what a fault did to a link of a flow.
func plus(a, b event.Injection) event.Injection {
	return event.Injection{
		N: add(a.N, b.N), DelayMS: add(a.DelayMS, b.DelayMS), Tried: add(a.Tried, b.Tried), Hit: add(a.Hit, b.Hit),
		SwallowedBytes:     add(a.SwallowedBytes, b.SwallowedBytes),
		BusiestSecondBytes: event.Some(max(known(a.BusiestSecondBytes), known(b.BusiestSecondBytes))),
	}
}

func add[N int | int64 | float64](a, b *N) *N { return event.Some(known(a) + known(b)) }

// known is a number; what is absent counts as 0.
func known[N int | int64 | uint64 | float64](n *N) N {
	if n == nil {
		return 0
	}
	return *n
}

// areThoseOf holds the sums to the summary.
func (s *sums) areThoseOf(t *testing.T, sum *event.Summary) {
	t.Helper()
	equal := func(what string, of, in uint64) {
		t.Helper()
		if of != in {
			t.Errorf("%s: %d by the flows, %d by the summary", what, of, in)
		}
	}
	equal("met", s.flows, sum.Flows.Met)
	equal("matched", s.kinds["matched"], sum.Flows.Matched)
	equal("passed", s.kinds["passed"], sum.Flows.Passed)
	equal("matched and passed", sum.Flows.Matched+sum.Flows.Passed, sum.Flows.Met)
	equal("errors", total(s.errors), sum.Flows.Errors)
	equal("left alone", total(sum.LeftAlone), known(sum.Flows.LeftAlone))
	equal("cut off", s.kinds["closed by end"], sum.Flows.CutOff)
	equal("to client", uint64(s.toClient), sum.ToClientBytes)
	equal("to server", uint64(s.toServer), sum.ToServerBytes)
	if !maps.Equal(s.reasons, sum.Reasons.Passed) || !maps.Equal(s.errors, sum.Reasons.Errors) {
		t.Errorf("reasons and errors: %v, %v by the flows, %v, %v by the summary", s.reasons, s.errors, sum.Reasons.Passed, sum.Reasons.Errors)
	}
	for _, f := range sum.Faults {
		did, in := s.faults[f.ID], f.Injected
		switch f.ID {
		case "latency", "jitter":
			equal(f.ID, uint64(known(did.N)), uint64(known(in.N)))
		case "packet-loss":
			equal("packets", uint64(known(did.Tried)), known(in.Packets))
			equal("lost packets", uint64(known(did.Hit)), known(in.Lost))
		case "bandwidth":
			equal("the busiest second", uint64(known(did.BusiestSecondBytes)), uint64(known(in.BusiestSecondBytes)))
			if math.Abs(known(did.DelayMS)-known(in.WaitedMS)) > 1 {
				t.Errorf("bandwidth: waited %v ms by the flows, %v ms by the summary", known(did.DelayMS), known(in.WaitedMS))
			}
		case "blackhole":
			equal("swallowing flows", s.hit[f.ID], known(in.Flows))
			equal("swallowed bytes", uint64(known(did.SwallowedBytes)), known(in.SwallowedBytes))
		case "http-response":
			equal("requests", uint64(known(did.Tried)), known(in.Requests))
			equal("answered", uint64(known(did.Hit)), known(in.Answered))
			equal("answers", s.kinds["answered by a fault"], known(in.Answered))
		default:
			t.Errorf("nobody asked for %s", f.ID)
		}
	}
}

func total(parts map[string]uint64) (n uint64) {
	for _, part := range parts {
		n += part
	}
	return n
}

// changesAlternate holds that faults went on and off in turns, and are off at
// the end.
func changesAlternate(t *testing.T, changes []event.Change) {
	t.Helper()
	state := make(map[string]string)
	for _, c := range changes {
		if c.State == state[c.ID] || c.State == "off" && state[c.ID] == "" {
			t.Errorf("%s went %s twice: %+v", c.ID, c.State, changes)
		}
		state[c.ID] = c.State
	}
	for id, last := range state {
		if last != "off" {
			t.Errorf("%s is %s at the end", id, last)
		}
	}
	if len(state) != 6 {
		t.Errorf("changes of %v, want all six faults", state)
	}
}
