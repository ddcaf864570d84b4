package proxy

import (
	"sync"
	"time"
)

// Only tests set these.
var (
	// speakFirst is how long a client may be silent before the upstream is
	// dialled: in some protocols the server speaks first, and they are not to
	// wait noticeably. It is also how long the rest of a request line may take.
	speakFirst = 10 * time.Millisecond
	// speakKnown is that where clients are known to speak first: a server that
	// is to hear nothing need not be dialled because a client was slow.
	speakKnown = 250 * time.Millisecond
)

// speakersKept bounds of how many upstreams it is remembered who speaks first.
const speakersKept = 1 << 12

// speakers remembers which end spoke first on the connections to an upstream,
// so that only the first one to a server that does has to wait.
type speakers struct {
	mu    sync.Mutex
	first map[string]End // by upstream
}

func (s *speakers) learn(upstream string, first End) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.first) >= speakersKept || s.first == nil {
		s.first = make(map[string]End)
	}
	s.first[upstream] = first
}

// silence is how long a client of an upstream may be silent.
func (s *speakers) silence(upstream string) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch s.first[upstream] {
	case EndUpstream:
		return 0
	case EndClient:
		return max(speakFirst, speakKnown)
	}
	return speakFirst
}

// opening is the beginning of a conversation, of which the first to speak is
// told.
type opening struct {
	once  sync.Once
	spoke func(End)
}

func (o *opening) by(end End) {
	o.once.Do(func() {
		if o.spoke != nil {
			o.spoke(end)
		}
	})
}
