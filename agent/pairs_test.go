package agent

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
)

func flowOf(id uint64, process string, pid uint32, host string, at time.Duration) *proxy.Flow {
	return &proxy.Flow{ID: id, Process: proxy.Process{Name: process, PID: pid}, Host: host, Started: at}
}

func TestPairs(t *testing.T) {
	p := newPairs()
	curl, again, other := flowOf(1, "curl", 7, "a:80", 0), flowOf(2, "curl", 7, "a:80", second), flowOf(3, "curl", 8, "b:80", second)
	for _, f := range []*proxy.Flow{curl, again, other} {
		p.opened(f)
	}
	p.injected(1, 100*milli)
	p.injected(2, 300*milli)
	p.injected(99, time.Hour) // of a flow that nobody knows
	curl.Bytes = [2]int64{faults.ToServer: 10, faults.ToClient: 90}
	p.ended(curl)
	rows, more := p.top(second)
	want := []Pair{
		{Process: "curl", PID: 7, Upstream: "a:80", Flows: 2, Open: 1, Delayed: 2, MeanDelay: 200 * milli, Bytes: 100},
		{Process: "curl", PID: 8, Upstream: "b:80", Flows: 1, Open: 1},
	}
	if fmt.Sprint(rows) != fmt.Sprint(want) || more != 0 {
		t.Errorf("%+v and %d more, want %+v", rows, more, want)
	}
	p.opened(flowOf(4, "curl", 9, "a:80", second))
	if rows, _ := p.top(second); rows[0].PID != 0 || rows[0].Flows != 3 {
		t.Errorf("of two processes: %+v", rows[0])
	}
}

// Rows stay where they are for two seconds, and are then in the order of the
// last ten.
func TestPairsAreRanked(t *testing.T) {
	p := newPairs()
	id := uint64(0)
	begin := func(n int, host string, at time.Duration) {
		for range n {
			id++
			p.opened(flowOf(id, "x", 1, host, at))
		}
	}
	order := func(at time.Duration) string {
		rows, _ := p.top(at)
		text := ""
		for _, r := range rows {
			text += r.Upstream
		}
		return text
	}
	begin(3, "a", 0)
	begin(2, "b", 0)
	for _, step := range []struct {
		at   time.Duration
		n    int
		host string
		want string
	}{
		{0, 0, "", "ab"},
		{second, 5, "b", "ab"},
		{second, 9, "c", "abc"},
		{2 * second, 0, "", "cba"},
		{9 * second, 4, "a", "cab"}, // what began at first still counts
		{10 * second, 0, "", "cab"},
		{11 * second, 0, "", "acb"}, // and here no longer
	} {
		if step.n > 0 {
			begin(step.n, step.host, step.at)
		}
		if got := order(step.at); got != step.want {
			t.Errorf("at %v: %s, want %s", step.at, got, step.want)
		}
	}
}

func TestPairsAreBounded(t *testing.T) {
	p := newPairs()
	const n = 3 * mostPairs
	for i := range uint64(n) {
		f := flowOf(i, "x", 1, fmt.Sprint(i), time.Duration(i)*time.Millisecond)
		p.opened(f)
		if i%2 == 0 {
			f.Bytes[0] = 1
			p.ended(f)
		}
	}
	if len(p.of) > mostPairs || len(p.open) != n/2 {
		t.Errorf("%d rows, %d open flows", len(p.of), len(p.open))
	}
	rows, more := p.top(time.Hour)
	if len(rows) != shownPairs || len(rows)+more != len(p.of)+1 {
		t.Errorf("%d rows and %d more of %d", len(rows), more, len(p.of))
	}
	var flows, open, bytes uint64
	for _, one := range p.of {
		flows, open, bytes = flows+one.flows, open+one.open, bytes+one.bytes
	}
	flows, open, bytes = flows+p.others.flows, open+p.others.open, bytes+p.others.bytes
	if flows != n || open != n/2 || bytes != n/2 {
		t.Errorf("%d flows, %d open, %d bytes: something was lost", flows, open, bytes)
	}
}

func TestPace(t *testing.T) {
	var p pace
	for i, tc := range []struct {
		now   sample
		flows float64
		bytes [2]float64
	}{
		{sample{0, 0, [2]int64{}}, 0, [2]float64{}},
		{sample{second, 10, [2]int64{100, 1000}}, 10, [2]float64{100, 1000}},
		{sample{2 * second, 30, [2]int64{100, 1000}}, 15, [2]float64{50, 500}},
		{sample{3 * second, 40, [2]int64{300, 1000}}, 15, [2]float64{100, 0}},
		{sample{103 * second, 140, [2]int64{300, 1000}}, 1, [2]float64{}},
	} {
		if flows, bytes := p.per(tc.now); flows != tc.flows || bytes != tc.bytes {
			t.Errorf("sample %d: %v and %v, want %v and %v", i, flows, bytes, tc.flows, tc.bytes)
		}
	}
}

// TestMemory holds that what is kept for the view does not grow with the
// flows, nor with how often somebody looks.
func TestMemory(t *testing.T) {
	cfg := everything(t)
	cfg.Screen = nowhere{}
	r := newReporter(cfg, &interception{}, proxy.NewClock())
	r.beginStates()
	n := 0
	heapAfter := func(flows int) uint64 {
		for range flows {
			f := loadFlow(r, n, 3*mostPairs)
			f.Started = time.Duration(n) * milli
			r.FlowOpened(f)
			r.Injected(f, faults.ToClient, faults.Effect{Delay: milli}, 0)
			r.FlowEnded(f)
			if n++; n%100 == 0 {
				r.snapshot()
			}
		}
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := heapAfter(6 * mostPairs)
	after := heapAfter(24 * mostPairs)
	if after > before+1<<20 {
		t.Errorf("the heap has %d bytes, and had %d", after, before)
	}
	if len(r.pairs.open) != 0 {
		t.Errorf("%d flows are open", len(r.pairs.open))
	}
}

// A start is silent for 0.3 s; then it says what it is at, and what comes.
func TestSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		said := make(chan string, 10)
		s := newSteps(func(text string) { said <- text })
		s.begin("first")
		time.Sleep(200 * milli)
		s.begin("second")
		time.Sleep(99 * milli)
		synctest.Wait()
		if len(said) > 0 {
			t.Errorf("said %q at once", <-said)
		}
		time.Sleep(milli)
		synctest.Wait()
		s.begin("third")
		s.done()
		s.begin("fourth")
		close(said)
		var all []string
		for text := range said {
			all = append(all, text)
		}
		if fmt.Sprint(all) != "[second third]" {
			t.Errorf("said %q", all)
		}
	})
}
