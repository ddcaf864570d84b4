package main

import "github.com/faultproxy/fault/faults"

// connectErrorSettings are the settings of the fault that has connecting fail.
type connectErrorSettings struct {
	kind        word
	probability number
}

func newConnectErrorSettings() *connectErrorSettings {
	f := &connectErrorSettings{
		kind: word{value: string(faults.Refused), kind: "KIND", means: map[string]string{
			string(faults.Refused):         "nobody listens there",
			string(faults.ResetAtOnce):     "accepted, and then reset",
			string(faults.HostUnreachable): "no such host",
			string(faults.NetUnreachable):  "no way to the network",
			string(faults.TimedOut):        "no answer at all",
		}},
		probability: probability().byDefault(1),
	}
	for _, kind := range faults.ConnectFailures {
		f.kind.words = append(f.kind.words, string(kind))
	}
	f.kind.must = oneOf(f.kind.words)
	return f
}

func (f *connectErrorSettings) add(s section) {
	more(s.value(&f.kind, "connect-error-kind", "how they fail: "+f.kind.must, "FAULT_CONNECT_ERROR_KIND"),
		"Clients of the proxy get 502, or for `timeout` at once 504; with `reset` CONNECT first succeeds. "+
			"Where a client was accepted before, as by a mapping, its connection is reset, or with `timeout` stays silent.")
	s.value(&f.probability, "connect-error-probability", "the share of connections that fails", "FAULT_CONNECT_ERROR_PROBABILITY")
}

func (f *connectErrorSettings) fault(faults.Links, *commandLine) (faults.Fault, error) {
	return faults.ConnectError{Kind: faults.ConnectFailure(f.kind.value), Probability: f.probability.value}, nil
}
