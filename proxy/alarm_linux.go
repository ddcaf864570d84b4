package proxy

import (
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
	clock   Clock
	start   int64 // of the clock, in ns of CLOCK_MONOTONIC
	precise bool
	timer   *os.File
	raw     syscall.RawConn // of the timer

	next atomic.Int64 // the earliest time
	mu   sync.Mutex
	all  deadlines
}

func newAlarm(c Clock, precise bool) (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a timer: %w", err)
	}
	start, err := c.monotonic()
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	a := &alarm{clock: c, start: start, precise: precise, timer: os.NewFile(uintptr(fd), "timerfd")}
	if a.raw, err = a.timer.SyscallConn(); err != nil {
		return nil, errors.Join(err, a.timer.Close())
	}
	a.next.Store(int64(faults.Never))
	go a.ring()
	return a, nil
}

func (a *alarm) close() error { return a.timer.Close() }

// at closes a channel when a time has come. Who does not wait for it any more
// cancels that.
func (a *alarm) at(until time.Duration) (reached <-chan struct{}, cancel func()) {
	done := make(chan struct{})
	d := &deadline{ring: func() { close(done) }}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all.set(d, until); a.all[0] == d {
		a.set()
	}
	return done, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.all.remove(d) // if the timer was set for it that is for nothing
	}
}

// set sets the timer for the first of those who wait.
func (a *alarm) set() {
	until := a.all.next()
	a.next.Store(int64(until))
	if until == faults.Never {
		return
	}
	early := until - a.clock.spin(until-a.clock.Now())
	_ = a.raw.Control(func(fd uintptr) { setTimer(int(fd), a.start+int64(early)) })
}

// setTimer has a timerfd ring once, at a time in ns of CLOCK_MONOTONIC.
func setTimer(fd int, at int64) {
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(max(1, at))} // 0 would be never
	_ = unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME, &spec, nil)
}

// spin is how long before a time it is watched for, if nobody's time comes for a
// while before it: a sixteenth of that while, within bounds.
func (c Clock) spin(while time.Duration) time.Duration {
	if c.alarm == nil || !c.alarm.precise {
		return 0
	}
	return min(max(while/16, leastSpin), Spin)
}

// monotonic is the start of a clock in ns of CLOCK_MONOTONIC.
func (c Clock) monotonic() (int64, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0, err
	}
	return now.Nano() - int64(c.Now()), nil
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
		if left <= 0 || left > Spin || !a.precise {
			return
		}
	}
}

// wake wakes all whose time has come, and sets the timer for the others.
func (a *alarm) wake() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all.ring(a.clock.Now())
	a.set()
}
