package view

import (
	"sync"
	"time"

	"github.com/faultproxy/fault/agent"
)

// memory is a run that carries nothing: its clock goes, unless it is still,
// and it can be paused and ended.
type memory struct {
	began time.Time
	still bool

	mu      sync.Mutex
	run     func() *agent.Snapshot
	paused  time.Duration // since; below 0 if it is not
	reasons []agent.Reason
	ended   chan struct{} // closed by the second end
}

func newMemory(run func() *agent.Snapshot) *memory {
	return &memory{began: time.Now(), run: run, paused: -1, ended: make(chan struct{})}
}

func (m *memory) Snapshot() agent.Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := *m.run()
	if !m.still {
		s.At += time.Since(m.began)
	}
	s.Ending = len(m.reasons) > 0
	s.Paused, s.PausedAt = m.paused >= 0, m.paused
	return s
}

func (m *memory) Pause() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.paused >= 0 || len(m.reasons) > 0 {
		return false
	}
	m.paused = 72*second + time.Since(m.began)
	return true
}

func (m *memory) Resume() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.paused >= 0
	m.paused = -1
	return was
}

func (m *memory) End(reason agent.Reason) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reasons = append(m.reasons, reason); len(m.reasons) == 2 {
		close(m.ended)
	}
}
