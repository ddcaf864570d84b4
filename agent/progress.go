package agent

import (
	"fmt"
	"strings"
	"time"

	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/agent/words"
	"github.com/faultproxy/fault/faults"
)

// nextProgress is when progress is told next: at 10 s, 30 s, and each minute.
func nextProgress(now time.Duration) time.Duration {
	for _, at := range []time.Duration{10 * time.Second, 30 * time.Second} {
		if now < at {
			return at
		}
	}
	return now.Truncate(time.Minute) + time.Minute
}

// progress tells how far the counters are, and returns when to do so again.
// After the first minute it says nothing if none has moved.
func (r *reporter) progress(now time.Duration) time.Duration {
	open := r.room.open.Load()
	connects := r.cut.counts()
	wall := time.Now()
	paused := r.pausesSoFar()
	r.mu.Lock()
	r.total.pauses = paused
	r.total.Lasted, r.total.Connects = now, connects
	text := progressText(&r.total, open)
	line := progressLine(r.cfg.Style, wall, &r.total, open)
	told := event.Progress{
		Head: r.head(event.OfProgress, wall), OpenFlows: open,
		Flows: flowCounts(&r.total), Reasons: reasons(&r.total), Faults: injectedEvents(&r.total),
	}
	r.mu.Unlock()
	if now < 2*time.Minute || text != r.said {
		r.print(line)
		r.emit(told)
	}
	r.said = text
	return nextProgress(now)
}

// progressText is the counters so far.
func progressText(r *Report, open int64) string {
	parts := []string{fmt.Sprintf("%d open, %d ended, %d passed", open, r.Flows, r.Flows-r.Matched)}
	if r.Intercepted {
		parts = append(parts, fmt.Sprintf("%d left alone", words.Total(r.LeftAlone())))
	}
	parts = append(parts, fmt.Sprintf("%d errors", words.Total(r.Errors)))
	text := strings.Join(parts, ", ")
	for i, id := range reportIDs(r) {
		text += "; " + id + " " + soFar(&r.Injected[i])
	}
	return text
}

// soFar is what a fault has done, for a line of progress.
func soFar(in *Injected) string {
	sum := in.all()
	switch in.Fault.(type) {
	case faults.Bandwidth:
		return fmt.Sprintf("busiest=%dB/s", sum.BusiestSecond)
	case faults.ConnectError, faults.PacketLoss, faults.HTTPResponse:
		return fmt.Sprintf("%d/%d", in.Hit, in.Tried)
	case faults.Reset:
		return fmt.Sprintf("flows=%d", in.Flows)
	case faults.Slice:
		return fmt.Sprintf("pieces=%d", in.Tried)
	case faults.Blackhole, faults.Truncate:
		return fmt.Sprintf("flows=%d swallowed=%dB", in.Flows, sum.Swallowed)
	}
	text := fmt.Sprintf("n=%d", sum.Delay.TotalCount())
	if sum.Delay.TotalCount() > 0 {
		text += fmt.Sprintf(" mean=%.1fms p99=%.1fms", sum.Delay.Mean()/1000, float64(sum.Delay.ValueAtQuantile(99))/1000)
	}
	return text
}
