package main

import "github.com/faultproxy/fault/faults"

// slowCloseSettings are the settings of the slow close fault.
type slowCloseSettings struct{ delay number }

func newSlowCloseSettings() *slowCloseSettings {
	return &slowCloseSettings{milliseconds().byDefault(1000)}
}

func (f *slowCloseSettings) add(s section) {
	s.value(&f.delay, "slow-close-delay", "how much later the end arrives", "FAULT_SLOW_CLOSE_DELAY")
}

func (f *slowCloseSettings) fault(links faults.Links, _ *commandLine) (faults.Fault, error) {
	return faults.SlowClose{Delay: f.delay.duration(), On: links}, nil
}
