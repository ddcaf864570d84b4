package main

import "github.com/faultproxy/fault/faults"

// jitterSettings are the settings of the jitter fault.
type jitterSettings struct{ amplitude, frequency number }

func newJitterSettings() *jitterSettings {
	return &jitterSettings{milliseconds().byDefault(20), hertz().byDefault(5)}
}

func (f *jitterSettings) add(s section) {
	s.value(&f.amplitude, "jitter-amplitude", "the longest delay", "FAULT_JITTER_AMPLITUDE")
	s.value(&f.frequency, "jitter-frequency", "how often a piece is delayed, at most", "FAULT_JITTER_FREQ")
}

func (f *jitterSettings) fault(links faults.Links, _ *commandLine) (faults.Fault, error) {
	return faults.Jitter{Amplitude: f.amplitude.duration(), Frequency: f.frequency.value, On: links}, nil
}
