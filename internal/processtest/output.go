// Package processtest is for tests that start processes.
package processtest

import (
	"strings"
	"sync"
)

// Output is what a process has written so far. It may be read while it is
// written, and is ready to use.
type Output struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write adds to the output. It does not fail.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Reset forgets what has been written.
func (o *Output) Reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Reset()
}
