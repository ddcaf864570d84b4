package agent

import (
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/faultproxy/fault/faults"
	"github.com/faultproxy/fault/proxy"
)

const (
	// logFlows is how many flows get a line in the log, and logRate how many
	// more in each second after that: some callers keep all that we write in
	// memory.
	logFlows = 200
	logRate  = 10
	// logFirst is how many do within a second of the first one, at debug, too:
	// the same callers read nothing for a while, and a pipe has room for 64 KiB.
	logFirst = 100
)

// flowLog writes a log line for flows that end, at the level info. At debug it
// is for all of them, once the first second is over.
type flowLog struct {
	log  *zap.Logger
	plan []faults.Planned
	ids  []string

	mu      sync.Mutex
	first   time.Time // when the first flow ended
	logged  int
	second  time.Time // the last in which there was one
	in      int       // how many there were in it
	skipped uint64
}

func (l *flowLog) ended(f *proxy.Flow) {
	entry := l.log.Check(zap.InfoLevel, "flow ended")
	if entry == nil || !l.room(entry.Time) {
		return
	}
	fields := []zap.Field{
		zap.Uint64("flow", f.ID), zap.String("entered_by", string(f.Entry)), zap.Stringer("client", f.Client),
		zap.String("process", f.Process.Name), zap.Uint32("pid", f.Process.PID),
		zap.String("host", f.Host), zap.Bool("matched", f.Matched), zap.String("faults", injections(f, l.plan, l.ids)),
		zap.Int64("to_client_bytes", f.Bytes[faults.ToClient]), zap.Int64("to_server_bytes", f.Bytes[faults.ToServer]),
		zap.Float64("lasted_ms", f.Lasted.Seconds()*1000),
	}
	if f.MatchedBy != "" {
		fields = append(fields, zap.String("matched_by", string(f.MatchedBy)), zap.String("name", f.Name))
	}
	if f.Err != nil {
		fields = append(fields, zap.String("failure", proxy.Failure(f.Err)), zap.Error(f.Err))
	}
	entry.Write(fields...)
}

// room says whether there is to be a line, and counts.
func (l *flowLog) room(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first.IsZero() {
		l.first = now
	}
	switch {
	case now.Sub(l.first) < time.Second:
		if l.logged >= logFirst {
			l.skipped++
			return false
		}
	case l.log.Core().Enabled(zapcore.DebugLevel):
		return true
	}
	if second := now.Truncate(time.Second); !second.Equal(l.second) {
		l.second, l.in = second, 0
	}
	if l.logged >= logFlows && l.in >= logRate {
		l.skipped++
		return false
	}
	l.logged++
	l.in++
	return true
}

// close logs how many flows got no line.
func (l *flowLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.skipped > 0 {
		l.log.Info("flows that were not logged one by one", zap.Uint64("n", l.skipped))
	}
}
