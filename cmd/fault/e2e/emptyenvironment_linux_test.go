package e2e

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestEmptyEnvironment starts the agent as the Chaos Toolkit extension does,
// which then looks for the one address on which it listens.
func TestEmptyEnvironment(t *testing.T) {
	needs(t, "env", "sh")
	const command = `exec env -i "$0" --log-stdout run --proxy-address 0.0.0.0:3180 --upstream '*' ` +
		`--with-latency --latency-mean 300 --latency-stddev 50 </dev/null`
	h := newHost(t)
	p := start(t, h, program(t, "sh", "-c", command, faultBinary))

	// The kernel writes an address as the number that it is in memory.
	want := []string{"00000000:0C6C"}
	if !within(500*time.Millisecond, func() bool { return len(p.listening()) > 0 }) {
		t.Error("after half a second it does not listen")
	}
	p.says(t, "\nready after ")
	if at := p.listening(); !slices.Equal(at, want) {
		t.Errorf("it listens on %v, want %v", at, want)
	}
	if text := p.stdout.String(); !strings.Contains(text, "every new TCP connection") {
		t.Errorf("it does not intercept:\n%s", text)
	}
	p.signal(t, syscall.SIGTERM)
	p.endsWithin(t, time.Second, 0)
}
