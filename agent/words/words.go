// Package words says numbers as people read them.
package words

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Clock prints a time of a run as a clock does: 5:00, 1:02:03, 0:00.5.
func Clock(d time.Duration) string {
	d = d.Round(time.Millisecond)
	text := fmt.Sprintf("%02d", d/time.Second%60)
	if rest := d / time.Millisecond % 1000; rest != 0 {
		text += strings.TrimRight(fmt.Sprintf(".%03d", rest), "0")
	}
	if h := d / time.Hour; h > 0 {
		return fmt.Sprintf("%d:%02d:%s", h, d/time.Minute%60, text)
	}
	return fmt.Sprintf("%d:%s", d/time.Minute, text)
}

// Count prints a number with its thousands apart: 4,982.
func Count[T ~int | ~int64 | ~uint64](n T) string {
	digits := strconv.FormatUint(uint64(n), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// Counted prints a number of things: 1 flow, 2 flows.
func Counted[T ~int | ~int64 | ~uint64](n T, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return Count(n) + " " + thing + "s"
}

// Size prints bytes: 512 B, 4.1 MB.
func Size(n uint64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := Scaled(float64(n))
	return fmt.Sprintf("%.1f %s", value, unit)
}

// Scaled is a number of bytes in the largest unit that leaves it at least 1.
func Scaled(bytes float64) (value float64, unit string) {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	for len(units) > 1 && bytes >= 1000 {
		bytes /= 1000
		units = units[1:]
	}
	return bytes, units[0]
}

// MS prints a duration in milliseconds: to a tenth, and from 100 on to a whole
// one.
func MS(d time.Duration) string {
	value := float64(d) / float64(time.Millisecond)
	if value >= 99.95 {
		return fmt.Sprintf("%.0f", value)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", value), ".0")
}

// Tenths prints a duration in milliseconds to a tenth: 300.0.
func Tenths(d time.Duration) string {
	return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond))
}

// Percent prints a share with three digits that count: 10.0 %, 3.02 %.
func Percent(share float64) string {
	p := 100 * share
	if p == 0 {
		return "0 %"
	}
	digits := 2 - int(math.Floor(math.Log10(p)))
	return fmt.Sprintf("%.*f %%", min(max(digits, 0), 9), p)
}

// Total is the sum of the parts of a count.
func Total(parts map[string]uint64) uint64 {
	var sum uint64
	for _, n := range parts {
		sum += n
	}
	return sum
}

// Largest is the words of a count's parts, the one with the largest part first.
func Largest(parts map[string]uint64) []string {
	return slices.SortedFunc(maps.Keys(parts), func(a, b string) int {
		return cmp.Or(cmp.Compare(parts[b], parts[a]), cmp.Compare(a, b))
	})
}
