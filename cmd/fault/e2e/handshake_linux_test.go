package e2e

import (
	_ "embed"
	"path/filepath"
	"strings"
	"testing"
)

//go:embed testdata/connect/times.py
var connectTimes string

// TestHandshake holds what a program measures of a latency: when connect(2) is
// done, and when the first byte is there.
func TestHandshake(t *testing.T) {
	needs(t, "python3")
	t.Parallel()
	const delay, usual = 300, 100 // ms; the usual is what a busy machine takes
	server := newServer(t)
	echoes := []string{server.serveEcho(t, "192.0.2.10:0"), server.serveEcho(t, "[2001:db8::10]:0")}
	for on, want := range map[string][2]int{
		"":        {delay, 2 * delay},
		"both":    {delay, 2 * delay},
		"connect": {delay, delay},
		"data":    {0, delay},
	} {
		h := newClient(t, server)
		t.Run("on "+on, func(t *testing.T) {
			flags := []string{"--with-latency", "--latency-mean", "300", "--upstream", "*"}
			if on != "" {
				flags = append(flags, "--latency-on", on)
			}
			h.run(t, flags...)
			path := writeFile(t, filepath.Join(sharedDir(t), "times.py"), connectTimes)
			for _, line := range printed(t, h, program(t, "python3", append([]string{path}, echoes...)...)) {
				f := strings.Fields(line)
				for i, part := range []string{"connect", "first byte"} {
					if took := number(t, f[i+1]); took < want[i] || took > want[i]+usual {
						t.Errorf("%s: the %s took %d ms, want %d", f[0], part, took, want[i])
					}
				}
			}
		})
	}
}
