package proxy

import (
	"io"
	"sync"

	"github.com/faultproxy/fault/faults"
)

// truncated passes on an end of the stream that a fault made. The link is done
// when the stream itself has ended, or when the other link is: nobody is left
// then to talk to src.
func (t *tunnel) truncated(l *link, src, dst *half) error {
	t.mu.Lock()
	t.cut(l.which)
	t.mu.Unlock()
	if err := dst.CloseWrite(); err != nil {
		return writeError{err}
	}
	select {
	case end := <-l.discarded:
		if end != io.EOF {
			return end
		}
		t.noted(t.carried, l.which)
	case <-t.alone:
		t.flush(src) // what is not read of it makes closing it a reset
	case <-t.stop:
		return errStopped
	}
	return nil
}

// flush waits until the peer's kernel has all that was sent to it: a reset
// would overtake the rest.
func (t *tunnel) flush(to *half) {
	if tcp := tcpOf(to.stream); tcp != nil {
		flush(tcp, t.stop)
	}
}

// expiry is when a fault resets a flow, if it has not by then.
func (s *Server) expiry(f *Flow) faults.Expiry {
	if !f.Matched {
		return faults.Expiry{At: faults.Never}
	}
	return s.Plan.Expiry(f.ID, f.Started, s.Clock.Now())
}

// expires has end called at the time when a fault resets the flow whatever
// arrives, if one does before its life is over.
func (s *Server) expires(f *Flow, l life, work *sync.WaitGroup, end func(faults.Effect)) {
	if s.expiry(f).At == faults.Never {
		return
	}
	work.Go(func() {
		for {
			next := s.expiry(f)
			if next.At <= s.Clock.Now() {
				end(faults.Effect{Fault: next.Fault, Tried: 1, Hit: 1})
				return
			}
			if next.At == faults.Never || l.wait(s.Clock, next.At) != nil {
				return
			}
		}
	})
}
