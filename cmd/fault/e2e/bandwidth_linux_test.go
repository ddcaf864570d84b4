package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// TestBandwidth measures the rate of transfers of five seconds, both ways, by
// each path and through TLS. Slow ones go side by side; a fast one would take
// the processor from its neighbours.
func TestBandwidth(t *testing.T) {
	needs(t, "curl")
	server := newServer(t)
	m := server.serveMeasurer(t)
	everyPiece := []string{"--with-latency", "--latency-mean", "300", "--latency-per-read-write", "--latency-direction", "both"}
	for _, tc := range []struct {
		rate     string
		unit     string
		bytes    float64 // a second
		parallel bool
		path     string   // alone
		also     []string // which must not cost throughput
	}{
		{"10", "KBps", 10e3, true, "", nil},
		{"8", "mbps", 1e6, true, "", nil},
		{"10", "MBps", 10e6, true, "forward", nil},
		{"50", "MBps", 50e6, false, "mapping", everyPiece},
		{"100", "MBps", 100e6, false, "intercepted", nil},
	} {
		h := newClient(t, server)
		t.Run(tc.rate+" "+tc.unit, func(t *testing.T) {
			if tc.parallel {
				t.Parallel()
			}
			args := append(m.mappings(), "--with-bandwidth", "--bandwidth-rate", tc.rate, "--bandwidth-unit", tc.unit,
				"--bandwidth-direction", "both", "--upstream", "*")
			a := h.run(t, append(args, tc.also...)...)
			seconds := 3.0
			if tc.bytes < 1e6 { // a record of TLS is more than a second of it
				seconds = 5
			}
			size := int64(seconds * tc.bytes)
			file := sparse(t, size)
			for _, by := range a.paths(m) {
				if tc.path != "" && tc.path != by.name {
					continue
				}
				for _, scheme := range []string{"http", "https"} {
					t.Run(by.name+" "+scheme, func(t *testing.T) {
						if tc.parallel {
							t.Parallel()
						}
						within3(t, "download", tc.bytes, func() float64 { return m.download(t, h, by, scheme, size) })
						if tc.also == nil { // the client does not say when its last byte left
							within3(t, "upload", tc.bytes, func() float64 { return m.upload(t, h, by, scheme, file, size) })
						}
					})
				}
			}
		})
	}
}

// within3 holds that a rate is 3 % from another at most. Whoever else takes the
// processor can make a transfer slower, but not three in a row, and never
// faster.
func within3(t *testing.T, what string, want float64, measure func() float64) {
	t.Helper()
	for range 3 {
		got := measure()
		t.Logf("%s at %.0f bytes a second, %+.2f %%", what, got, 100*(got/want-1))
		if got > 1.03*want {
			t.Errorf("%s at %.0f bytes a second, asked for %.0f", what, got, want)
		}
		if got > 0.97*want {
			return
		}
	}
	t.Errorf("%s is slower than %.0f bytes a second", what, want)
}

// sparse is a file of zeros that takes no room.
func sparse(t *testing.T, size int64) string {
	t.Helper()
	file := filepath.Join(sharedDir(t), "zeros")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return file
}
