package faults

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// PacketLoss loses packets. Of a stream that shows as TCP shows it: a lost
// segment arrives when it has been sent again, and all behind it waits. Of
// datagrams the lost ones are gone.
type PacketLoss struct {
	// Rate is the probability for each packet; 0 is the model of the original:
	// five states of a line that gets better and worse.
	Rate float64
	// On is the links that lose packets.
	On Links
}

// Name is "packet-loss".
func (f PacketLoss) Name() string { return "packet-loss" }

// Links is f.On.
func (f PacketLoss) Links() Links { return f.On }

// String describes the settings.
func (f PacketLoss) String() string {
	if f.Rate == 0 {
		return fmt.Sprintf("a line that gets better and worse, %.1f %% in the long run; %v", 100*lossStates.average(), f.On)
	}
	return fmt.Sprintf("%s %%; %v", percent(f.Rate), f.On)
}

// Share is the probability of loss in the long run.
func (f PacketLoss) Share() float64 {
	if f.Rate == 0 {
		return lossStates.average()
	}
	return f.Rate
}

// Validate wants a probability.
func (f PacketLoss) Validate() error {
	if !(f.Rate >= 0 && f.Rate <= 1) {
		return fmt.Errorf("a packet loss of %s is not a probability", number(f.Rate))
	}
	return nil
}

// Shaper gives the losses of one link.
func (f PacketLoss) Shaper(rng *rand.Rand, carrier Carrier) Shaper {
	lost := func() bool { return rng.Float64() < f.Rate }
	if f.Rate == 0 {
		line := &lossLine{state: lossStart}
		lost = func() bool { return line.lost(rng) }
	}
	if carrier == Datagrams {
		return &lostDatagrams{packets{lost: lost}}
	}
	// Until a segment is sent again, the line has left the state that lost it.
	again := func() bool { return rng.Float64() < f.Share() }
	return &lostSegments{packets: packets{lost: lost}, again: again}
}

func (f PacketLoss) most(*rand.Rand) int { return segmentSize }

const (
	// segmentSize is what a TCP segment carries over Ethernet: an MTU of 1500
	// without the headers of IPv4 and TCP, and TCP's timestamps.
	segmentSize = 1448
	// firstTimeout is how long Linux waits at least before it sends a segment
	// again (TCP_RTO_MIN); each further time it waits twice as long, up to
	// longestTimeout (TCP_RTO_MAX).
	firstTimeout   = 200 * time.Millisecond
	longestTimeout = 120 * time.Second
	// retransmissions is after how many Linux gives up (tcp_retries2).
	retransmissions = 15
)

// packets counts the packets of a link, and those that were lost. What is sent
// again is a packet, too.
type packets struct {
	lost       func() bool // decides about the next one
	tried, hit int
}

func (p *packets) count(lost bool) bool {
	p.tried++
	if lost {
		p.hit++
	}
	return lost
}

func (p *packets) sampled() (tried, hit int) { return p.tried, p.hit }

type lostSegments struct {
	packets
	again func() bool // decides about one that is sent again
}

func (s *lostSegments) Shape(at time.Duration, n int) (time.Duration, error) {
	leave := at
	for ; ; n -= segmentSize { // the end of a stream is a segment, too
		leave = max(leave, later(at, s.stall()))
		if n <= segmentSize {
			return leave, nil
		}
	}
}

// stall is how much later than the others a segment arrives.
func (s *lostSegments) stall() time.Duration {
	stall, timeout := time.Duration(0), firstTimeout
	lost := s.count(s.lost())
	for range retransmissions {
		if !lost {
			return stall
		}
		stall += timeout
		timeout = min(2*timeout, longestTimeout)
		lost = s.count(s.again())
	}
	if lost {
		return Never
	}
	return stall
}

func (s *lostSegments) Spent() bool { return false }

type lostDatagrams struct{ packets }

func (s *lostDatagrams) Shape(at time.Duration, _ int) (time.Duration, error) {
	if s.count(s.lost()) {
		return Never, nil
	}
	return at, nil
}

func (s *lostDatagrams) Spent() bool { return false }

// lossState is a state of the original's model: how likely a packet is lost in
// it, and where the line goes next.
type lossState struct{ loss, worse, better float64 }

type lossChain []lossState

// lossStates are excellent, good, fair, poor and bad (the original's
// fault/packet_loss.rs). Each packet is one step; it is lost or not by the
// state that the step led to.
var lossStates = lossChain{
	{loss: 0, worse: .10},
	{loss: .1, worse: .05, better: .05},
	{loss: .3, worse: .10, better: .10},
	{loss: .6, worse: .10, better: .20},
	{loss: .9, better: .30},
}

const lossStart = 1 // good

// average is the share of packets that is lost in the long run: the loss in
// each state, weighted by the chain's stationary distribution. A chain of
// neighbours is in balance where as much goes up as down.
func (c lossChain) average() float64 {
	weight, sum, lost := 1.0, 0.0, 0.0
	for i, s := range c {
		if i > 0 {
			weight *= c[i-1].worse / s.better
		}
		sum += weight
		lost += weight * s.loss
	}
	return lost / sum
}

type lossLine struct{ state int }

func (l *lossLine) lost(rng *rand.Rand) bool {
	s := lossStates[l.state]
	switch u := rng.Float64(); {
	case u < s.worse:
		l.state++
	case u < s.worse+s.better:
		l.state--
	}
	return rng.Float64() < lossStates[l.state].loss
}
