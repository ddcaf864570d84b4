package faults

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"
)

// Bandwidth is the rate of each link of each flow: a piece leaves when a line
// of that rate would have carried it. It is never late on purpose, and over no
// second faster than the rate by more than one piece.
type Bandwidth struct {
	// Rate is in bytes a second.
	Rate float64
	// On is the links that are slowed.
	On Links
}

// Name is "bandwidth".
func (f Bandwidth) Name() string { return "bandwidth" }

// Links is f.On.
func (f Bandwidth) Links() Links { return f.On }

// String describes the settings.
func (f Bandwidth) String() string { return fmt.Sprintf("%s a flow; %v", Rate(f.Rate), f.On) }

// Validate wants a rate above 0, and none that no line has.
func (f Bandwidth) Validate() error {
	if !(f.Rate > 0) || f.Rate > mostRate {
		return fmt.Errorf("a bandwidth of %s bytes a second is not above 0 and at most 10^15", number(f.Rate))
	}
	return nil
}

// Shaper gives the bandwidth of one link.
func (f Bandwidth) Shaper(*rand.Rand, Carrier) Shaper { return &bandwidth{rate: f.Rate} }

func (f Bandwidth) most(*rand.Rand) int {
	return int(min(1<<20, max(1, f.Rate*bandwidthPiece.Seconds())))
}

const (
	mostRate = 1e15 // bytes a second
	// bandwidthDepth is how much time's worth of bytes waits at most: a sender
	// feels the slow line as it would the real one.
	bandwidthDepth = 200 * time.Millisecond
	// bandwidthPiece is the time's worth of bytes that leave together.
	bandwidthPiece = 20 * time.Millisecond
)

type bandwidth struct {
	rate float64       // bytes a second
	free time.Duration // when the line has carried all before
	rest float64       // what free was rounded off by, in nanoseconds
}

func (s *bandwidth) Shape(at time.Duration, n int) (time.Duration, error) {
	if at > s.free {
		s.free, s.rest = at, 0
	}
	took := float64(n)*float64(time.Second)/s.rate + s.rest
	whole := nanoseconds(max(0, took)) // a rest of −½ is not a nanosecond back
	s.rest = took - float64(whole)
	s.free = later(s.free, whole)
	return s.free, nil
}

func (s *bandwidth) Spent() bool { return false }

func (s *bandwidth) depth() time.Duration { return bandwidthDepth }

// Rate prints bytes a second: "500 B/s", "1.5 MB/s".
func Rate(bytesPerSecond float64) string {
	units := []string{"B/s", "kB/s", "MB/s", "GB/s"}
	for len(units) > 1 && math.Round(100*bytesPerSecond) >= 100*1000 {
		bytesPerSecond /= 1000
		units = units[1:]
	}
	text := fmt.Sprintf("%.2f", bytesPerSecond)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".") + " " + units[0]
}
