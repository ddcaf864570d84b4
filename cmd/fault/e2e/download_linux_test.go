package e2e

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestDownload holds that latency costs time to the first byte, and nothing
// after it.
func TestDownload(t *testing.T) {
	needs(t, "nginx", "curl")
	server := newServer(t)
	const size = 100_000_000
	sum := writeNoise(t, filepath.Join(server.serveWeb(t), "www", "noise"), size)
	slowed, carried, direct := newClient(t, server), newClient(t, server), newClient(t, server)
	slowed.run(t, latency...)
	carried.run(t, "--upstream", "*")
	url := pageURL("http", server.v4) + "noise"

	hash := sha256.New()
	get := program(t, "curl", "-sS", "--max-time", "20", url)
	get.Stdout = hash
	if answer(t, slowed, get); hex.EncodeToString(hash.Sum(nil)) != sum {
		t.Error("the download is not what the server has")
	}

	// In turns, so that whatever else goes on here meets all three alike.
	var overCarried, overDirect []float64
	for range 5 {
		with, without, bare := rate(t, slowed, url, size), rate(t, carried, url, size), rate(t, direct, url, size)
		overCarried = append(overCarried, with/without)
		overDirect = append(overDirect, with/bare)
		t.Logf("after the first byte: %.0f MB/s slowed, %.0f without faults, %.0f without agent", with/1e6, without/1e6, bare/1e6)
	}
	slices.Sort(overCarried)
	slices.Sort(overDirect)
	t.Logf("slowed to no faults %.2f, slowed to no agent %.2f (medians)", overCarried[2], overDirect[2])
	if overCarried[2] < 0.5 {
		t.Errorf("with latency the throughput is %.2f of that without", overCarried[2])
	}
}

// rate downloads and gives the bytes a second from the first byte on.
func rate(t *testing.T, h *host, url string, size float64) float64 {
	t.Helper()
	said := strings.Fields(answer(t, h, program(t, "curl", "-sS", "--max-time", "20", "-o", os.DevNull,
		"-w", "%{size_download} %{time_total} %{time_starttransfer}", url)))
	var n [3]float64
	for i, text := range said {
		var err error
		if n[i], err = strconv.ParseFloat(text, 64); err != nil {
			t.Fatal(err)
		}
	}
	if n[0] != size {
		t.Fatalf("curl got %v bytes of %v", n[0], size)
	}
	return size / (n[1] - n[2])
}

// writeNoise writes a file that cannot be guessed, and returns its SHA-256.
func writeNoise(t *testing.T, path string, size int64) string {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(f, hash), rand.Reader, size); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(hash.Sum(nil))
}
