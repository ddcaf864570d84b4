package main

import "github.com/faultproxy/fault/faults"

// packetLossSettings are the settings of the packet loss fault.
type packetLossSettings struct{ rate number }

func newPacketLossSettings() *packetLossSettings {
	return &packetLossSettings{number{
		kind: "P", must: "a number above 0, up to 1",
		// Not 0: to the fault that is the line of its own.
		valid: func(x float64) bool { return x > 0 && x <= 1 },
	}}
}

func (f *packetLossSettings) add(s section) {
	more(s.value(&f.rate, "packet-loss-rate", "the share of packets that is lost; by default that of a line which gets better and worse", "FAULT_PACKET_LOSS_RATE"),
		"That line has five states, which lose between 0 and 90 % of the packets: 20.4 % in the long run.")
}

func (f *packetLossSettings) fault(links faults.Links, _ *commandLine) (faults.Fault, error) {
	return faults.PacketLoss{Rate: f.rate.value, On: links}, nil
}
