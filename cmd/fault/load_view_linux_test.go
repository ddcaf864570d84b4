package main

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// BenchmarkView measures what the view costs the flows, two agents that differ
// in nothing else being loaded in turns. The one that is not is stopped.
//
//	view/no-view  the rate of flows with the view, divided by that without
//	cpu/cpu       the same of the processor time that the agent takes for a flow
//	frames/s      written to the terminal under load
//	MiB-…         resident, of the agent with the view, by third of the turns
//
// All but cpu/cpu are medians of the turns. What the view keeps makes garbage
// collection rarer, which pays for it in part; GOGC=off and GOMEMLIMIT=100MiB
// take that away.
func BenchmarkView(b *testing.B) {
	binary := builtCommand(b)
	for _, rate := range []float64{0, 5000} {
		name := "saturated"
		if rate > 0 {
			name = fmt.Sprintf("%.0f", rate)
		}
		b.Run(name, func(b *testing.B) { compareViews(b, binary, rate) })
	}
}

const (
	turns = 30
	turn  = time.Second
)

func compareViews(b *testing.B, binary string, rate float64) {
	l := newLoad(b)
	with, without := loadable(b, binary), loadable(b, binary, "--no-ui")
	for _, a := range []*loaded{with, without} { // which also fills their tables
		a.turn(b, l, rate)
	}
	with.forget()
	without.forget()
	var ratios, memory []float64
	for b.Loop() {
		for i := range turns {
			order := []*loaded{with, without}
			if i%2 == 1 {
				slices.Reverse(order)
			}
			for _, a := range order {
				a.turn(b, l, rate)
			}
			ratios = append(ratios, with.rates[len(with.rates)-1]/without.rates[len(without.rates)-1])
			memory = append(memory, with.memory(b))
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(ratios), "view/no-view")
	b.ReportMetric(with.perFlow()/without.perFlow(), "cpu/cpu")
	b.ReportMetric(median(with.rates), "flows/s")
	b.ReportMetric(median(with.frames), "frames/s")
	third := len(memory) / 3
	b.ReportMetric(median(memory[:third]), "MiB-first")
	b.ReportMetric(median(memory[third:2*third]), "MiB-middle")
	b.ReportMetric(median(memory[2*third:]), "MiB-last")
}

// BenchmarkIdleView measures what the view writes while nothing happens but
// that the clock goes on.
func BenchmarkIdleView(b *testing.B) {
	a := loadable(b, builtCommand(b))
	a.resume(b)
	const lasts = 5 * time.Second
	time.Sleep(lasts)
	frames, written := a.terminal.frames.Load(), a.terminal.bytes.Load()
	n := 0
	for b.Loop() {
		time.Sleep(lasts)
		n++
	}
	seconds := float64(n) * lasts.Seconds()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(a.terminal.frames.Load()-frames)/seconds, "frames/s")
	b.ReportMetric(float64(a.terminal.bytes.Load()-written)/seconds, "B/s")
}

func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	return (all[(len(all)-1)/2] + all[len(all)/2]) / 2
}
