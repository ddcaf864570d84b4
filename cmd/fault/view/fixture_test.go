package view

import (
	"flag"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/bpf"
	"github.com/faultproxy/fault/faults"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// golden compares a text with the file that says what it should be.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	got += "\n"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s has\n%s\ngot\n%s", path, want, got)
	}
}

const (
	second   = time.Second
	milli    = time.Millisecond
	toServer = faults.Links(1 << faults.ToServer)
	toClient = faults.Links(1 << faults.ToClient)
)

const startPage = `fault 0.1.0  pid 48121  seed 8814402213

  intercepts  every new TCP connection from this network namespace, IPv4, IPv6
  upstreams   * except loopback and DNS
  faults      latency    normal, mean 300, stddev 50 ms; to client, once a flow
              bandwidth  1 MB/s a flow; to client; from 0:30 to 1:30
              http 503   10 % of plain HTTP requests; from 3:15 to 4:05
  expect      latency p50 300, p95 382, p99 416 ms
  proxy       http://127.0.0.1:3180 for clients that ask for it
  untouched   17 connections that are already open; other network namespaces
  ends        after 5:00, or with q or Ctrl-C

ready after 84 ms

`

// newHistogram counts microseconds as a run does.
func newHistogram(values ...time.Duration) *hdrhistogram.Histogram {
	h := hdrhistogram.New(1, time.Hour.Microseconds(), 3)
	for _, d := range values {
		_ = h.RecordValue(d.Microseconds())
	}
	return h
}

// drawn is n delays of a distribution.
func drawn(d faults.Distribution, n int) []time.Duration {
	rng := rand.New(rand.NewPCG(8814402213, 0))
	all := make([]time.Duration, n)
	for i := range all {
		all[i] = d.Sample(rng)
	}
	return all
}

// injected is a fault that has done nothing yet.
func injected(f faults.Fault, s faults.Schedule) agent.Injected {
	in := agent.Injected{Planned: faults.Planned{Fault: f, Schedule: s}}
	for link := range in.PerLink {
		in.PerLink[link].Delay, in.PerLink[link].Late = newHistogram(), newHistogram()
	}
	return in
}

// state is that of a fault at a time of a run that may have an end.
func state(label string, s faults.Schedule, at, end time.Duration) agent.FaultState {
	f := agent.FaultState{Label: label, On: s.On(at), Next: s.Next(at)}
	if end > 0 && f.Next >= end {
		f.Next = faults.Never
	}
	for next := s.Next(0); next <= at; next = s.Next(next) {
		f.Changed = next
	}
	return f
}

// pair has flows, open ones, delayed pieces and bytes.
func pair(process string, pid uint32, upstream string, n [4]uint64, mean time.Duration) agent.Pair {
	return agent.Pair{
		Process: process, PID: pid, Upstream: upstream,
		Flows: n[0], Open: n[1], Delayed: n[2], MeanDelay: mean, Bytes: n[3],
	}
}

// aRun is the run of the design: 1:12 of 5:00, three faults.
func aRun() *agent.Snapshot {
	const at, end = 72 * second, 300 * second
	normal := faults.Normal{Mean: 300 * milli, StdDev: 50 * milli}
	latency := injected(faults.Latency{Delay: normal, On: toClient}, nil)
	latency.PerLink[faults.ToClient].Delay = newHistogram(drawn(normal, 1204)...)
	latency.PerLink[faults.ToClient].Late = newHistogram(drawn(faults.Uniform{Max: 120 * time.Microsecond}, 1204)...)
	latency.Flows = 1204
	bandwidth := injected(faults.Bandwidth{Rate: 1e6, On: toClient}, faults.Schedule{{Start: 30 * second, End: 90 * second}})
	bandwidth.PerLink[faults.ToClient].BusiestSecond = 981230
	answer := injected(faults.HTTPResponse{Status: 503, Probability: .1}, faults.Schedule{{Start: 195 * second, End: 245 * second}})
	return &agent.Snapshot{
		StartPage: startPage,
		At:        at, Duration: end,
		Upstreams: "* except loopback, DNS", IPv6: true,
		Proxy: netip.MustParseAddrPort("127.0.0.1:3180"),
		Open:  42, PerSecond: 17,
		Waiting:        388000,
		BytesPerSecond: [2]float64{61000, 1.1e6},
		Faults: []agent.FaultState{
			state("latency", nil, at, end),
			state("bandwidth", bandwidth.Schedule, at, end),
			state("http 503", answer.Schedule, at, end),
		},
		Report: &agent.Report{
			PID: 48121, Intercepted: true,
			Flows: 1162, Matched: 1074,
			Passed: map[string]uint64{"upstream-not-matched": 61, "excluded": 27},
			Errors: map[string]uint64{"refused": 2},
			Connects: map[bpf.Verdict]uint64{
				bpf.Intercepted: 1204, bpf.Agent: 1100,
				bpf.Loopback: 20, bpf.DNS: 9, bpf.UDP: 3, bpf.DeviceBound: 1, bpf.IPv6Only: 1,
			},
			Bytes:    [2]uint64{2.3e6, 41.2e6},
			Injected: []agent.Injected{latency, bandwidth, answer},
		},
		Pairs: []agent.Pair{
			pair("curl", 51702, "api.example.com:443", [4]uint64{412, 3, 412, 8.1e6}, 301400*time.Microsecond),
			pair("python3", 2210, "db.internal:5432", [4]uint64{388, 20, 388, 20.4e6}, 299*milli),
			pair("node", 991, "10.0.3.7:9200", [4]uint64{204, 12, 204, 11.8e6}, 302200*time.Microsecond),
			pair("", 0, "example.com:80", [4]uint64{158, 7, 158, 9e5}, 300100*time.Microsecond),
			pair("nginx", 0, "10.0.3.9:8080", [4]uint64{31, 0, 31, 77e3}, 298800*time.Microsecond),
			pair("wget", 51811, "[2001:db8::7]:443", [4]uint64{12, 0, 0, 512}, 0),
		},
		MorePairs: 7,
	}
}
