package e2e

import (
	"cmp"
	"reflect"
	"slices"
	"testing"

	"github.com/faultproxy/fault/agent/event"
)

// TestSeedReplays holds that a seed decides every draw of the same flows in the
// same order, and another seed other draws.
func TestSeedReplays(t *testing.T) {
	needs(t, "curl")
	server := newServer(t)
	m := server.serveMeasurer(t)
	drawn := func(seed string) [][]float64 {
		h := newClient(t, server)
		file, toFile := eventsFile(t)
		a := h.run(t, append(m.mappings(), toFile, "--seed", seed, "--upstream", "*",
			"--with-latency", "--latency-mean", "20", "--latency-stddev", "5", "--latency-direction", "both",
			"--with-jitter", "--jitter-amplitude", "10",
			"--with-packet-loss", "--packet-loss-rate", "0.1",
			"--with-http-response", "--http-response-trigger-probability", "0.3")...)
		for _, by := range a.paths(m) {
			for range 5 {
				m.curl(t, h, by, m.url("http", "page"))
			}
		}
		a.stop(t)
		flows := readEvents(t, file).ended() // in the order of their ends
		slices.SortFunc(flows, func(a, b event.Flow) int { return cmp.Compare(a.Flow, b.Flow) })
		var all [][]float64
		for _, flow := range flows {
			draws := []float64{float64(flow.Flow)}
			if flow.HTTP != nil {
				draws = append(draws, float64(flow.HTTP.Status))
			}
			for _, f := range flow.Faults {
				draws = append(draws, f.DrawnMS...)
			}
			all = append(all, draws)
		}
		if len(all) != 20 {
			t.Errorf("%d flows", len(all))
		}
		return all
	}
	first, again, other := drawn("7"), drawn("7"), drawn("8")
	if !reflect.DeepEqual(first, again) {
		t.Errorf("the same seed drew\n%v\n%v", first, again)
	}
	if reflect.DeepEqual(first, other) {
		t.Errorf("two seeds drew %v", first)
	}
}
