package proxy

import (
	"container/heap"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/faultproxy/fault/faults"
)

// alarm wakes goroutines more exactly than the runtime, which counts
// milliseconds while it is idle (golang/go#53824): by one timerfd for all of
// them, set to the earliest time.
type alarm struct {
	clock Clock
	start int64 // of the clock, in ns of CLOCK_MONOTONIC
	spin  time.Duration
	timer *os.File
	raw   syscall.RawConn // of the timer

	next atomic.Int64 // the earliest time
	mu   sync.Mutex
	all  waits
}

// wait is one who waits for a time.
type wait struct {
	until   time.Duration
	reached chan struct{} // closed when that has come
	index   int           // in the heap; -1 once it is not
}

func newAlarm(c Clock, spin time.Duration) (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a timer: %w", err)
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		unix.Close(fd)
		return nil, err
	}
	a := &alarm{clock: c, start: now.Nano() - int64(c.Now()), spin: spin, timer: os.NewFile(uintptr(fd), "timerfd")}
	if a.raw, err = a.timer.SyscallConn(); err != nil {
		return nil, errors.Join(err, a.timer.Close())
	}
	a.next.Store(int64(faults.Never))
	go a.ring()
	return a, nil
}

func (a *alarm) close() error { return a.timer.Close() }

func (a *alarm) add(until time.Duration) *wait {
	w := &wait{until: until, reached: make(chan struct{})}
	a.mu.Lock()
	defer a.mu.Unlock()
	heap.Push(&a.all, w)
	if w.index == 0 {
		a.set()
	}
	return w
}

// remove forgets one that waits no more, and may have been woken.
func (a *alarm) remove(w *wait) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if w.index >= 0 {
		heap.Remove(&a.all, w.index) // if the timer was set for it that is for nothing
	}
}

// set sets the timer for the first of those who wait.
func (a *alarm) set() {
	if len(a.all) == 0 {
		a.next.Store(int64(faults.Never))
		return
	}
	until := a.all[0].until
	a.next.Store(int64(until))
	at := unix.ItimerSpec{Value: unix.NsecToTimespec(max(1, a.start+int64(until-a.spin)))} // 0 would be never
	_ = a.raw.Control(func(fd uintptr) { _ = unix.TimerfdSettime(int(fd), unix.TFD_TIMER_ABSTIME, &at, nil) })
}

// ring wakes whoever's time has come, until the alarm is closed.
func (a *alarm) ring() {
	for expired := make([]byte, 8); ; {
		if _, err := a.timer.Read(expired); errors.Is(err, os.ErrClosed) {
			return
		}
		a.watch()
		a.wake()
		runtime.Gosched() // before another processor wakes up to take them over
	}
}

// watch watches for the earliest time, if that is near.
func (a *alarm) watch() {
	for {
		left := time.Duration(a.next.Load()) - a.clock.Now()
		if left <= 0 || left > a.spin {
			return
		}
	}
}

// wake wakes all whose time has come, and sets the timer for the others.
func (a *alarm) wake() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for now := a.clock.Now(); len(a.all) > 0 && a.all[0].until <= now; {
		close(heap.Pop(&a.all).(*wait).reached)
	}
	a.set()
}

// waits is a heap, the earliest first.
type waits []*wait

func (h waits) Len() int           { return len(h) }
func (h waits) Less(i, j int) bool { return h[i].until < h[j].until }

func (h waits) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push appends a *wait.
func (h *waits) Push(x any) {
	w := x.(*wait)
	w.index = len(*h)
	*h = append(*h, w)
}

// Pop takes the last out.
func (h *waits) Pop() any {
	last := len(*h) - 1
	w := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	w.index = -1
	return w
}
