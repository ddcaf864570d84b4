package proxy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

func exactClock(t testing.TB, precise bool) Clock {
	t.Helper()
	c, err := NewExactClock(precise)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Nobody is woken early or not at all, and who has left is forgotten.
func TestAlarm(t *testing.T) {
	for name, precise := range map[string]bool{"exact": false, "precise": true} {
		t.Run(name, func(t *testing.T) {
			c := exactClock(t, precise)
			var all sync.WaitGroup
			for range 500 {
				all.Go(func() {
					until := c.Now() + rand.N(50*ms) - 5*ms
					reached, cancel := c.at(until)
					defer cancel()
					if rand.N(4) == 0 {
						return
					}
					<-reached
					if now := c.Now(); now < until {
						t.Errorf("woken at %v, before %v", now, until)
					}
				})
			}
			all.Wait()
			c.alarm.mu.Lock()
			defer c.alarm.mu.Unlock()
			if n := len(c.alarm.all); n != 0 {
				t.Errorf("%d still wait", n)
			}
		})
	}
}

// An earlier time comes first, though it is told later.
func TestAlarmEarlier(t *testing.T) {
	c := exactClock(t, false)
	late, cancel := c.at(c.Now() + time.Hour)
	defer cancel()
	early, cancel := c.at(c.Now() + ms)
	defer cancel()
	select {
	case <-early:
	case <-late:
		t.Error("the later one came first")
	case <-time.After(patience):
		t.Fatal("nobody was woken")
	}
}

// BenchmarkLateness measures how late goroutines wake that wait for a time,
// alone and with as many others as flows wait: in µs, the median and the 99th
// percentile.
func BenchmarkLateness(b *testing.B) {
	for name, clock := range map[string]func() Clock{
		"runtime": NewClock,
		"exact":   func() Clock { return exactClock(b, false) },
		"precise": func() Clock { return exactClock(b, true) },
	} {
		for _, others := range []int{0, 10_000} {
			b.Run(fmt.Sprintf("%s/%d", name, others), func(b *testing.B) { lateness(b, clock(), others) })
		}
	}
}

func lateness(b *testing.B, c Clock, others int) {
	over := make(chan struct{})
	var all sync.WaitGroup
	wait := func(d time.Duration) (late time.Duration) {
		until := c.Now() + d
		reached, cancel := c.at(until)
		defer cancel()
		select {
		case <-reached:
		case <-over:
		}
		return c.Now() - until
	}
	for range others {
		all.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
					wait(100*ms + rand.N(900*ms))
				}
			}
		})
	}
	var late []time.Duration
	for b.Loop() {
		for range 100 {
			late = append(late, wait(ms/2+rand.N(20*ms)))
		}
	}
	close(over)
	all.Wait()
	slices.Sort(late)
	us := func(share float64) float64 { return float64(late[int(share*float64(len(late)))].Nanoseconds()) / 1000 }
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(us(.5), "p50-µs")
	b.ReportMetric(us(.99), "p99-µs")
}
