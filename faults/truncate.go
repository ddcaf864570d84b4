package faults

import (
	"fmt"
	"math/rand/v2"
)

// Truncate ends a stream before its time: who receives gets so many bytes and
// then the end. The rest is discarded, and the other link goes on.
type Truncate struct {
	// AfterBytes is how many bytes arrive; with 0 the stream ends when the
	// first would.
	AfterBytes int64
	// On is the links that are truncated.
	On Links
}

// Name is "truncate".
func (f Truncate) Name() string { return "truncate" }

// Links is f.On.
func (f Truncate) Links() Links { return f.On }

// String describes the settings.
func (f Truncate) String() string {
	if f.AfterBytes == 0 {
		return fmt.Sprintf("the end instead of the first byte; %v", f.On)
	}
	return fmt.Sprintf("the end after %s; %v", bytes(f.AfterBytes), f.On)
}

// Validate wants a number of bytes.
func (f Truncate) Validate() error {
	if f.AfterBytes < 0 {
		return fmt.Errorf("a stream of %d bytes", f.AfterBytes)
	}
	return nil
}

// Shaper gives the limit of one link.
func (f Truncate) Shaper(*rand.Rand, Carrier) Shaper { return &limit{f.AfterBytes, ErrTruncated} }

func (f Truncate) ofStreams() {}
