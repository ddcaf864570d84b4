package proxy

import (
	"sync/atomic"

	"github.com/faultproxy/fault/faults"
)

// gauges are what the links of all flows do now.
type gauges struct {
	carried [2]atomic.Int64 // bytes that went on, by link
	store   store
}

// Carried is how many bytes each link of all flows has carried, by
// [faults.Link]: what [Flow.Bytes] says when flows have ended.
func (s *Server) Carried() [2]int64 {
	return [2]int64{
		faults.ToServer: s.gauges.carried[faults.ToServer].Load(),
		faults.ToClient: s.gauges.carried[faults.ToClient].Load(),
	}
}

// Waiting is how many bytes are held by faults.
func (s *Server) Waiting() int64 { return s.gauges.store.waiting.Load() }

// meter counts the bytes that one link carries, also for everybody.
type meter struct {
	bytes atomic.Int64
	all   *atomic.Int64
}

func (m *meter) count(n int) {
	m.bytes.Add(int64(n))
	m.all.Add(int64(n))
}
