package load

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// measurement collects what each of many things took.
type measurement struct {
	job      Job
	pids     []int
	took     []time.Duration
	began    time.Time
	computed time.Duration // by the processes, before
	lasted   time.Duration
	cpu      time.Duration
}

func (j Job) measurement() *measurement {
	return &measurement{job: j, took: make([]time.Duration, 0, 1<<20)}
}

// begin forgets what was before, which was warming up.
func (m *measurement) begin() {
	m.took = m.took[:0]
	m.pids = tree(m.job.PID)
	m.began, m.computed = time.Now(), clock(m.pids)
}

// end ends what is measured; what is put into took later is still of it.
func (m *measurement) end() {
	m.lasted, m.cpu = time.Since(m.began), clock(m.pids)-m.computed
}

func (m *measurement) result() Result {
	r := Result{PerSecond: perSecond(len(m.took), m.lasted), CPU: each(m.cpu, len(m.took))}
	r.P50, r.P99 = percentiles(m.took)
	return r
}

// workers has each flow repeat something on a thread of its own, and stop at
// its end.
func (j Job) workers(newWorker func() worker) (Result, error) {
	var measuring, ending atomic.Bool
	took, errs := make([][]time.Duration, j.Flows), make([]error, j.Flows)
	var all sync.WaitGroup
	for i := range j.Flows {
		all.Go(func() {
			runtime.LockOSThread()
			w := newWorker()
			defer w.stop()
			for errs[i] == nil && !ending.Load() {
				began := time.Now()
				errs[i] = w.do()
				if measuring.Load() {
					took[i] = append(took[i], time.Since(began))
				}
			}
		})
	}
	time.Sleep(j.WarmUp)
	m := j.measurement()
	m.begin()
	measuring.Store(true)
	time.Sleep(j.Window)
	measuring.Store(false)
	m.end()
	ending.Store(true)
	all.Wait()
	m.took = slices.Concat(took...)
	return m.result(), errors.Join(errs...)
}

// worker is what repeats something.
type worker interface {
	do() error
	stop()
}

// percentiles sorts what was measured.
func percentiles(took []time.Duration) (p50, p99 time.Duration) {
	if len(took) == 0 {
		return 0, 0
	}
	slices.Sort(took)
	return took[len(took)/2], took[len(took)*99/100]
}

func perSecond[N int | int64](n N, lasted time.Duration) float64 {
	return float64(n) / lasted.Seconds()
}

// each is what one of n things has cost, in seconds.
func each[N int | int64](cost time.Duration, n N) float64 { return cost.Seconds() / float64(max(n, 1)) }
