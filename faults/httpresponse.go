package faults

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// HTTPResponse answers requests of plain HTTP instead of the server, which
// does not get them.
type HTTPResponse struct {
	// Status is the code, 200 to 599: one below does not end a request.
	Status int
	// Body may be empty.
	Body string
	// Probability is that of each request to be answered.
	Probability float64
}

// Name is "http-response".
func (f HTTPResponse) Name() string { return "http-response" }

// Links is none: requests are answered, not shaped.
func (f HTTPResponse) Links() Links { return 0 }

// String describes the settings.
func (f HTTPResponse) String() string {
	return fmt.Sprintf("status %d for %s %% of plain HTTP requests", f.Status, percent(f.Probability))
}

// Validate wants a final status and a probability.
func (f HTTPResponse) Validate() error {
	if f.Status < 200 || f.Status > 599 {
		return fmt.Errorf("the status %d does not answer a request; 200 to 599 do", f.Status)
	}
	if !(f.Probability >= 0 && f.Probability <= 1) {
		return fmt.Errorf("%s is not a probability", number(f.Probability))
	}
	return nil
}

// Answers decides about the requests of one flow, in their order.
type Answers struct {
	plan *Plan
	rngs []*rand.Rand // by fault; nil if it does not answer
}

// Answers gives what the plan answers in a flow; nil if it has nothing that
// answers there.
func (p *Plan) Answers(flow uint64) *Answers {
	var a *Answers
	for i, f := range p.Faults {
		if _, ok := f.Fault.(HTTPResponse); !ok || !p.Applies(flow, i) {
			continue
		}
		if a == nil {
			a = &Answers{plan: p, rngs: make([]*rand.Rand, len(p.Faults))}
		}
		a.rngs[i] = p.rng(flow, i, ToServer)
	}
	return a
}

// Decide says what is to answer a request that arrived at a time; nil if the
// server is. Each fault that was on and asked has an effect.
func (a *Answers) Decide(at time.Duration) (*HTTPResponse, []Effect) {
	if a.plan.paused() {
		return nil, nil
	}
	var effects []Effect
	for i, rng := range a.rngs {
		if rng == nil || !a.plan.Faults[i].Schedule.On(at) {
			continue
		}
		f := a.plan.Faults[i].Fault.(HTTPResponse)
		e := Effect{Fault: i, Tried: 1}
		if rng.Float64() < f.Probability {
			e.Hit = 1
			return &f, append(effects, e)
		}
		effects = append(effects, e)
	}
	return nil, effects
}

// On says whether a request that arrives at a time may be answered.
func (a *Answers) On(at time.Duration) bool {
	if a.plan.paused() {
		return false
	}
	for i, rng := range a.rngs {
		if rng != nil && a.plan.Faults[i].Schedule.On(at) {
			return true
		}
	}
	return false
}

// Spent says that no request after a time will be answered.
func (a *Answers) Spent(at time.Duration) bool {
	for i, rng := range a.rngs {
		s := a.plan.Faults[i].Schedule
		if rng != nil && (s.On(at) || !s.last(at)) {
			return false
		}
	}
	return true
}
