package faults

import (
	"errors"
	"math"
	"time"
)

// How a fault ends a link; see [Departure].
var (
	// ErrReset is a reset of both ends of the flow.
	ErrReset = errors.New("a fault reset the flow")
	// ErrTruncated is an end of the stream before its time. The rest of it is
	// discarded, and the other link goes on.
	ErrTruncated = errors.New("a fault truncated the stream")
)

// Unlimited is more bytes than a link carries.
const Unlimited int64 = math.MaxInt64

// cut is the error of a shaper that ends its link behind the first bytes of a
// piece.
type cut struct {
	kept int
	how  error
}

func (c *cut) Error() string { return c.how.Error() }

// Unwrap gives how the link ends.
func (c *cut) Unwrap() error { return c.how }

// limit ends a link as soon as so many bytes have come, but not before the
// first.
type limit struct {
	left int64
	how  error
}

func (s *limit) Shape(at time.Duration, n int) (time.Duration, error) {
	if int64(n) < s.left || n == 0 {
		s.left -= int64(n)
		return at, nil
	}
	kept := int(s.left)
	s.left = 0
	return at, &cut{kept, s.how}
}

func (s *limit) Spent() bool { return false }

// spare has a limit that is not reached not count the next n bytes.
func (s *limit) spare(n int) {
	if s.left > 0 && s.left < Unlimited-int64(n) {
		s.left += int64(n)
	}
}
