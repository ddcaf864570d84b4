package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/faultproxy/fault/faults"
)

// latencySettings are the settings of the latency fault.
type latencySettings struct {
	distribution           word
	mean, stddev, min, max number
	scale, shape           number
	perReadWrite           bool
	phase                  word
}

func newLatencySettings() *latencySettings {
	takes := make(map[string]string)
	for name, distribution := range latencyDistributions {
		takes[name] = "takes --" + strings.Join(distribution.takes, ", --")
	}
	return &latencySettings{
		distribution: word{
			value: "normal", words: []string{"normal", "uniform", "pareto", "pareto-normal"}, means: takes,
			aliases: map[string]string{"pareto_normal": "pareto-normal", "paretonormal": "pareto-normal"},
		},
		mean: milliseconds(), stddev: milliseconds(), min: milliseconds(), max: milliseconds(),
		scale: milliseconds(), shape: positive(),
		phase: word{
			words: []string{string(faults.AtConnect), string(faults.AtData), string(faults.AtBoth)},
			means: map[string]string{
				string(faults.AtConnect): "the answer to a connect", string(faults.AtData): "the bytes", string(faults.AtBoth): "both, each with a draw of its own",
			},
		},
	}
}

func (f *latencySettings) add(s section) {
	more(s.value(&f.distribution, "latency-distribution", "where delays are drawn from", "FAULT_LATENCY_DISTRIBUTION"),
		"`normal`, drawn again while negative, takes `--latency-mean` and `--latency-stddev`; `uniform` takes `--latency-min` and `--latency-max`; "+
			"`pareto` takes `--latency-scale` and `--latency-shape`; `pareto-normal`, the sum of two draws, takes those of both.")
	s.value(&f.mean, "latency-mean", "mean of normal and pareto-normal", "FAULT_LATENCY_MEAN")
	s.value(&f.stddev, "latency-stddev", "standard deviation of normal and pareto-normal", "FAULT_LATENCY_STANDARD_DEVIATION")
	s.value(&f.min, "latency-min", "least of uniform", "FAULT_LATENCY_MIN")
	s.value(&f.max, "latency-max", "most of uniform", "FAULT_LATENCY_MAX")
	s.value(&f.scale, "latency-scale", "scale, and so the least, of pareto and pareto-normal", "FAULT_LATENCY_SCALE")
	s.value(&f.shape, "latency-shape", "shape of pareto and pareto-normal; the smaller, the longer the tail", "FAULT_LATENCY_SHAPE")
	more(s.toggle(&f.perReadWrite, "latency-per-read-write", "delay every piece, not only the first of a connection or request", "FAULT_LATENCY_PER_READ_WRITE"),
		"Pieces keep their order and travel side by side, so the link carries as much as before.")
	more(s.value(&f.phase, "latency-on", "what is delayed: connect, data or both", "FAULT_LATENCY_ON"),
		"By default both where a connect(2) itself waits for the upstream, and otherwise data. At connect each of the links has a draw of its own, "+
			"and the answer waits for their sum: a connect(2), an answer to CONNECT, or else, on a new connection, the first bytes to the server.")
}

// latencyParameters are all flags of which a distribution takes some.
var latencyParameters = []string{"latency-mean", "latency-stddev", "latency-min", "latency-max", "latency-scale", "latency-shape"}

// latencyDistributions says which flags a distribution takes, which of them it
// cannot do without, and how they may look.
var latencyDistributions = map[string]struct {
	takes, needs []string
	example      string
}{
	"normal": {
		[]string{"latency-mean", "latency-stddev"}, []string{"latency-mean"},
		"`--latency-mean 300 --latency-stddev 50` (both in ms)",
	},
	"uniform": {
		[]string{"latency-min", "latency-max"}, []string{"latency-max"},
		"`--latency-min 100 --latency-max 300` (both in ms)",
	},
	"pareto": {
		[]string{"latency-scale", "latency-shape"}, []string{"latency-scale", "latency-shape"},
		"`--latency-scale 100 --latency-shape 3` (the scale in ms)",
	},
	"pareto-normal": {
		[]string{"latency-scale", "latency-shape", "latency-mean", "latency-stddev"}, []string{"latency-scale", "latency-shape", "latency-mean"},
		"`--latency-scale 100 --latency-shape 3 --latency-mean 20 --latency-stddev 5` (but for the shape in ms)",
	},
}

func (f *latencySettings) fault(links faults.Links, line *commandLine) (faults.Fault, error) {
	name := f.distribution.value
	distribution := latencyDistributions[name]
	for _, flag := range distribution.needs {
		if !line.given(flag) {
			return nil, usage(fmt.Sprintf("--latency-distribution %s needs --%s", name, strings.Join(distribution.needs, " and --")),
				"for instance "+distribution.example)
		}
	}
	for _, flag := range latencyParameters {
		if !slices.Contains(distribution.takes, flag) {
			line.ignore(fmt.Sprintf("with --latency-distribution %s, which takes --%s", name, strings.Join(distribution.takes, ", --")), flag)
		}
	}
	if name == "uniform" && f.min.value > f.max.value {
		return nil, usage(fmt.Sprintf("--latency-min %s is above --latency-max %s (both in ms)", &f.min, &f.max),
			fmt.Sprintf("did you mean `--latency-min %s --latency-max %s`?", &f.max, &f.min))
	}
	if f.phase.value == string(faults.AtConnect) {
		line.ignore("with --latency-on connect", "latency-per-read-write")
	}
	latency := faults.Latency{Delay: f.delay(), On: links, PerReadWrite: f.perReadWrite, Phase: faults.Phase(f.phase.value)}
	return latency, invalid(latency, "latency-distribution", name)
}

func (f *latencySettings) delay() faults.Distribution {
	normal := faults.Normal{Mean: f.mean.duration(), StdDev: f.stddev.duration()}
	pareto := faults.Pareto{Scale: f.scale.duration(), Shape: f.shape.value}
	switch f.distribution.value {
	case "uniform":
		return faults.Uniform{Min: f.min.duration(), Max: f.max.duration()}
	case "pareto":
		return pareto
	case "pareto-normal":
		return faults.ParetoNormal{Pareto: pareto, Normal: normal}
	}
	return normal
}
