package faults

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"
)

// Faults draw from streams of their own: one more fault in a plan, or the
// other link's pieces, do not change what the first one draws.
func TestStreamsAreSeparate(t *testing.T) {
	d := Uniform{0, time.Hour}
	f := Latency{Delay: d, On: both, PerReadWrite: true}
	alone, pair := Plan{Faults: always(f), Seed: 3}, Plan{Faults: always(f, f), Seed: 3}
	a, b, other := alone.Chain(9, ToClient, Datagrams), pair.Chain(9, ToClient, Datagrams), pair.Chain(9, ToServer, Datagrams)
	for range 100 {
		first := shapes(t, a, 0, 1).Effects
		shapes(t, other, 0, 1)
		second := shapes(t, b, 0, 1).Effects
		if first[0] != second[0] {
			t.Fatalf("drew %v alone and %v in company", first[0], second[0])
		}
		if second[0].Delay == second[1].Delay {
			t.Fatalf("two faults drew the same %v", second[0].Delay)
		}
	}
}

// fate is what becomes of a flow: a busy minute on each link, and a request a
// second.
func fate(p *Plan, flow uint64, carrier Carrier) (departures []Departure, status []int) {
	for _, link := range []Link{ToServer, ToClient} {
		c := p.Chain(flow, link, carrier)
		for at := time.Duration(0); at < time.Minute; at += 50 * time.Millisecond {
			departures = append(departures, c.Shape(at, int(at/time.Millisecond)%3000))
		}
	}
	if p.Answers(flow) != nil {
		status = decisions(p, flow, 60)
	}
	return departures, status
}

// The seed and the flow's number decide everything that is drawn, and nothing
// else does.
func TestSeedDecidesTheFate(t *testing.T) {
	periods := Schedule{{time.Second, 20 * time.Second}, {30 * time.Second, Never}}
	for _, f := range []Fault{
		Latency{Delay: Uniform{0, time.Hour}, On: both},
		Latency{Delay: Normal{300 * time.Millisecond, 50 * time.Millisecond}, On: both, PerReadWrite: true},
		Jitter{Amplitude: 20 * time.Millisecond, Frequency: 5, On: both},
		PacketLoss{Rate: .1, On: both},
		PacketLoss{On: both},
		HTTPResponse{Status: 503, Probability: .5},
	} {
		for _, schedule := range []Schedule{nil, periods} {
			for _, carrier := range []Carrier{Stream, Datagrams} {
				t.Run(fmt.Sprintf("%v, %v, %d", f, schedule, carrier), func(t *testing.T) {
					plan := func(seed uint64) *Plan { return &Plan{Faults: []Planned{{Fault: f, Schedule: schedule}}, Seed: seed} }
					pieces, status := fate(plan(42), 7, carrier)
					if again, anew := fate(plan(42), 7, carrier); !reflect.DeepEqual(pieces, again) || !slices.Equal(status, anew) {
						t.Error("one seed, two runs")
					}
					for what, other := range map[string]struct{ seed, flow uint64 }{
						"another seed": {43, 7}, "another flow": {42, 8}, "a seed far away": {1 << 63, 7}, "the first flow": {42, 0},
					} {
						if again, anew := fate(plan(other.seed), other.flow, carrier); reflect.DeepEqual(pieces, again) && slices.Equal(status, anew) {
							t.Errorf("%s, the same fate", what)
						}
					}
				})
			}
		}
	}
}

// The flows of a run share nothing, so that the order in which they come to
// their pieces decides nothing.
func TestFlowsReplayInAnyOrder(t *testing.T) {
	plan := &Plan{Seed: 5, Faults: []Planned{
		{Fault: PacketLoss{On: both}}, {Fault: Jitter{Amplitude: time.Second, Frequency: 5, On: both}, Schedule: Schedule{{time.Second, Never}}},
		{Fault: HTTPResponse{Status: 503, Probability: .5}},
	}}
	const flows = 10
	chains, answers := make([]*Chain, flows), make([]*Answers, flows)
	for flow := range uint64(flows) {
		chains[flow], answers[flow] = plan.Chain(flow, ToClient, Stream), plan.Answers(flow)
	}
	together := make([][]Departure, flows)
	status := make([][]int, flows)
	for i := range 60 {
		at := time.Duration(i) * time.Second
		for flow := range flows {
			together[flow] = append(together[flow], chains[flow].Shape(at, 100))
			f, _ := answers[flow].Decide(at)
			if f == nil {
				f = &HTTPResponse{}
			}
			status[flow] = append(status[flow], f.Status)
		}
	}
	for flow := flows - 1; flow >= 0; flow-- { // the last first
		c := plan.Chain(uint64(flow), ToClient, Stream)
		var alone []Departure
		for i := range 60 {
			alone = append(alone, c.Shape(time.Duration(i)*time.Second, 100))
		}
		if !reflect.DeepEqual(alone, together[flow]) || !slices.Equal(decisions(plan, uint64(flow), 60), status[flow]) {
			t.Errorf("flow %d has another fate when it is alone", flow)
		}
	}
}

// What is exact draws nothing: no seed alters it.
func TestSomeFaultsDrawNothing(t *testing.T) {
	for _, f := range []Fault{Bandwidth{Rate: 1000, On: both}, Blackhole{On: both}, Latency{Delay: constant(5), On: both}} {
		a, _ := fate(&Plan{Faults: always(f), Seed: 1}, 1, Stream)
		b, _ := fate(&Plan{Faults: always(f), Seed: 2}, 2, Stream)
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%v depends on the seed", f)
		}
	}
}
