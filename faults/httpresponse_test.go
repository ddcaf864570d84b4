package faults

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

// decisions is what a plan answers to so many requests of a flow, one each
// second: 0 if the server answers.
func decisions(p *Plan, flow uint64, requests int) []int {
	a := p.Answers(flow)
	status := make([]int, requests)
	for i := range status {
		if f, _ := a.Decide(time.Duration(i) * time.Second); f != nil {
			status[i] = f.Status
		}
	}
	return status
}

func count(status []int, of int) (n int) {
	for _, s := range status {
		if s == of {
			n++
		}
	}
	return n
}

func TestAnswersHaveTheirProbability(t *testing.T) {
	for _, p := range []float64{.1, .25, .9} {
		plan := &Plan{Faults: always(HTTPResponse{Status: 503, Probability: p}), Seed: 1}
		share(t, "requests of a flow", count(decisions(plan, 1, 2000), 503), 2000, p)
		first := 0
		for flow := range uint64(2000) {
			first += count(decisions(plan, flow, 1), 503)
		}
		share(t, "first requests", first, 2000, p)
	}
	for p, want := range map[float64]int{0: 0, 1: 2000} {
		plan := &Plan{Faults: always(HTTPResponse{Status: 503, Probability: p}), Seed: 1}
		if got := count(decisions(plan, 1, 2000), 503); got != want {
			t.Errorf("with a probability of %v %d of 2000 are answered", p, got)
		}
	}
}

// The answer is what was set, and tells of itself.
func TestAnswerIsTheFault(t *testing.T) {
	f := HTTPResponse{Status: 418, Body: "a teapot", Probability: 1}
	plan := &Plan{Faults: always(Latency{Delay: constant(1), On: both}, f)}
	got, effects := plan.Answers(1).Decide(0)
	if got == nil || *got != f || !slices.Equal(effects, []Effect{{Fault: 1, Tried: 1, Hit: 1}}) {
		t.Errorf("%+v, %v", got, effects)
	}
	// What one flow does with its answer does not alter that of others.
	got.Body = "altered"
	if again, _ := plan.Answers(2).Decide(0); *again != f {
		t.Errorf("%+v", again)
	}
}

// The first that answers does; those before it have been asked, those behind
// have not.
func TestAnswersInTheOrderOfThePlan(t *testing.T) {
	never := HTTPResponse{Status: 500}
	always503 := HTTPResponse{Status: 503, Probability: 1}
	plan := &Plan{Faults: []Planned{{Fault: never}, {Fault: always503, Schedule: Schedule{{10, 20}}}, {Fault: HTTPResponse{Status: 429, Probability: 1}}}}
	for at, want := range map[time.Duration]struct {
		status  int
		effects []Effect
	}{
		0:  {429, []Effect{{Fault: 0, Tried: 1}, {Fault: 2, Tried: 1, Hit: 1}}},
		10: {503, []Effect{{Fault: 0, Tried: 1}, {Fault: 1, Tried: 1, Hit: 1}}},
		20: {429, []Effect{{Fault: 0, Tried: 1}, {Fault: 2, Tried: 1, Hit: 1}}},
	} {
		f, effects := plan.Answers(1).Decide(at)
		if f == nil || f.Status != want.status || !slices.Equal(effects, want.effects) {
			t.Errorf("at %d: %v, %v, want %d, %v", at, f, effects, want.status, want.effects)
		}
	}
}

// Faults draw from streams of their own: one more that answers does not alter
// when the first does.
func TestAnswersAreSeparate(t *testing.T) {
	half := HTTPResponse{Status: 500, Probability: .5}
	other := HTTPResponse{Status: 503, Probability: .5}
	alone := decisions(&Plan{Faults: always(half), Seed: 3}, 7, 1000)
	pair := decisions(&Plan{Faults: always(half, other), Seed: 3}, 7, 1000)
	for i := range alone {
		if (alone[i] == 500) != (pair[i] == 500) {
			t.Fatalf("request %d is answered %d alone and %d in company", i, alone[i], pair[i])
		}
	}
	share(t, "of those left", count(pair, 503), 1000-count(pair, 500), .5)
}

func TestAnswersFollowTheirSchedule(t *testing.T) {
	plan := &Plan{Faults: []Planned{
		{Fault: HTTPResponse{Status: 500, Probability: 1}, Schedule: Schedule{{10, 20}, {30, 40}}},
		{Fault: HTTPResponse{Status: 503, Probability: 1}, Schedule: Schedule{{35, 50}}},
	}}
	a := plan.Answers(1)
	for _, tc := range []struct {
		at        time.Duration
		status    int
		on, spent bool
	}{
		{0, 0, false, false}, {9, 0, false, false}, {10, 500, true, false}, {19, 500, true, false}, {20, 0, false, false},
		{30, 500, true, false}, {35, 500, true, false}, {40, 503, true, false}, {49, 503, true, false}, {50, 0, false, true}, {1000, 0, false, true},
	} {
		f, effects := a.Decide(tc.at)
		status := 0
		if f != nil {
			status = f.Status
		}
		if status != tc.status || (effects != nil) != tc.on || a.On(tc.at) != tc.on || a.Spent(tc.at) != tc.spent {
			t.Errorf("at %d: %d, %v, on %v, spent %v", tc.at, status, effects, a.On(tc.at), a.Spent(tc.at))
		}
	}
}

func TestAnswersAreSpentWithTheLast(t *testing.T) {
	f := HTTPResponse{Status: 500, Probability: .5}
	for _, tc := range []struct {
		faults []Planned
		at     time.Duration
		spent  bool
	}{
		{always(f), 0, false},
		{[]Planned{{Fault: f, Schedule: Schedule{{10, Never}}}}, 0, false},
		{[]Planned{{Fault: f, Schedule: Schedule{{10, Never}}}}, 1 << 60, false},
		{[]Planned{{Fault: f, Schedule: Schedule{{10, 20}}}, {Fault: f}}, 30, false},
		{[]Planned{{Fault: f, Schedule: Schedule{{10, 20}}}, {Fault: Blackhole{On: both}}}, 30, true},
		{[]Planned{{Fault: f, Schedule: Schedule{}}}, 0, true},
	} {
		if got := (&Plan{Faults: tc.faults}).Answers(1).Spent(tc.at); got != tc.spent {
			t.Errorf("%v: spent at %v is %v", tc.faults, tc.at, got)
		}
	}
}

// A plan that answers nothing says so before there is a request.
func TestPlanWithoutAnswers(t *testing.T) {
	for _, faults := range [][]Fault{nil, {Blackhole{On: both}, Latency{Delay: constant(1), On: both}}} {
		if a := (&Plan{Faults: always(faults...)}).Answers(1); a != nil {
			t.Errorf("%v", a)
		}
	}
}

func TestHTTPResponseSettings(t *testing.T) {
	var f Fault = HTTPResponse{Status: 503, Probability: .07}
	if f.Name() != "http-response" || f.String() != "status 503 for 7 % of plain HTTP requests" || f.Links() != 0 {
		t.Errorf("%s, %q, %v", f.Name(), f, f.Links())
	}
	if _, shapes := f.(Shaping); shapes {
		t.Error("it shapes")
	}
	for _, tc := range []struct {
		status      int
		probability float64
		good        bool
	}{
		{200, 0, true}, {503, .5, true}, {599, 1, true},
		{0, 1, false}, {99, 1, false}, {100, 1, false}, {199, 1, false}, {600, 1, false}, {-1, 1, false},
		{500, -.1, false}, {500, 1.1, false}, {500, math.NaN(), false},
	} {
		if err := (HTTPResponse{Status: tc.status, Probability: tc.probability}).Validate(); (err == nil) != tc.good {
			t.Errorf("%s: %v", fmt.Sprint(tc), err)
		}
	}
}
