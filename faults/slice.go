package faults

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Slice has a stream arrive in small pieces.
type Slice struct {
	// Size is how many bytes a piece has on average, and Variation how many
	// more or less at most: all between are equally likely.
	Size, Variation int
	// Delay is the least time from one piece to the next.
	Delay time.Duration
	// On is the links that are sliced.
	On Links
}

// Name is "slice".
func (f Slice) Name() string { return "slice" }

// Links is f.On.
func (f Slice) Links() Links { return f.On }

// String describes the settings.
func (f Slice) String() string {
	text := "pieces of " + bytes(int64(f.Size))
	if f.Variation > 0 {
		text = fmt.Sprintf("pieces of %d to %d bytes", f.Size-f.Variation, f.Size+f.Variation)
	}
	if f.Delay > 0 {
		text += fmt.Sprintf(", %v apart", f.Delay)
	}
	return text + "; " + f.On.String()
}

// Validate wants pieces that have a byte.
func (f Slice) Validate() error {
	switch {
	case f.Size < 1:
		return fmt.Errorf("pieces of %d bytes", f.Size)
	case f.Variation < 0 || f.Variation >= f.Size:
		return fmt.Errorf("pieces of %d bytes cannot vary by %d: at least 1 is left, so %d is the most", f.Size, f.Variation, f.Size-1)
	case f.Delay < 0:
		return fmt.Errorf("pieces %v apart", f.Delay)
	}
	return nil
}

// Shaper gives the distances of one link.
func (f Slice) Shaper(*rand.Rand, Carrier) Shaper { return &sliced{delay: f.Delay} }

func (f Slice) ofStreams() {}

func (f Slice) most(rng *rand.Rand) int {
	if f.Variation == 0 {
		return f.Size
	}
	return f.Size - f.Variation + rng.IntN(2*f.Variation+1)
}

// sliceDepth is how much time's worth of pieces waits at most.
const sliceDepth = 200 * time.Millisecond

type sliced struct {
	delay  time.Duration
	free   time.Duration // when the next may leave
	pieces int
}

func (s *sliced) Shape(at time.Duration, n int) (time.Duration, error) {
	if n == 0 {
		return at, nil // the end is no piece
	}
	s.pieces++
	leave := max(at, s.free)
	s.free = later(leave, s.delay)
	return leave, nil
}

func (s *sliced) Spent() bool { return false }

func (s *sliced) depth() time.Duration { return sliceDepth }

func (s *sliced) sampled() (tried, hit int) { return s.pieces, s.pieces }
