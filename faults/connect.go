package faults

import (
	"math/rand/v2"
	"time"
)

// Wait is how a client waits for its connection.
type Wait uint8

// The ways to wait.
const (
	// Accepted is a client that is connected, to us, before we are to the
	// upstream: what it learns of that it learns from the bytes.
	Accepted Wait = iota
	// Asked is one that waits for an answer, with HTTP CONNECT.
	Asked
	// Held is one whose connect(2) waits.
	Held
)

// A connecting fault is one that what makes a connection meets, too: on the
// link to the server the question, on the link to the client the answer.
type connecting interface {
	Fault
	// connects says whether the fault minds how a client gets its connection.
	connects(wait Wait) bool
	// question and answer give the fault's part in one link; nil is none. They
	// draw from rng and from nothing else.
	question() Shaper
	answer(rng *rand.Rand) Shaper
}

// Connect is one attempt of a client to connect. It is used by one goroutine.
type Connect struct {
	// Dial is when the upstream may be dialled; [Never] if it is not to be.
	// That is because the attempt fails, or because nothing of it arrives.
	Dial time.Duration
	// Fail is how the attempt fails without the upstream's knowing, "" if it
	// does not.
	Fail ConnectFailure
	// Effects is what the faults did, by [Link], those of [Connect.Answer] once
	// that was asked.
	Effects [2][]Effect

	wait    Wait
	answers [2]*Chain
}

// Connects says whether there is a fault that minds how clients that wait in
// some way get their connections, on or not.
func (p *Plan) Connects(wait Wait) bool {
	for _, f := range p.Faults {
		if minds(f.Fault, wait) {
			return true
		}
	}
	return false
}

func minds(f Fault, wait Wait) bool {
	if _, fails := f.(ConnectError); fails {
		return true
	}
	c, ok := f.(connecting)
	return ok && c.connects(wait)
}

// Connect says what becomes of the attempt of a flow to connect that is made at
// a time. Who asks dials then, if [Connect.Fail] and [Connect.Dial] do not keep
// it, and asks [Connect.Answer] what becomes of the answer:
//
//	c := plan.Connect(flow, now, faults.Held)
//	// c.Fail != "": do not dial; c.Dial == Never: neither dial nor answer;
//	// otherwise at c.Dial dial, and when it is known what comes of that:
//	leave := c.Answer(now)
func (p *Plan) Connect(flow uint64, at time.Duration, wait Wait) *Connect {
	c := &Connect{Dial: at, wait: wait, answers: [2]*Chain{{paused: p.paused}, {paused: p.paused}}}
	questions := [2]*Chain{{paused: p.paused}, {paused: p.paused}}
	for i, f := range p.Faults {
		if !p.Applies(flow, i) {
			continue
		}
		if fault, ok := f.Fault.(ConnectError); ok && c.Fail == "" && !p.paused() && f.Schedule.On(at) {
			c.fail(fault, i, p.connectRNG(flow, i, ToServer))
		}
		fault, ok := f.Fault.(connecting)
		if !ok || !fault.connects(wait) {
			continue
		}
		for _, link := range []Link{ToServer, ToClient} {
			if !fault.Links().Has(link) {
				continue
			}
			questions[link].add(i, f.Schedule, fault.question())
			c.answers[link].add(i, f.Schedule, fault.answer(p.connectRNG(flow, i, link)))
		}
	}
	if c.Fail != "" {
		c.Dial = Never
	} else {
		c.Dial = c.cross(questions, at)
	}
	return c
}

// connectRNG is what a fault draws from for how a flow connects. It is not what
// that draws from for the bytes: no flow has such a number.
func (p *Plan) connectRNG(flow uint64, fault int, link Link) *rand.Rand {
	return p.rng(flow|1<<63, fault, link)
}

// fail decides whether the attempt fails.
func (c *Connect) fail(f ConnectError, fault int, rng *rand.Rand) {
	e := Effect{Fault: fault, Tried: 1}
	if rng.Float64() < f.Probability {
		e.Hit = 1
		c.Fail = f.Kind
	}
	c.Effects[ToServer] = append(c.Effects[ToServer], e)
}

// Answer is when the client may be told what came of its attempt, which is
// known at a time: not before that, and [Never] if it is not told at all. A
// client that is told nothing of a timeout counts for itself, if it is held.
func (c *Connect) Answer(at time.Duration) time.Duration {
	if c.Fail == TimedOut && c.wait == Held {
		return Never
	}
	return c.cross(c.answers, at)
}

// cross takes what makes a connection over both links.
func (c *Connect) cross(links [2]*Chain, at time.Duration) time.Duration {
	for link, chain := range links {
		d := chain.Shape(at, 0)
		c.Effects[link] = append(c.Effects[link], d.Effects...)
		if at = d.Leave; at == Never {
			break
		}
	}
	return at
}

// add appends a fault to a chain, if it has a part in that.
func (c *Chain) add(fault int, schedule Schedule, shaper Shaper) {
	if shaper != nil {
		c.stages = append(c.stages, stage{
			fault: fault, schedule: schedule, period: -1,
			draw: func() Shaper { return shaper },
		})
	}
}
