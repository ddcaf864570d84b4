package faults

import (
	"math"
	"slices"
	"testing"
	"time"
)

// share fails unless a share of hits is within three standard errors of a
// probability.
func share(t *testing.T, what string, hit, tried int, p float64) {
	t.Helper()
	got := float64(hit) / float64(tried)
	if limit := 3 * math.Sqrt(p*(1-p)/float64(tried)); math.Abs(got-p) > limit {
		t.Errorf("%s: %.4f of %d, want %.4f within %.4f", what, got, tried, p, limit)
	}
}

// sampledBy passes packets through the loss of one link, and gives the counts.
func sampledBy(t *testing.T, f PacketLoss, seed uint64, carrier Carrier, packets int) (tried, hit, gone int) {
	t.Helper()
	s := f.Shaper(generator(seed), carrier)
	for range packets {
		leave, err := s.Shape(0, 1)
		if err != nil || s.Spent() {
			t.Fatal(err, s.Spent())
		}
		if leave == Never {
			gone++
		}
	}
	tried, hit = s.(sampler).sampled()
	return tried, hit, gone
}

func TestLossHasItsRate(t *testing.T) {
	for _, p := range []float64{.001, .03, .25, .5, .9} {
		f := PacketLoss{Rate: p, On: both}
		tried, hit, gone := sampledBy(t, f, 1, Datagrams, 100_000)
		if share(t, f.String(), hit, tried, p); tried != 100_000 || hit != gone {
			t.Errorf("%v: of %d datagrams %d were hit and %d are gone", f, tried, hit, gone)
		}
		tried, hit, _ = sampledBy(t, f, 2, Stream, 100_000)
		share(t, f.String()+" of a stream", hit, tried, p)
	}
}

// The first packets of flows are lost as often as any.
func TestLossOfFirstPackets(t *testing.T) {
	for _, tc := range []struct {
		f PacketLoss
		p float64
	}{
		{PacketLoss{Rate: .03, On: both}, .03},
		// From good: to excellent, to stay, or to fair, and lost as there.
		{PacketLoss{On: both}, .05*0 + .9*.1 + .05*.3},
	} {
		plan := Plan{Faults: always(tc.f), Seed: 1}
		for _, link := range []Link{ToServer, ToClient} {
			lost := 0
			for flow := range uint64(50_000) {
				if shapes(t, plan.Chain(flow, link, Datagrams), 0, 1).Leave == Never {
					lost++
				}
			}
			share(t, tc.f.String(), lost, 50_000, tc.p)
		}
	}
}

// theLine is the stationary distribution of the original's states, in 28ths.
var theLine = []float64{6, 12, 6, 3, 1}

// In balance, each state is entered as often as it is left.
func TestStatesOfTheLineBalance(t *testing.T) {
	if len(lossStates) != len(theLine) {
		t.Fatalf("%d states", len(lossStates))
	}
	lost := 0.0
	for i, s := range lossStates {
		entered, left := 0.0, theLine[i]*(s.worse+s.better)
		if i > 0 {
			entered += theLine[i-1] * lossStates[i-1].worse
		}
		if i < len(theLine)-1 {
			entered += theLine[i+1] * lossStates[i+1].better
		}
		if math.Abs(entered-left) > 1e-12 {
			t.Errorf("state %d is entered %v and left %v", i, entered/28, left/28)
		}
		lost += theLine[i] / 28 * s.loss
	}
	if got := (PacketLoss{}).Share(); math.Abs(got-lost) > 1e-12 || math.Abs(got-.204) > .0005 {
		t.Errorf("a share of %v is lost, want %v", got, lost)
	}
}

// The states of one packet and the next are alike, so the error of a share is
// taken from how the shares of a thousand stretches of the line differ.
func TestLineInTheLongRun(t *testing.T) {
	const stretches, packets = 1000, 1000
	rng, line := generator(1), lossLine{state: lossStart}
	shares := make([][]float64, len(theLine)+1) // of the states, and of what is lost
	for range stretches {
		counts := make([]float64, len(shares))
		for range packets {
			if line.lost(rng) {
				counts[len(theLine)]++
			}
			counts[line.state]++
		}
		for i, n := range counts {
			shares[i] = append(shares[i], n/packets)
		}
	}
	for i, want := range append(slices.Clone(theLine), 5.7) {
		want /= 28
		mean, err := meanOf(shares[i])
		if math.Abs(mean-want) > 3*err {
			t.Errorf("share %d is %.4f, want %.4f within %.4f", i, mean, want, 3*err)
		}
		if 3*err > .02 {
			t.Errorf("share %d is known to %.4f only", i, 3*err)
		}
	}
}

// meanOf gives a mean and its standard error.
func meanOf(xs []float64) (mean, err float64) {
	var sum, squares float64
	for _, x := range xs {
		sum, squares = sum+x, squares+x*x
	}
	n := float64(len(xs))
	mean = sum / n
	return mean, math.Sqrt((squares/n - mean*mean) / (n - 1))
}

// What is sent again is a packet, too. Without, a stream would show less loss
// than there is: the line gets better while a segment is sent again.
func TestLineOfAStreamInTheLongRun(t *testing.T) {
	const stretches = 500
	for _, carrier := range []Carrier{Stream, Datagrams} {
		s := PacketLoss{}.Shaper(generator(1), carrier).(interface {
			Shaper
			sampler
		})
		var shares []float64
		var tried, hit int
		for range stretches {
			for range 1000 {
				_, _ = s.Shape(0, 1)
			}
			nowTried, nowHit := s.sampled()
			shares = append(shares, float64(nowHit-hit)/float64(nowTried-tried))
			tried, hit = nowTried, nowHit
		}
		if mean, err := meanOf(shares); math.Abs(mean-5.7/28) > 3*err || 3*err > .02 {
			t.Errorf("carrier %d: a share of %.4f is lost, want %.4f within %.4f", carrier, mean, 5.7/28, 3*err)
		}
	}
}

// losses is a loss of so many packets, and then of none.
func losses(n int) *lostSegments {
	lost := func() bool { n--; return n >= 0 }
	return &lostSegments{packets{lost: lost}, lost}
}

// A segment is sent again after 200 ms, 400 ms, 800 ms and so on, as Linux does
// it, two minutes at most; after the 15th time it is given up.
func TestStallDoubles(t *testing.T) {
	const ms = time.Millisecond
	for lost, want := range []time.Duration{
		0, 200 * ms, 600 * ms, 1400 * ms, 3000 * ms, 6200 * ms, 12_600 * ms, 25_400 * ms, 51_000 * ms,
		102_200 * ms, 204_600 * ms, 324_600 * ms, 444_600 * ms, 564_600 * ms, 684_600 * ms, 804_600 * ms, Never, Never,
	} {
		s := losses(lost)
		leave, err := s.Shape(time.Hour, 1)
		if want != Never {
			want += time.Hour
		}
		if leave != want || err != nil {
			t.Errorf("lost %d times, leaves at %v, %v, want %v", lost, leave, err, want)
		}
		if tried, hit := s.sampled(); tried != min(lost+1, 16) || hit != min(lost, 16) {
			t.Errorf("lost %d times: %d of %d", lost, hit, tried)
		}
	}
}

// Of stalls, one of k losses has the probability p^k (1 - p): what is sent again
// meets the line as it is in the long run, in whatever state it was lost.
func TestStallsAreGeometric(t *testing.T) {
	const segments = 50_000
	for _, f := range []PacketLoss{{Rate: .3}, {}} {
		s, p := f.Shaper(generator(1), Stream), f.Share()
		stalls, lost := make(map[time.Duration]int), 0
		for range segments {
			leave, _ := s.Shape(0, 1448)
			if stalls[leave]++; leave > 0 {
				lost++
			}
		}
		probability := 1 - p
		for _, stall := range []time.Duration{200, 600, 1400, 3000, 6200, 12_600} {
			share(t, (stall * time.Millisecond).String(), stalls[stall*time.Millisecond], lost, probability)
			probability *= p
		}
	}
}

func TestLossOfEverything(t *testing.T) {
	for carrier, packets := range map[Carrier]int{Stream: 1 + retransmissions, Datagrams: 1} {
		c := (&Plan{Faults: always(PacketLoss{Rate: 1, On: both})}).Chain(1, ToClient, carrier)
		for at := range time.Duration(10) {
			d := shapes(t, c, at, 3)
			want := []Effect{{Delay: Never, Bytes: 3, Tried: packets, Hit: packets}}
			if d.Leave != Never || d.Hold != at || !slices.Equal(d.Effects, want) {
				t.Fatalf("%+v, want effects %v", d, want)
			}
		}
		if c.Spent() {
			t.Error("spent")
		}
	}
}

// A large piece is several segments, and arrives with the last of them. The end
// of a stream is one.
func TestLossDividesAStream(t *testing.T) {
	for n, want := range map[int]int{0: 1, 1: 1, 1447: 1, 1448: 1, 1449: 2, 2896: 2, 2897: 3, 65_536: 46} {
		s := losses(0)
		leave, _ := s.Shape(5, n)
		if tried, hit := s.sampled(); leave != 5 || tried != want || hit != 0 {
			t.Errorf("%d bytes are %d segments, want %d", n, tried, want)
		}
	}
	// Of three segments the second is lost twice and the third once.
	script := []bool{false, true, true, false, true, false}
	next := func() bool {
		lost := script[0]
		script = script[1:]
		return lost
	}
	s := &lostSegments{packets{lost: next}, next}
	leave, _ := s.Shape(5, 3*1448)
	if tried, hit := s.sampled(); leave != 5+600*time.Millisecond || tried != 6 || hit != 3 || len(script) > 0 {
		t.Errorf("leaves at %v, %d of %d lost", leave, hit, tried)
	}
	if got := (PacketLoss{}).most(nil); got != 1448 {
		t.Errorf("a piece is %d bytes", got)
	}
	// A datagram is one packet, whatever its size.
	tried, _, _ := sampledBy(t, PacketLoss{Rate: .1}, 1, Datagrams, 1)
	s2 := PacketLoss{Rate: .1}.Shaper(generator(1), Datagrams)
	_, _ = s2.Shape(0, 65_000)
	if large, _ := s2.(sampler).sampled(); tried != 1 || large != 1 {
		t.Errorf("a datagram is %d packets, a large one %d", tried, large)
	}
}

// All that is behind a lost segment waits for it, and nobody before it.
func TestLossHoldsUpWhatIsBehind(t *testing.T) {
	c := (&Plan{Faults: always(PacketLoss{Rate: .1, On: both}), Seed: 1}).Chain(1, ToClient, Stream)
	var last time.Duration
	stalls := 0
	for at := time.Duration(0); at < time.Minute; at += 10 * time.Millisecond {
		d := shapes(t, c, at, 1)
		e := d.Effects[0]
		if e.Hit > 0 {
			stalls++
		}
		if want := max(last, at+e.Delay); d.Leave != want || (e.Hit > 0) != (e.Delay >= firstTimeout) || e.Tried != e.Hit+1 {
			t.Fatalf("a piece at %v: %+v, want to leave at %v", at, d, want)
		}
		last = d.Leave
	}
	share(t, "pieces that stall", stalls, 6000, .1)
}

func TestPacketLossSettings(t *testing.T) {
	var f Fault = PacketLoss{Rate: .07, On: LinksOf(Server, Ingress)}
	if f.Name() != "packet-loss" || f.Links() != LinksOf(Server, Ingress) {
		t.Errorf("%s, %v", f.Name(), f.Links())
	}
	for want, f := range map[string]PacketLoss{
		"7 %; to client":       {Rate: .07, On: LinksOf(Server, Ingress)},
		"0.0001 %; both links": {Rate: 1e-6, On: both},
		"12.345 %; to server":  {Rate: .12345, On: LinksOf(Server, Egress)},
		"100 %; to server":     {Rate: 1, On: LinksOf(Server, Egress)},
		"a line that gets better and worse, 20.4 % in the long run; to client": {On: LinksOf(Server, Ingress)},
	} {
		if got := f.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if want := f.Rate; want > 0 && f.Share() != want {
			t.Errorf("%v: a share of %v", f, f.Share())
		}
	}
	for rate, good := range map[float64]bool{
		0: true, .03: true, 1: true, -.1: false, 1.001: false, math.NaN(): false, math.Inf(1): false,
	} {
		if err := (PacketLoss{Rate: rate}).Validate(); (err == nil) != good {
			t.Errorf("a rate of %v: %v", rate, err)
		}
	}
}
