package main

import "github.com/faultproxy/fault/faults"

// bandwidthSettings are the settings of the bandwidth fault.
type bandwidthSettings struct {
	rate number
	unit word
}

// bandwidthUnits are the units of rates, in bytes a second.
var bandwidthUnits = map[string]float64{
	"Bps": 1, "KBps": 1e3, "MBps": 1e6, "GBps": 1e9,
	"bps": 1. / 8, "kbps": 1e3 / 8, "mbps": 1e6 / 8, "gbps": 1e9 / 8,
}

func newBandwidthSettings() *bandwidthSettings {
	return &bandwidthSettings{
		rate: whole("N", "a whole number above 0", 1, 1e15).byDefault(1000),
		unit: word{
			value: "Bps", words: []string{"Bps", "KBps", "MBps", "GBps", "bps", "kbps", "mbps", "gbps"},
			means: map[string]string{
				"Bps": "bytes a second", "KBps": "1000 bytes a second", "MBps": "10^6 bytes a second", "GBps": "10^9 bytes a second",
				"bps": "bits a second", "kbps": "1000 bits a second", "mbps": "10^6 bits a second", "gbps": "10^9 bits a second",
			},
			must: "Bps, KBps, MBps, GBps (bytes) or bps, kbps, mbps, gbps (bits)",
			hint: "a million bits a second is `--bandwidth-rate 1 --bandwidth-unit mbps`",
		},
	}
}

func (f *bandwidthSettings) add(s section) {
	s.value(&f.rate, "bandwidth-rate", "the most that one connection gets, in units", "FAULT_BANDWIDTH_RATE")
	s.value(&f.unit, "bandwidth-unit", "bytes (with a B) or bits a second", "FAULT_BANDWIDTH_UNIT")
}

func (f *bandwidthSettings) fault(links faults.Links, _ *commandLine) (faults.Fault, error) {
	bandwidth := faults.Bandwidth{Rate: f.rate.value * bandwidthUnits[f.unit.value], On: links}
	return bandwidth, invalid(bandwidth, "bandwidth-rate", f.rate.text+" "+f.unit.value)
}
