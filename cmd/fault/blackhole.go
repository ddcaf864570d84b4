package main

import "github.com/faultproxy/fault/faults"

// blackholeSettings are the settings of the blackhole fault: none.
type blackholeSettings struct{}

func (blackholeSettings) add(section) {}

func (blackholeSettings) fault(links faults.Links, _ *commandLine) (faults.Fault, error) {
	return faults.Blackhole{On: links}, nil
}
