package faults

import (
	"reflect"
	"slices"
	"testing"
	"time"
)

var toClientOnly, toServerOnly = LinksOf(Server, Ingress), LinksOf(Server, Egress)

func TestLatencyOnConnect(t *testing.T) {
	for _, tc := range []struct {
		phase   Phase
		delayed [3]bool // by Wait
		data    bool
	}{
		{AtDefault, [3]bool{Held: true}, true},
		{AtConnect, [3]bool{true, true, true}, false},
		{AtData, [3]bool{}, true},
		{AtBoth, [3]bool{true, true, true}, true},
	} {
		f := Latency{Delay: constant(300), On: toClientOnly, Phase: tc.phase}
		plan := &Plan{Faults: always(f)}
		for _, wait := range []Wait{Accepted, Asked, Held} {
			c := plan.Connect(1, 10, wait)
			want, effects := time.Duration(50), [2][]Effect{}
			if tc.delayed[wait] {
				want, effects[ToClient] = 350, []Effect{{Delay: 300}}
			}
			if leave := c.Answer(50); c.Dial != 10 || c.Fail != "" || leave != want || !reflect.DeepEqual(c.Effects, effects) {
				t.Errorf("%q, %d: dialled at %d, answered at %d, want %d; %v", tc.phase, wait, c.Dial, leave, want, c.Effects)
			}
			if plan.Connects(wait) != tc.delayed[wait] || f.OnConnect(wait) != tc.delayed[wait] {
				t.Errorf("%q, %d: connects %v", tc.phase, wait, plan.Connects(wait))
			}
		}
		data := plan.Chain(1, ToClient, Stream)
		if d := shapes(t, data, 5, 1); (d.Leave == 305) != tc.data {
			t.Errorf("%q: a byte of 5 leaves at %d", tc.phase, d.Leave)
		}
	}
}

// A round trip takes both links, and each has a draw of its own.
func TestLatencyOnConnectOfBothLinks(t *testing.T) {
	d := Uniform{100, 10_000}
	plan := &Plan{Faults: always(Latency{Delay: d, On: both, Phase: AtConnect, PerReadWrite: true}), Seed: 7}
	c := plan.Connect(3, 0, Accepted)
	leave := c.Answer(1000)
	up, down := c.Effects[ToServer], c.Effects[ToClient]
	if len(up) != 1 || len(down) != 1 || up[0].Delay == down[0].Delay || leave != 1000+up[0].Delay+down[0].Delay {
		t.Errorf("answered at %d after %v", leave, c.Effects)
	}
}

// What a flow draws for its connection is its own, and the same again; what it
// draws for its bytes does not depend on that.
func TestConnectDraws(t *testing.T) {
	d := Uniform{0, time.Hour}
	with := func(phase Phase) *Plan {
		return &Plan{Faults: always(Latency{Delay: d, On: toClientOnly, Phase: phase}), Seed: 42}
	}
	seen := make(map[time.Duration]bool)
	for flow := range uint64(100) {
		connect := with(AtBoth).Connect(flow, 0, Held).Answer(0)
		if again := with(AtConnect).Connect(flow, 5, Asked).Answer(0); again != connect {
			t.Fatalf("flow %d: %v, then %v", flow, connect, again)
		}
		data := shapes(t, with(AtBoth).Chain(flow, ToClient, Stream), 0, 1).Leave
		if alone := shapes(t, with(AtData).Chain(flow, ToClient, Stream), 0, 1).Leave; alone != data {
			t.Fatalf("flow %d: bytes leave at %v, without connect at %v", flow, data, alone)
		}
		seen[connect], seen[data] = true, true
	}
	if len(seen) != 200 {
		t.Errorf("%d draws of 200 are different", len(seen))
	}
}

func TestConnectError(t *testing.T) {
	for _, kind := range ConnectFailures {
		plan := &Plan{Faults: always(
			ConnectError{Kind: kind, Probability: 1}, ConnectError{Kind: Refused, Probability: 1},
			Latency{Delay: constant(300), On: toClientOnly, Phase: AtConnect},
		)}
		for _, wait := range []Wait{Accepted, Asked, Held} {
			c := plan.Connect(1, 10, wait)
			want := time.Duration(310)
			if kind == TimedOut && wait == Held {
				want = Never
			}
			if leave := c.Answer(10); c.Fail != kind || c.Dial != Never || leave != want {
				t.Errorf("%s, %d: fails with %q, dialled at %d, answered at %d, want %d", kind, wait, c.Fail, c.Dial, leave, want)
			}
			if want := []Effect{{Tried: 1, Hit: 1}}; !slices.Equal(c.Effects[ToServer], want) { // the second was not asked
				t.Errorf("%s: %v", kind, c.Effects)
			}
			if !plan.Connects(wait) {
				t.Errorf("%s: connects nothing of %d", kind, wait)
			}
		}
	}
}

func TestConnectErrorProbability(t *testing.T) {
	fate := func(seed uint64, probability float64) (fates []bool) {
		plan := &Plan{Faults: always(ConnectError{Kind: Refused, Probability: probability}), Seed: seed}
		for flow := range uint64(10_000) {
			c := plan.Connect(flow, 0, Held)
			if want := []Effect{{Tried: 1}}; c.Fail == "" && !slices.Equal(c.Effects[ToServer], want) {
				t.Fatalf("flow %d: %v", flow, c.Effects)
			}
			fates = append(fates, c.Fail != "")
		}
		return fates
	}
	quarter := fate(1, .25)
	failed := 0
	for _, fails := range quarter {
		if fails {
			failed++
		}
	}
	if failed < 2300 || failed > 2700 {
		t.Errorf("%d of 10,000 fail, asked for a quarter", failed)
	}
	if !slices.Equal(fate(1, .25), quarter) {
		t.Error("the same seed gave another fate")
	}
	if slices.Equal(fate(2, .25), quarter) {
		t.Error("another seed gave the same fate")
	}
	if slices.Contains(fate(1, 0), true) || slices.Contains(fate(1, 1), false) {
		t.Error("0 fails some, or 1 not all")
	}
}

func TestConnectErrorSchedule(t *testing.T) {
	paused := false
	plan := &Plan{
		Faults: []Planned{{Fault: ConnectError{Kind: Refused, Probability: 1}, Schedule: Schedule{{Start: 10, End: 20}}}},
		Paused: func() bool { return paused },
	}
	for at, want := range map[time.Duration]ConnectFailure{9: "", 10: Refused, 19: Refused, 20: ""} {
		if c := plan.Connect(1, at, Held); c.Fail != want || (c.Effects[ToServer] != nil) != (want != "") {
			t.Errorf("at %d fails with %q, want %q; %v", at, c.Fail, want, c.Effects)
		}
	}
	paused = true
	if c := plan.Connect(1, 15, Held); c.Fail != "" || c.Effects[ToServer] != nil {
		t.Errorf("paused: %+v", c)
	}
}

func TestBlackholeAtConnect(t *testing.T) {
	for _, links := range []Links{toServerOnly, toClientOnly, both} {
		for _, wait := range []Wait{Accepted, Asked, Held} {
			plan := &Plan{Faults: always(Blackhole{On: links})}
			c := plan.Connect(1, 10, wait)
			if hangs := wait != Accepted; (c.Dial == Never) != hangs || (c.Answer(20) == Never) != hangs || plan.Connects(wait) != hangs {
				t.Errorf("%v, %d: dialled at %d", links, wait, c.Dial)
			}
			if wait == Accepted {
				continue
			}
			link := ToServer
			if !links.Has(ToServer) {
				link = ToClient
			}
			if e := c.Effects[link]; len(e) == 0 || e[0] != (Effect{Delay: Never}) {
				t.Errorf("%v: %v", links, c.Effects)
			}
		}
	}
}

// A question that is swallowed is asked again when the hole closes, and so is
// an answer.
func TestBlackholeAtConnectEnds(t *testing.T) {
	plan := &Plan{Faults: []Planned{
		{Fault: Latency{Delay: constant(3), On: toClientOnly}},
		{Fault: Blackhole{On: both}, Schedule: Schedule{{Start: 100, End: 200}, {Start: 300, End: 400}}},
	}}
	for _, tc := range []struct{ at, dial, known, leave time.Duration }{
		{50, 50, 60, 63},     // before
		{50, 50, 150, 203},   // the answer falls into it
		{50, 50, 99, 200},    // when it has got to the client
		{150, 200, 210, 213}, // the question falls into it
		{150, 200, 350, 403}, // and so does the answer
		{250, 250, 250, 253}, // between
		{400, 400, 401, 404}, // after
	} {
		c := plan.Connect(1, tc.at, Held)
		if leave := c.Answer(tc.known); c.Dial != tc.dial || leave != tc.leave {
			t.Errorf("at %d: dialled at %d, want %d; known at %d, told at %d, want %d", tc.at, c.Dial, tc.dial, tc.known, leave, tc.leave)
		}
	}
}

// The refusal of a host behind a hole does not arrive either.
func TestConnectErrorInABlackhole(t *testing.T) {
	c := (&Plan{Faults: always(ConnectError{Kind: Refused, Probability: 1}, Blackhole{On: toClientOnly})}).Connect(1, 0, Held)
	if leave := c.Answer(0); c.Fail != Refused || leave != Never {
		t.Errorf("%q is told at %d", c.Fail, leave)
	}
}

func TestConnectPaused(t *testing.T) {
	paused := true
	plan := &Plan{
		Faults: always(Latency{Delay: constant(3), On: both}, Blackhole{On: both}),
		Paused: func() bool { return paused },
	}
	if c := plan.Connect(1, 5, Held); c.Dial != 5 || c.Answer(7) != 7 {
		t.Errorf("paused: dialled at %d", c.Dial)
	}
	paused = false
	c := plan.Connect(1, 5, Held)
	paused = true // which lets nothing out that was swallowed
	if c.Dial != Never {
		t.Errorf("dialled at %d", c.Dial)
	}
}

// Faults of bytes leave connecting alone.
func TestConnectOfOthers(t *testing.T) {
	plan := &Plan{Faults: always(
		Jitter{Amplitude: 5, Frequency: 1, On: both}, PacketLoss{Rate: 1, On: both},
		Bandwidth{Rate: 1, On: both}, HTTPResponse{Status: 500, Probability: 1},
	)}
	if c := plan.Connect(1, 5, Held); plan.Connects(Held) || c.Dial != 5 || c.Fail != "" || c.Answer(7) != 7 || !reflect.DeepEqual(c.Effects, [2][]Effect{}) {
		t.Errorf("%+v", c)
	}
}

func TestConnectErrorSettings(t *testing.T) {
	f := ConnectError{Kind: HostUnreachable, Probability: .25}
	if f.Name() != "connect-error" || f.Links() != 0 || f.String() != "host unreachable, 25 % of connections" || f.Validate() != nil {
		t.Errorf("%s, %q, %v, %v", f.Name(), f, f.Links(), f.Validate())
	}
	for _, bad := range []ConnectError{{Probability: 1}, {Kind: "gone", Probability: 1}, {Kind: Refused, Probability: -1}, {Kind: Refused, Probability: 2}} {
		if bad.Validate() == nil {
			t.Errorf("%+v was accepted", bad)
		}
	}
}

func TestLatencyPhases(t *testing.T) {
	for phase, want := range map[Phase]string{
		AtDefault: "once a flow", AtConnect: "at connect only", AtData: "once a flow, not at connect", AtBoth: "at connect, and once a flow",
	} {
		f := Latency{Delay: constant(300 * time.Millisecond), On: toClientOnly, Phase: phase}
		if want := "normal, mean 300, stddev 0 ms; to client, " + want; f.String() != want || f.Validate() != nil {
			t.Errorf("%q, %v, want %q", f, f.Validate(), want)
		}
	}
	if (Latency{Delay: constant(1), Phase: "later"}).Validate() == nil {
		t.Error("an unknown phase was accepted")
	}
}
