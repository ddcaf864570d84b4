package view

import (
	"fmt"
	"math"

	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/agent/words"
)

// count prints a number that is not below 0.
func count[T ~int | ~int64](n T) string { return words.Count(max(0, n)) }

// size prints bytes in few characters: 512 B, 9.8 kB, 388 kB, 4.1 MB.
func size(n uint64) string {
	if value, unit := words.Scaled(float64(n)); unit == "kB" && value >= 9.95 {
		return fmt.Sprintf("%.0f %s", value, unit)
	}
	return words.Size(n)
}

// perSecond prints how many there are in a second: 17, 0.4.
func perSecond(rate float64) string {
	switch {
	case !(rate > 0):
		return "0"
	case rate < 9.95 && rate != math.Trunc(rate):
		return fmt.Sprintf("%.1f", rate)
	}
	return words.Count(uint64(min(math.Round(rate), 1e15)))
}

// bytesPerSecond prints how many there are in a second: 61 kB/s.
func bytesPerSecond(rate float64) string {
	if !(rate > 0) {
		rate = 0
	}
	return size(uint64(min(math.Round(rate), 1e18))) + "/s"
}

// named is a number with its name before, and its unit after it.
func named(name, number, unit string) row {
	var r row
	r.add(0, name+" ").add(style.Accent, number)
	if unit != "" {
		r.add(0, " ").add(style.Dim, unit)
	}
	return r
}
