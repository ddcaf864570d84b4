package proxy

import (
	"cmp"
	"sync/atomic"
)

// Buffers bounds what faults hold of the bytes that are on their way. Beyond
// that the sender is held back, as by any receiver that is full. Each link may
// always hold one piece.
type Buffers struct {
	// Link is for one direction of one flow, and Total for all together, in
	// bytes; 0 is that of [DefaultBuffers].
	Link, Total int64
}

// DefaultBuffers are what a link of 300 ms needs to carry 100 MB/s, and eight
// times that.
var DefaultBuffers = Buffers{Link: 32 << 20, Total: 256 << 20}

// store is what the lines of all flows hold.
type store struct {
	Buffers
	waiting atomic.Int64 // bytes
}

// room is how many bytes more a link that holds some may read.
func (s *store) room(held int) int {
	if held == 0 {
		return readSize
	}
	most := min(cmp.Or(s.Link, DefaultBuffers.Link)-int64(held), cmp.Or(s.Total, DefaultBuffers.Total)-s.waiting.Load())
	return int(max(0, most-pieceOverhead))
}

// fits says whether there is room for so many bytes more in a line that holds
// some: one that is empty takes what comes, so that each goes on.
func (s *store) fits(held, more int) bool {
	return held == 0 ||
		int64(held+more) <= cmp.Or(s.Link, DefaultBuffers.Link) &&
			s.waiting.Load()+int64(more) <= cmp.Or(s.Total, DefaultBuffers.Total)
}
