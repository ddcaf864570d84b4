package faults

import (
	"fmt"
	"slices"
	"strings"
)

// ConnectFailure is how an attempt to connect fails; "" is not at all.
type ConnectFailure string

// The failures. What is reset has been accepted before.
const (
	Refused         ConnectFailure = "refused"
	ResetAtOnce     ConnectFailure = "reset"
	HostUnreachable ConnectFailure = "host-unreachable"
	NetUnreachable  ConnectFailure = "net-unreachable"
	TimedOut        ConnectFailure = "timeout"
)

// ConnectFailures are all of them.
var ConnectFailures = []ConnectFailure{Refused, ResetAtOnce, HostUnreachable, NetUnreachable, TimedOut}

// ConnectError has connections fail to come to be. The upstream hears nothing
// of them.
type ConnectError struct {
	// Kind is how.
	Kind ConnectFailure
	// Probability is that of each connection to fail.
	Probability float64
}

// Name is "connect-error".
func (f ConnectError) Name() string { return "connect-error" }

// Links is none: a connection that fails has no bytes.
func (f ConnectError) Links() Links { return 0 }

// String describes the settings.
func (f ConnectError) String() string {
	return fmt.Sprintf("%s, %s %% of connections", strings.ReplaceAll(string(f.Kind), "-", " "), percent(f.Probability))
}

// Validate wants a failure and a probability.
func (f ConnectError) Validate() error {
	if !slices.Contains(ConnectFailures, f.Kind) {
		return fmt.Errorf("%q is not how connecting fails", f.Kind)
	}
	if !(f.Probability >= 0 && f.Probability <= 1) {
		return fmt.Errorf("%s is not a probability", number(f.Probability))
	}
	return nil
}
