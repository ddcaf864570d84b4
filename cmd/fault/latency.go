package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/faultproxy/fault/faults"
)

// latencyFlags are the flags of the latency fault.
type latencyFlags struct {
	on                     bool
	distribution           word
	mean, stddev, min, max milliseconds
	scale                  milliseconds
	shape                  positive
	side, direction        word
	perReadWrite           bool
}

func addLatencyFlags(cmd *cobra.Command) *latencyFlags {
	f := &latencyFlags{
		distribution: word{
			value: "normal", words: []string{"normal", "uniform", "pareto", "pareto-normal"},
			aliases: map[string]string{"pareto_normal": "pareto-normal", "paretonormal": "pareto-normal"},
		},
		side:      word{value: "server", words: []string{"server", "client"}},
		direction: word{value: "ingress", words: []string{"ingress", "egress", "both"}},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.on, "with-latency", false, "delay bytes")
	variable(flags, "with-latency", "FAULT_WITH_LATENCY")
	addWord(cmd, &f.distribution, "latency-distribution", "where delays are drawn from", "FAULT_LATENCY_DISTRIBUTION")
	flags.Var(&f.mean, "latency-mean", "mean of normal and pareto-normal")
	variable(flags, "latency-mean", "FAULT_LATENCY_MEAN")
	flags.Var(&f.stddev, "latency-stddev", "standard deviation of normal and pareto-normal")
	variable(flags, "latency-stddev", "FAULT_LATENCY_STANDARD_DEVIATION")
	flags.Var(&f.min, "latency-min", "least of uniform")
	variable(flags, "latency-min", "FAULT_LATENCY_MIN")
	flags.Var(&f.max, "latency-max", "most of uniform")
	variable(flags, "latency-max", "FAULT_LATENCY_MAX")
	flags.Var(&f.scale, "latency-scale", "scale, and so the least, of pareto and pareto-normal")
	variable(flags, "latency-scale", "FAULT_LATENCY_SCALE")
	flags.Var(&f.shape, "latency-shape", "shape of pareto and pareto-normal; the smaller, the longer the tail")
	variable(flags, "latency-shape", "FAULT_LATENCY_SHAPE")
	addWord(cmd, &f.side, "latency-side", "the proxy's side that is described", "FAULT_LATENCY_SIDE")
	addWord(cmd, &f.direction, "latency-direction", "which way on that side; server ingress is what clients receive", "FAULT_LATENCY_DIRECTION")
	flags.BoolVar(&f.perReadWrite, "latency-per-read-write", false, "delay every piece, not only the first of a connection or request")
	variable(flags, "latency-per-read-write", "FAULT_LATENCY_PER_READ_WRITE")
	return f
}

// latencyParameters says which flags a distribution takes, and which of them
// it cannot do without.
var latencyParameters = map[string]struct{ takes, needs []string }{
	"normal":        {[]string{"latency-mean", "latency-stddev"}, []string{"latency-mean"}},
	"uniform":       {[]string{"latency-min", "latency-max"}, []string{"latency-max"}},
	"pareto":        {[]string{"latency-scale", "latency-shape"}, []string{"latency-scale", "latency-shape"}},
	"pareto-normal": {[]string{"latency-scale", "latency-shape", "latency-mean", "latency-stddev"}, []string{"latency-scale", "latency-shape", "latency-mean"}},
}

// fault gives the fault that the flags ask for, nil if none, and what is to be
// said about flags that do nothing.
func (f *latencyFlags) fault(cmd *cobra.Command) (faults.Fault, []string, error) {
	given := func(flag string) bool { return cmd.Flags().Changed(flag) }
	var idle []string
	all := []string{"latency-mean", "latency-stddev", "latency-min", "latency-max", "latency-scale", "latency-shape"}
	if !f.on {
		for _, flag := range append(all, "latency-distribution", "latency-side", "latency-direction", "latency-per-read-write") {
			if given(flag) {
				idle = append(idle, fmt.Sprintf("--%s does nothing without --with-latency", flag))
			}
		}
		return nil, idle, nil
	}
	parameters := latencyParameters[f.distribution.value]
	for _, flag := range parameters.needs {
		if !given(flag) {
			return nil, nil, usage(fmt.Sprintf("--latency-distribution %s needs --%s", f.distribution.value, strings.Join(parameters.needs, " and --")),
				"for instance "+latencyExample[f.distribution.value])
		}
	}
	for _, flag := range all {
		if given(flag) && !slices.Contains(parameters.takes, flag) {
			idle = append(idle, fmt.Sprintf("--%s does nothing with --latency-distribution %s, which takes --%s",
				flag, f.distribution.value, strings.Join(parameters.takes, ", --")))
		}
	}
	if f.distribution.value == "uniform" && f.min > f.max {
		return nil, nil, usage(fmt.Sprintf("--latency-min %s is above --latency-max %s (both in ms)", &f.min, &f.max),
			fmt.Sprintf("did you mean `--latency-min %s --latency-max %s`?", &f.max, &f.min))
	}
	delay := f.delay()
	if err := delay.Validate(); err != nil {
		return nil, nil, usage(fmt.Sprintf("--latency-distribution %s: %v", f.distribution.value, err), "")
	}
	return faults.Latency{
		Delay:        delay,
		On:           faults.LinksOf(faults.Side(f.side.value), faults.Direction(f.direction.value)),
		PerReadWrite: f.perReadWrite,
	}, idle, nil
}

var latencyExample = map[string]string{
	"normal":        "`--latency-mean 300 --latency-stddev 50` (both in ms)",
	"uniform":       "`--latency-min 100 --latency-max 300` (both in ms)",
	"pareto":        "`--latency-scale 100 --latency-shape 3` (the scale in ms)",
	"pareto-normal": "`--latency-scale 100 --latency-shape 3 --latency-mean 20 --latency-stddev 5` (but for the shape in ms)",
}

func (f *latencyFlags) delay() faults.Distribution {
	normal := faults.Normal{Mean: time.Duration(f.mean), StdDev: time.Duration(f.stddev)}
	pareto := faults.Pareto{Scale: time.Duration(f.scale), Shape: float64(f.shape)}
	switch f.distribution.value {
	case "uniform":
		return faults.Uniform{Min: time.Duration(f.min), Max: time.Duration(f.max)}
	case "pareto":
		return pareto
	case "pareto-normal":
		return faults.ParetoNormal{Pareto: pareto, Normal: normal}
	}
	return normal
}
