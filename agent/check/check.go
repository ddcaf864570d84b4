// Package check finds out what this host can do, and how to get the rest. It
// decides nothing about how that is shown.
package check

// State is what is known of one thing.
type State string

// The states.
const (
	OK      State = "ok"
	Missing State = "missing"
	Unknown State = "unknown"
	// Found is of something that should not be there.
	Found State = "found"
)

// Probe is one thing that was looked at.
type Probe struct {
	// Name says what: "kernel", "cgroup2".
	Name  string `json:"name"`
	State State  `json:"state"`
	// Text is what was found, in words.
	Text string `json:"text"`
	// Fix is what helps: a command if it begins with "sudo ", else a sentence.
	// It may be empty.
	Fix string `json:"fix,omitempty"`
}

// Verdict is whether something can be had.
type Verdict struct {
	Possible bool `json:"possible"`
	// Except is what is left out of it: "IPv6"; it may be empty.
	Except string `json:"except,omitempty"`
	// Why it cannot be had; empty if it can.
	Why string `json:"why,omitempty"`
}

// String is "yes", "yes, except …" or "no, …".
func (v Verdict) String() string {
	switch {
	case !v.Possible && v.Why != "":
		return "no, " + v.Why
	case !v.Possible:
		return "no"
	case v.Except != "":
		return "yes, except " + v.Except
	}
	return "yes"
}

// Result is all of it.
type Result struct {
	// Transparent is whether connections can be intercepted, Explicit whether
	// clients can ask for the proxy.
	Transparent Verdict `json:"transparent"`
	Explicit    Verdict `json:"explicit"`
	Probes      []Probe `json:"probes"`
}
