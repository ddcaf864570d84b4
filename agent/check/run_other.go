//go:build !linux

package check

import (
	"context"
	"runtime"

	"github.com/faultproxy/fault/bpf"
)

// Run looks at this host. Nothing is changed.
func Run(context.Context) Result {
	why := bpf.Check().Error()
	return Result{
		Transparent: Verdict{Why: why},
		Explicit:    Verdict{Possible: true},
		Probes: []Probe{
			{Name: "kernel", State: Missing, Text: runtime.GOOS + " " + runtime.GOARCH + ": the explicit proxy needs nothing of it, and intercepting needs Linux"},
		},
	}
}
