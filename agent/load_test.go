package agent

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
)

// nowhere is a screen that shows nothing.
type nowhere struct{}

func (nowhere) Show(*Control) {}
func (nowhere) Hide()         {}

// BenchmarkReporter measures what the reporter takes of a flow with a fault on
// each link, from four goroutines: alone, with what the view needs, and while
// that looks four times a second.
func BenchmarkReporter(b *testing.B) {
	for _, rate := range []int{5_000, 50_000} {
		for _, tc := range []struct {
			name        string
			shown, look bool
		}{{"no view", false, false}, {"never looked at", true, false}, {"view", true, true}} {
			b.Run(fmt.Sprintf("%d/%s", rate, tc.name), func(b *testing.B) {
				cfg := everything(b)
				if tc.shown {
					cfg.Screen = nowhere{}
				}
				r := newReporter(cfg, &interception{}, proxy.NewClock())
				r.beginStates()
				if tc.look {
					stop := looking(r)
					defer stop()
				}
				reportFlows(b, r, rate)
			})
		}
	}
}

// looking looks at a run as the view does, until it is stopped.
func looking(r *reporter) (stop func()) {
	done := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		ticks := time.NewTicker(250 * time.Millisecond)
		defer ticks.Stop()
		for {
			r.snapshot()
			select {
			case <-ticks.C:
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		ended.Wait()
	}
}

// reportFlows reports b.N flows at a rate. What is measured is how long whoever
// reports them is kept, and the longest time that was at once.
func reportFlows(b *testing.B, r *reporter, rate int) {
	const reporters, hosts = 4, 1000
	for i := range hosts { // the first ones make rows of the table
		f := loadFlow(r, i, hosts)
		r.FlowOpened(f)
		r.FlowEnded(f)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	var kept, longest [reporters]time.Duration
	began := time.Now()
	for n := range reporters {
		all.Go(func() {
			for i := n; i < b.N; i += reporters {
				due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
				if wait := time.Until(due); wait > 0 {
					time.Sleep(max(wait, time.Millisecond))
				}
				f := loadFlow(r, i, hosts)
				at := time.Now()
				r.FlowOpened(f)
				for _, link := range []faults.Link{faults.ToServer, faults.ToClient} {
					r.Injected(f, link, faults.Effect{Fault: 1, Delay: time.Duration(i%30) * milli}, 50*time.Microsecond)
				}
				r.FlowEnded(f)
				took := time.Since(at)
				kept[n] += took
				longest[n] = max(longest[n], took)
			}
		})
	}
	all.Wait()
	b.StopTimer()
	var sum, most time.Duration
	for n := range reporters {
		sum += kept[n]
		most = max(most, longest[n])
	}
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "flows/s")
	b.ReportMetric(float64(sum.Nanoseconds())/float64(b.N), "ns/flow")
	b.ReportMetric(float64(most.Microseconds()), "longest-µs")
	b.ReportMetric(0, "ns/op")
}

// loadFlow is the i-th flow of a load to some hosts.
func loadFlow(r *reporter, i, hosts int) *proxy.Flow {
	return &proxy.Flow{
		ID: uint64(i + 1), Entry: proxy.EntryConnect, Host: fmt.Sprintf("host-%d.example.com:443", i%hosts),
		Started: r.clock.Now(), Matched: true,
	}
}

// BenchmarkSnapshot measures one look at a run of which all histograms and the
// table of pairs are full, and one that also ranks the pairs, as every eighth
// does. Flows wait for most of that.
func BenchmarkSnapshot(b *testing.B) {
	cfg := everything(b)
	cfg.Screen = nowhere{}
	r := newReporter(cfg, &interception{}, proxy.NewClock())
	r.beginStates()
	for i := range 2 * mostPairs {
		f := loadFlow(r, i, 2*mostPairs)
		r.FlowOpened(f)
		for fault := range cfg.Faults {
			for _, link := range []faults.Link{faults.ToServer, faults.ToClient} {
				r.Injected(f, link, faults.Effect{Fault: fault, Delay: time.Duration(i) * milli}, 0)
			}
		}
		r.FlowEnded(f)
	}
	for _, ranked := range []bool{false, true} {
		b.Run(fmt.Sprintf("ranked=%v", ranked), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if ranked {
					r.pairs.next = 0
				}
				r.snapshot()
			}
		})
	}
}
