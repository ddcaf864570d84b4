package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/faultproxy/fault/bench/load"
)

// only keeps the targets with these names.
func only(targets []target, names ...string) []target {
	return slices.DeleteFunc(slices.Clone(targets), func(t target) bool { return !slices.Contains(names, t.name) })
}

// without leaves out the targets with these names.
func without(targets []target, names ...string) []target {
	return slices.DeleteFunc(slices.Clone(targets), func(t target) bool { return slices.Contains(names, t.name) })
}

func rate(r load.Result) float64        { return r.PerSecond }
func gbPerSecond(r load.Result) float64 { return r.PerSecond / 1e9 }
func p50(r load.Result) float64         { return microseconds(r.P50) }
func cpuPerGB(r load.Result) float64    { return r.CPU * 1e9 }

// onOne are the rows that only one processor makes stable.
func onOne(b *bench) error {
	return onOneCPU(func() error {
		return b.withMapping(tcpPeers, func(on *bed) error {
			targets := on.targets
			if b.wants("4") {
				if err := b.costs(targets); err != nil {
					return err
				}
			}
			if b.wants("5") {
				return b.roundTrip(only(targets, direct, ours, haproxy, nginx))
			}
			return nil
		})
	})
}

// costs is row 4.
func (b *bench) costs(targets []target) error {
	r, err := b.compareJob(without(targets, direct), load.Job{
		Mode: load.Bulk, Flows: 1, WarmUp: b.lasting(100 * time.Millisecond), Window: b.lasting(600 * time.Millisecond),
	})
	if err != nil {
		return err
	}
	cpu := r.of(cpuPerGB)
	b.note("CPU, bulk up, 1 flow, one CPU", "s/GB", without(targets, direct), cpu)
	b.judge("4", "CPU per GB, against the best peer", cpu.ratioToBest(ours, targetNames(tcpPeers), lower), "", atMost(0.33, 0.17))
	b.judge("4", "CPU per GB, against toxiproxy", cpu.ratio(ours, toxiproxy), "", atMost(0.12, 0.08))
	return nil
}

// roundTrip is row 5.
func (b *bench) roundTrip(targets []target) error {
	r, err := b.compareJob(targets, load.Job{
		Mode: load.Messages, Flows: 1, WarmUp: b.lasting(100 * time.Millisecond), Window: b.lasting(500 * time.Millisecond),
	})
	if err != nil {
		return err
	}
	took := r.of(p50)
	b.note("round trip of 64 bytes, p50, one CPU", "µs", targets, took)
	b.judge("5", "64-byte round trip on one CPU, p50, against direct", took.ratio(ours, direct), "", atMost(2.6, 2.3))
	return nil
}

// bulk is row 3.
func bulk(b *bench) error {
	return b.withMapping(tcpPeers, func(on *bed) error {
		for _, flows := range []int{1, 8} {
			for _, down := range []bool{false, true} {
				what := "bulk up, "
				if down {
					what = "bulk down, "
				}
				what += plural(flows, "flow")
				r, err := b.compareJob(on.targets, load.Job{
					Mode: load.Bulk, Flows: flows, Down: down,
					WarmUp: b.lasting(100 * time.Millisecond), Window: b.lasting(500 * time.Millisecond),
				})
				if err != nil {
					return err
				}
				speed := r.of(gbPerSecond)
				b.note(what, "GB/s", on.targets, speed)
				b.judge("3", what+", against the best peer", speed.ratioToBest(ours, targetNames(tcpPeers), higher), "", atLeast(1.6, 2))
			}
		}
		return nil
	})
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// small is row 6. Its programs have more threads than there are processors, and
// what they make of them differs from one start to the next, so each round starts
// them anew.
func small(b *bench) error {
	jobs := []load.Job{
		{Mode: load.Messages, Flows: 64, Window: b.lasting(1500 * time.Millisecond)},
		{Mode: load.Connections, Flows: 8, Window: b.lasting(500 * time.Millisecond)},
	}
	all := make([]results, len(jobs))
	for i := range jobs {
		all[i] = make(results)
	}
	var order []target
	for round := range b.times(3) {
		err := b.withMapping(tcpPeers, func(on *bed) error {
			order = without(on.targets, splicing)
			turn := slices.Clone(order)
			if round%2 == 1 {
				slices.Reverse(turn)
			}
			for i, job := range jobs {
				job.WarmUp = b.lasting(100 * time.Millisecond)
				for _, t := range turn {
					job.To = t.address
					r, err := b.do(job, nil)
					if err != nil {
						return fmt.Errorf("%s: %w", t.name, err)
					}
					all[i][t.name] = append(all[i][t.name], r)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for i, job := range jobs {
		what := fmt.Sprintf("%s, %d at once", job.Mode, job.Flows)
		perSecond := all[i].of(rate)
		b.note(what, "1/s", order, perSecond)
		b.judge("6", what+", against the best peer", perSecond.ratioToBest(ours, targetNames(tcpPeers), higher), "", atLeast(0.9, 1.05))
	}
	return nil
}

// idle is rows 7 and 8. Each round has new processes, which have held nothing
// yet. socat is not there, as it has a process for each connection.
func idle(b *bench) error {
	flows := 5000
	if b.short {
		flows = 200
	}
	compared := slices.DeleteFunc(slices.Clone(tcpPeers), func(p peer) bool { return p.program == socat })
	all := make(results)
	var order []target
	for range b.rounds {
		err := b.withMapping(compared, func(on *bed) error {
			order = without(on.targets, direct, splicing)
			for _, t := range order {
				r, err := b.do(load.Job{
					Mode: load.Idle, To: t.address, PID: t.pid, Flows: flows,
					WarmUp: b.lasting(200 * time.Millisecond), Window: b.lasting(300 * time.Millisecond),
				}, nil)
				if err != nil {
					return err
				}
				all[t.name] = append(all[t.name], r)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	memory := all.of(func(r load.Result) float64 { return r.Memory / 1024 })
	files := all.of(func(r load.Result) float64 { return r.Descriptors })
	b.note("resident memory per idle flow", "KiB", order, memory)
	b.note("descriptors per idle flow", "", order, files)
	b.judge("7", fmt.Sprintf("resident memory per idle flow, %d flows", flows), memory.median(ours), "KiB", atMost(1, 0.4))
	b.judge("8", "descriptors per idle flow", files.median(ours), "", atMost(2, 2))
	return nil
}
