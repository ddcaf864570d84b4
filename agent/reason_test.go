package agent

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/zap"
)

// TestAskedBy holds that a run says who asked it to end, whether it came to be
// or not.
func TestAskedBy(t *testing.T) {
	for why, want := range map[error]Reason{
		nil:                                    BySignal,
		context.Canceled:                       BySignal,
		fmt.Errorf("chaos: %w", ErrParentGone): ByParent,
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(why)
		synctest.Test(t, func(t *testing.T) {
			text, json := run(t, everything(t), ctx, nil)
			told := fmt.Sprintf("fault ended after 0:00 (%s), exit 0\n", strings.ReplaceAll(string(want), "-", " "))
			if !strings.Contains(text, told) || !strings.Contains(json, fmt.Sprintf(`"reason":"%s","exit_code":0`, want)) {
				t.Errorf("%v: it says\n%s%swant %s", why, text, json, want)
			}
		})
		report, err := Run(ctx, Config{
			Proxy: netip.MustParseAddrPort("127.0.0.1:0"), Transparent: Off, Upstreams: upstreamsOf(t, "no-such-host.invalid"), Log: zap.NewNop(),
		})
		if err != nil || report.Reason != want {
			t.Errorf("%v: %s, %v, want %s", why, report.Reason, err, want)
		}
	}
}
