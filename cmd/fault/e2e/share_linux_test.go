package e2e

import (
	"fmt"
	"io"
	"math"
	"net"
	"strconv"
	"testing"
	"time"
)

func init() { roles["hear"] = hear }

// slow is what a greeting takes that was delayed, and tolerable what a busy
// machine takes for one that was not.
const slow, tolerable = 2 * time.Second, time.Second

// hear connects to an echo server so often, at the same time, and prints what
// became of the greeting, and how often: COUNT RESULT.
func hear(args []string) error {
	return tallied(args[1], func(int) string { return heardOf(args[0]) })
}

func heardOf(address string) string {
	c, err := net.DialTimeout("tcp", address, 2*slow)
	if err != nil {
		return named(err)
	}
	defer c.Close()
	began := time.Now()
	_ = c.SetReadDeadline(began.Add(2 * slow))
	switch _, err := c.Read(make([]byte, 100)); {
	case err == io.EOF:
		return "end"
	case err != nil:
		return named(err)
	case time.Since(began) > tolerable:
		return "late"
	}
	return "heard"
}

// TestShare measures how many connections a fault hits that has a probability.
func TestShare(t *testing.T) {
	needs(t)
	t.Parallel()
	const share, n = 0.3, 300
	server := newServer(t)
	echo := server.serveEcho(t, "192.0.2.10:0")
	for name, tc := range map[string]struct {
		flags []string
		hit   string
	}{
		"latency":       {[]string{"--latency-mean", fmt.Sprint(slow.Milliseconds()), "--latency-on", "data"}, "late"},
		"connect-error": {[]string{"--connect-error-kind", "host-unreachable"}, "no route to host"},
		"blackhole":     {nil, "timeout"},
		"reset":         {nil, "connection reset by peer"},
		"truncate":      {nil, "end"},
	} {
		h := newClient(t, server)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h.run(t, append(tc.flags, "--with-"+name, "--"+name+"-probability", fmt.Sprint(share), "--seed", "5", "--upstream", "*")...)
			counts := counted(t, printed(t, h, role(t, "hear", echo, strconv.Itoa(n))))
			off := math.Abs(float64(counts[tc.hit]) - share*n)
			if off > 3*math.Sqrt(n*share*(1-share)) || counts[tc.hit]+counts["heard"] != n {
				t.Errorf("%v, want %q for %v of %d", counts, tc.hit, share, n)
			}
		})
	}
}
