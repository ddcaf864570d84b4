package main

import (
	"fmt"
	"time"

	"github.com/faultproxy/fault/bench/load"
)

// toServer has a fault act on what the client sends.
func toServer(fault string) []string { return []string{"--" + fault + "-direction", "egress"} }

// line100 are the flags of a line of 100 MB/s.
func line100() []string {
	return []string{"--with-bandwidth", "--bandwidth-rate", "100", "--bandwidth-unit", "MBps"}
}

// bounded is row 12. What a fault may hold comes on top of what two connections
// hold instead of one.
func bounded(b *bench) error {
	const setting = 8 << 20
	buffer := []string{"--link-buffer", "8MiB"}
	const delaying, limiting = "fault, latency", "fault, bandwidth"
	return b.withServer(func(on *bed) error {
		err := on.mapping(ours, faultAddress)
		if err == nil {
			err = on.mapping(delaying, "127.0.0.1:4121", concat(buffer, latency(300*time.Millisecond), toServer("latency"))...)
		}
		if err == nil {
			err = on.mapping(limiting, "127.0.0.1:4122", concat(buffer, line100(), toServer("bandwidth"))...)
		}
		if err != nil {
			return err
		}
		r, err := b.compareJob(on.targets, load.Job{Mode: load.Stuffed, Flows: 1, Window: b.lasting(400 * time.Millisecond)})
		if err != nil {
			return err
		}
		taken := r.of(func(r load.Result) float64 { return float64(r.Bytes) / (1 << 20) })
		b.note("taken from a sender without a reader", "MiB", on.targets, taken)
		b.judge("12", "taken from a sender without a reader, against direct", taken.ratio(ours, direct), "", atMost(4, 2))
		for _, name := range []string{delaying, limiting} {
			beyond := series{direct: taken[direct]}
			for _, mib := range taken[name] {
				beyond[name] = append(beyond[name], mib-setting>>20)
			}
			b.judge("12", fmt.Sprintf("%s: the same, beyond --link-buffer", name), beyond.ratio(name, direct), "", atMost(4, 2))
		}
		return nil
	})
}

// full is row 13: a line that is as long as one to the other side of the world
// carries as much as a short one.
func full(b *bench) error {
	const alone, long = "100 MB/s", "100 MB/s, 300 ms"
	return b.withServer(func(on *bed) error {
		err := on.mapping(alone, "127.0.0.1:4121", line100()...)
		if err == nil {
			err = on.mapping(long, "127.0.0.1:4122", concat(line100(), latency(300*time.Millisecond))...)
		}
		if err != nil {
			return err
		}
		r, err := b.compareJob(without(on.targets, direct), load.Job{
			Mode: load.Bulk, Flows: 1, Down: true,
			WarmUp: b.lasting(time.Second) + 400*time.Millisecond, Window: b.lasting(time.Second),
		})
		if err != nil {
			return err
		}
		speed := r.of(func(r load.Result) float64 { return r.PerSecond / 1e6 })
		b.note("bulk down, 1 flow", "MB/s", without(on.targets, direct), speed)
		b.judge("13", "100 MB/s with 300 ms on every piece, against 100 MB/s alone", speed.ratio(long, alone), "", atLeast(0.95, 1))
		return nil
	})
}

func concat(parts ...[]string) (all []string) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}
