package agent

import (
	"sync"
	"time"
)

// slowStart is how long a start may take until it says what it is at.
const slowStart = 300 * time.Millisecond

// steps says what a slow start is at.
type steps struct {
	say   func(text string)
	timer *time.Timer

	mu   sync.Mutex
	at   string
	slow bool
	over bool
}

// newSteps begins a start; say is called from other goroutines, too.
func newSteps(say func(text string)) *steps {
	s := &steps{say: say}
	s.timer = time.AfterFunc(slowStart, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.slow = true
		s.tell()
	})
	return s
}

// begin begins a step.
func (s *steps) begin(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = text
	s.tell()
}

func (s *steps) tell() {
	if s.slow && !s.over && s.at != "" {
		s.say(s.at)
	}
}

// done ends the start: nothing is said any more.
func (s *steps) done() {
	s.timer.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
}
