package bpf

import (
	"runtime/debug"
	"sync"
)

var collector struct {
	sync.Mutex
	pauses, percent int
}

// pauseCollector holds garbage collection back until resume is called. It is
// for what closes descriptors by way of github.com/cilium/ebpf, whose versions
// 0.20 to 0.22 do not keep an FD alive until its cleanup is stopped: where a
// collection meets a close, the number is closed once more a little later,
// whoever has it by then.
func pauseCollector() (resume func()) {
	collector.Lock()
	defer collector.Unlock()
	if collector.pauses == 0 {
		collector.percent = debug.SetGCPercent(-1)
	}
	collector.pauses++
	return func() {
		collector.Lock()
		defer collector.Unlock()
		collector.pauses--
		if collector.pauses == 0 {
			debug.SetGCPercent(collector.percent)
		}
	}
}
