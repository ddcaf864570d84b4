package proxy

import (
	"bytes"
	"testing"
	"time"

	"github.com/faultproxy/fault/faults"
)

// What is on its way is seen to wait, and then to have gone on, while the flow
// is still open.
func TestGauges(t *testing.T) {
	noLeaks(t)
	for _, tc := range []struct {
		name  string
		plan  *faults.Plan
		waits bool
	}{
		{"shaped", delayed(constant(500*time.Millisecond), true, 1), true},
		{"copied", &faults.Plan{}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := intercept(t, tc.plan)
			const n = 100_000
			go func() { _, _ = f.server.Write(bytes.Repeat([]byte("x"), n)) }()
			if tc.waits && !within(func() bool { return f.proxy.Waiting() > 0 }) {
				t.Error("no byte waits")
			}
			expect(t, f.client, string(bytes.Repeat([]byte("x"), n)))
			if got, want := f.proxy.Carried(), [2]int64{faults.ToClient: n}; !within(func() bool { return f.proxy.Carried() == want }) {
				t.Errorf("carried %v, want %v", got, want)
			}
			if !within(func() bool { return f.proxy.Waiting() == 0 }) {
				t.Errorf("%d bytes wait for ever", f.proxy.Waiting())
			}
		})
	}
}
