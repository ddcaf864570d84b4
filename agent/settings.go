package agent

import (
	"time"

	"github.com/faultproxy/fault/agent/event"
	"github.com/faultproxy/fault/faults"
)

// settingsOf is what a fault was asked to do.
func settingsOf(f faults.Planned) event.Settings {
	s := ownSettings(f.Fault)
	s.Probability = f.Probability
	return s
}

func ownSettings(f faults.Fault) event.Settings {
	switch f := f.(type) {
	case faults.ConnectError:
		return event.Settings{Kind: string(f.Kind), Share: &f.Probability}
	case faults.Latency:
		s := distribution(f.Delay)
		s.Per = "flow"
		if f.PerReadWrite {
			s.Per = "read-write"
		}
		s.On = string(f.Phase)
		return s
	case faults.Jitter:
		return event.Settings{AmplitudeMS: inMS(f.Amplitude), FrequencyHz: &f.Frequency}
	case faults.Bandwidth:
		return event.Settings{RateBytesPerS: &f.Rate}
	case faults.PacketLoss:
		model := "rate"
		if f.Rate == 0 {
			model = "five-state"
		}
		return event.Settings{Model: model, Share: event.Some(f.Share())}
	case faults.HTTPResponse:
		return event.Settings{Status: f.Status, Share: &f.Probability}
	case faults.Reset:
		var s event.Settings
		if f.AfterBytes != faults.Unlimited {
			s.AfterBytes = &f.AfterBytes
		}
		if f.After > 0 {
			s.AfterS = event.Some(event.Seconds(f.After))
		}
		return s
	case faults.Truncate:
		return event.Settings{AfterBytes: &f.AfterBytes}
	case faults.Slice:
		return event.Settings{SizeBytes: f.Size, VariationBytes: &f.Variation, DelayMS: inMS(f.Delay)}
	case faults.SlowClose:
		return event.Settings{DelayMS: inMS(f.Delay)}
	}
	return event.Settings{}
}

func distribution(d faults.Distribution) event.Settings {
	switch d := d.(type) {
	case faults.Normal:
		return event.Settings{Distribution: "normal", MeanMS: inMS(d.Mean), StdDevMS: inMS(d.StdDev)}
	case faults.Uniform:
		return event.Settings{Distribution: "uniform", MinMS: inMS(d.Min), MaxMS: inMS(d.Max)}
	case faults.Pareto:
		return event.Settings{Distribution: "pareto", ScaleMS: inMS(d.Scale), Shape: &d.Shape}
	case faults.ParetoNormal:
		return event.Settings{
			Distribution: "pareto-normal", ScaleMS: inMS(d.Pareto.Scale), Shape: &d.Pareto.Shape,
			MeanMS: inMS(d.Normal.Mean), StdDevMS: inMS(d.Normal.StdDev),
		}
	}
	return event.Settings{}
}

// delays is where a fault draws its delays from; nil if it does not draw any.
func delays(f faults.Fault) faults.Distribution {
	switch f := f.(type) {
	case faults.Latency:
		return f.Delay
	case faults.Jitter:
		return faults.Uniform{Max: f.Amplitude}
	case faults.SlowClose:
		return faults.Uniform{Min: f.Delay, Max: f.Delay}
	}
	return nil
}

func inMS(d time.Duration) *float64 { return event.Some(event.Milliseconds(d)) }
