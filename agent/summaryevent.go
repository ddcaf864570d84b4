package agent

import (
	"maps"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/agent/words"
	"github.com/faultproxy/fault/bpf"
	"github.com/faultproxy/fault/faults"
)

// summaryEvent is the summary for programs.
func summaryEvent(head event.Head, cfg *Config, r *Report) event.Summary {
	return event.Summary{
		Head: head, Schema: event.Schema, Version: cfg.Version, PID: r.PID, Mode: mode(r.Intercepted),
		Reason: string(r.Reason), ExitCode: r.exitCode(), Seed: seed(cfg),
		Flows: flowCounts(r), Reasons: reasons(r), OpenConnections: r.Open, ResetConnections: r.Reset, QUICBlocked: quicBlocked(cfg, r), PausedS: event.Seconds(r.Paused),
		ToClientBytes: r.Bytes[faults.ToClient], ToServerBytes: r.Bytes[faults.ToServer],
		Faults: injectedEvents(r), OutputDropped: r.Dropped, Replay: cfg.Replay,
	}
}

func quicBlocked(cfg *Config, r *Report) *uint64 {
	if !cfg.BlockQUIC || !r.Intercepted {
		return nil
	}
	return event.Some(r.Connects[bpf.QUICBlocked])
}

func flowCounts(r *Report) event.Flows {
	f := event.Flows{
		Met: r.Flows, Matched: r.Matched, Passed: words.Total(r.Passed), Errors: words.Total(r.Errors), CutOff: r.CutOff,
	}
	if r.Intercepted {
		f.LeftAlone = event.Some(words.Total(r.LeftAlone()))
	}
	return f
}

// reasons are copies: what is told must not change any more.
func reasons(r *Report) event.Reasons {
	return event.Reasons{Passed: maps.Clone(r.Passed), LeftAlone: r.LeftAlone(), Errors: maps.Clone(r.Errors)}
}

func injectedEvents(r *Report) []event.Injected {
	ids, all := reportIDs(r), make([]event.Injected, len(r.Injected))
	for i := range r.Injected {
		in := &r.Injected[i]
		sum := in.all()
		all[i] = event.Injected{
			ID: ids[i], Fault: in.Name(), Links: links(in.Fault), OnS: event.Seconds(r.pauses.onFor(in.Schedule, r.Lasted)),
			Asked: asked(in.Planned), Injected: measured(in, &sum),
		}
		if delays(in.Fault) != nil {
			all[i].Late = late(sum.Late)
		}
	}
	return all
}

// asked is the settings of a fault and what they lead to.
func asked(f faults.Planned) event.Asked {
	a := event.Asked{Settings: settingsOf(f)}
	d := delays(f.Fault)
	if d == nil {
		return a
	}
	if mean, ok := faults.Expected(d); ok {
		a.ExpectedMeanMS = inMS(mean)
	}
	q := func(share float64) *float64 { return inMS(faults.Quantile(d, share)) }
	a.P50MS, a.P95MS, a.P99MS = q(.5), q(.95), q(.99)
	return a
}

// measured is what a fault did, of which sum is for both links.
func measured(in *Injected, sum *LinkInjected) event.Measured {
	switch in.Fault.(type) {
	case faults.Bandwidth:
		m := event.Measured{WaitedMS: inMS(sum.Held)}
		if sum.BusiestSecond > 0 {
			m.BusiestSecondBytes = &sum.BusiestSecond
		}
		return m
	case faults.PacketLoss:
		return event.Measured{
			Packets: &in.Tried, Lost: &in.Hit, Share: event.Share(in.Hit, in.Tried),
			StallP50MS: quantile(sum.Delay, 50), StallP99MS: quantile(sum.Delay, 99), StallMaxMS: quantile(sum.Delay, 100),
		}
	case faults.Blackhole:
		return event.Measured{Flows: &in.Flows, SwallowedBytes: &sum.Swallowed}
	case faults.ConnectError:
		return event.Measured{Connects: &in.Tried, Failed: &in.Hit, Share: event.Share(in.Hit, in.Tried)}
	case faults.Reset:
		return event.Measured{Flows: &in.Flows}
	case faults.Truncate:
		return event.Measured{Flows: &in.Flows, SwallowedBytes: &sum.Swallowed}
	case faults.Slice:
		return event.Measured{Flows: &in.Flows, Pieces: &in.Tried, WaitedMS: inMS(sum.Held)}
	case faults.HTTPResponse:
		return event.Measured{Requests: &in.Tried, Answered: &in.Hit, Share: event.Share(in.Hit, in.Tried)}
	}
	m := event.Measured{
		N: event.Some(sum.Delay.TotalCount()), P50MS: quantile(sum.Delay, 50), P95MS: quantile(sum.Delay, 95),
		P99MS: quantile(sum.Delay, 99), MaxMS: quantile(sum.Delay, 100),
	}
	if *m.N > 0 {
		m.MeanMS = event.Some(event.Milliseconds(microseconds(sum.Delay.Mean())))
	}
	return m
}

// quantile is a percentile in milliseconds; nil if nothing was measured.
func quantile(h *hdrhistogram.Histogram, percent float64) *float64 {
	if h.TotalCount() == 0 {
		return nil
	}
	return event.Some(event.Milliseconds(microseconds(float64(h.ValueAtQuantile(percent)))))
}

func microseconds(us float64) time.Duration { return time.Duration(us * float64(time.Microsecond)) }

// late is nil if nothing was.
func late(h *hdrhistogram.Histogram) *event.Late {
	if h.TotalCount() == 0 {
		return nil
	}
	return &event.Late{
		P50US: h.ValueAtQuantile(50), P95US: h.ValueAtQuantile(95), P99US: h.ValueAtQuantile(99), MaxUS: h.Max(),
	}
}
