package agent

import (
	"fmt"
	"strings"

	"github.com/faultproxy/fault/agent/words"
	"github.com/faultproxy/fault/faults"
)

// resetWhen is after what a fault resets flows.
func resetWhen(f faults.Reset) string {
	var when []string
	switch {
	case f.AfterBytes == faults.Unlimited:
	case f.AfterBytes == 0:
		when = append(when, "the first byte")
	default:
		when = append(when, words.Counted(uint64(f.AfterBytes), "byte"))
	}
	if f.After > 0 {
		when = append(when, f.After.String())
	}
	return "after " + strings.Join(when, " or ")
}

// sliceSizes is how large the pieces are that a fault makes.
func sliceSizes(f faults.Slice) string {
	if f.Variation == 0 {
		return "pieces of " + words.Counted(uint64(f.Size), "byte")
	}
	return fmt.Sprintf("%d to %d bytes", f.Size-f.Variation, f.Size+f.Variation)
}

// flowsAndBytes is how many flows a fault ended, and what of them did not
// arrive.
func flowsAndBytes(in *Injected, sum *LinkInjected) string {
	return fmt.Sprintf("%s, %s swallowed", words.Counted(in.Flows, "flow"), words.Size(sum.Swallowed))
}
