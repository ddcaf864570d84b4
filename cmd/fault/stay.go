package main

import "github.com/faultproxy/fault/agent/parent"

// stay is a flag: to go on when a process has ended that started this one.
type stay bool

func (s *stay) add(to section) {
	more(to.toggle((*bool)(s), "stay", "go on when the process that started it has ended", "FAULT_STAY"),
		"Without it the end of that process is the end, with exit code 0, so that nothing goes on whose script, pipeline or experiment was killed. "+
			"On Linux this sees through sudo, timeout and scripts, to who started them. What was started with nohup stays, too.")
}

// watched is whose end is the end, from now on.
func (s stay) watched(env environment) *parent.Starters {
	if s {
		return nil
	}
	return env.watch()
}
