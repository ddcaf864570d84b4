package proxy

import (
	"io"

	"github.com/faultproxy/fault/faults"
)

// lose swallows a piece, what is left of what came with it, and all that comes
// after.
func (s *shaping) lose(p piece, rest []byte, end error) {
	s.tell(p, s.clock.Now())
	swallow := faults.Effect{Fault: p.effects[len(p.effects)-1].Fault, Delay: faults.Never}
	s.swallow(swallow, len(rest))
	s.queue.put(piece{leave: faults.Never})
	if s.lost != nil {
		s.lost()
	}
	end = s.drain(swallow, end)
	if s.drained != nil {
		s.drained(end)
	}
}

// cut ends the link behind what a fault keeps of a piece. Rest is what came
// behind that.
func (s *shaping) cut(p piece, d faults.Departure, rest []byte, end error) {
	if !s.queue.put(p) || d.Err != faults.ErrTruncated {
		return
	}
	swallow := faults.Effect{Fault: d.By, Delay: faults.Never}
	s.swallow(swallow, len(rest))
	if s.discarded == nil {
		return
	}
	if end = s.drain(swallow, end); end == io.EOF {
		end = s.end()
	}
	s.discarded <- end
}

// drain swallows what still comes, and gives the end of src.
func (s *shaping) drain(swallow faults.Effect, end error) error {
	buf := make([]byte, drainSize)
	for end == nil {
		var n int
		n, end = s.src.Read(buf)
		s.swallow(swallow, n)
	}
	return end
}

// swallow counts bytes that do not go on.
func (s *shaping) swallow(e faults.Effect, n int) {
	if n > 0 {
		e.Bytes = n
		s.report(e, 0, s.clock.Now())
	}
}
