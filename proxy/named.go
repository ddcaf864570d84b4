package proxy

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// Only tests set these.
var (
	// helloTime is how long a client that has begun may take to name its upstream.
	helloTime = 250 * time.Millisecond
	// restTime is the same for one that may want to hear the server before.
	restTime = 2 * time.Millisecond
)

// carryNamed is carry, once it is known whether faults apply. Where several names
// have the address, the client may say which one is meant.
func (s *Server) carryNamed(f *Flow, client *net.TCPConn, upstream stream, early []byte) {
	if f.shared != nil {
		s.name(f, s.listen(client, tcpOf(upstream)))
		if answers := s.answers(f); answers != nil {
			s.endWith(f, s.converse(f, answers, client, upstream, early))
			return
		}
	}
	s.carry(f, client, upstream, early)
}

// name decides whether faults apply, by what a client has said.
func (s *Server) name(f *Flow, said hello) {
	if said.name == "" {
		return
	}
	to := f.shared.Destination
	matched := s.matches(said.name, to.Port(), func() []netip.Addr { return []netip.Addr{to.Addr()} })
	// A name that is meant itself hides no other.
	if said.veiled && !(matched && f.shared.MatchedBy == ByDNS) {
		return
	}
	f.Matched, f.MatchedBy, f.Name = matched, said.by, said.name
	s.Observer.FlowNamed(f)
}

// listener looks at what a client says first.
type listener struct {
	client *net.TCPConn

	mu   sync.Mutex
	over bool // nobody is to wait for the client any more
}

// interrupt ends the waiting.
func (l *listener) interrupt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	_ = l.client.SetReadDeadline(time.Unix(1, 0))
}

// until bounds the waiting.
func (l *listener) until(end time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over {
		_ = l.client.SetReadDeadline(end)
	}
}

// hear is what the client says. peek gives what there is, once that is more than
// it was before.
func (l *listener) hear(peek func(buf []byte, before int) (int, error)) hello {
	var end time.Time
	buf := make([]byte, 4<<10)
	for n := 0; ; {
		var err error
		if n, err = peek(buf, n); err != nil {
			return hello{by: ByAmbiguous}
		}
		said := readHello(buf[:n])
		if said.by != "" {
			return said
		}
		now := time.Now()
		if end.IsZero() {
			end = now.Add(helloTime)
		}
		if said.rests && now.Add(restTime).Before(end) {
			l.until(now.Add(restTime))
		} else {
			l.until(end)
		}
		if n == len(buf) {
			buf = make([]byte, min(4*n, helloLimit))
		}
	}
}
