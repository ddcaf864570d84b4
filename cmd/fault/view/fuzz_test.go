package view

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/agent/style"
	"github.com/faultproxy/fault/bpf"
	"github.com/faultproxy/fault/faults"
)

// FuzzRender holds that whatever a run is like, a frame fits into the window,
// and that nothing in it steers the terminal.
func FuzzRender(f *testing.F) {
	for seed, name := range []string{
		"curl", "", "\x1b[2J\x1b]0;title\a", "東京東京東京東京東京東京東京東京東京東京東京東京東京", "\u202egnp.exe", "a\u0301\u0302\u0303",
		"\ufe0f❤\ufe0f", "👩\u200d👩\u200d👧", "🇩🇪🇫🇷", "\xff\xfe", "one\ntwo\r\tthree", strings.Repeat("x", 400), "\u0301", "ｗｉｄｅ‹warn›",
	} {
		f.Add(uint64(seed), uint16(20*seed), uint8(7*seed), name)
		f.Add(uint64(seed), uint16(99), uint8(29), name)
	}
	f.Fuzz(func(t *testing.T, seed uint64, columns uint16, rows uint8, name string) {
		rng := rand.New(rand.NewPCG(seed, 0))
		s := anyRun(rng, name)
		frame := Frame{
			Columns: 1 + int(columns)%300, Rows: 1 + int(rows)%100,
			Fault: rng.IntN(9) - 1, Link: faults.Link(rng.IntN(3)), Help: rng.IntN(4) == 0,
			Style: style.Style{ASCII: rng.IntN(2) == 0},
		}
		for range rng.IntN(3) * rng.IntN(20) {
			frame.Notices = append(frame.Notices, Notice{At: time.Unix(seconds(rng), 0), Text: name, Hint: name})
			frame.Notice = name
		}
		before := s.At
		text := Render(s, frame)
		lines := strings.Split(text, "\n")
		if len(lines) > frame.Rows {
			t.Errorf("%d lines in a window of %d x %d:\n%s", len(lines), frame.Columns, frame.Rows, text)
		}
		for _, line := range lines {
			if width := style.Width(line); width > frame.Columns-1 {
				t.Errorf("%d columns in a window of %d x %d: %q", width, frame.Columns, frame.Rows, line)
			}
			for _, r := range line {
				if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || frame.Style.ASCII && r > unicode.MaxASCII {
					t.Errorf("%q in %q", r, line)
				}
			}
		}
		if !utf8.ValidString(text) {
			t.Errorf("%q is not UTF-8", text)
		}
		if s.At != before || Render(s, frame) != text {
			t.Error("two frames of one snapshot are not the same")
		}
	})
}

func seconds(rng *rand.Rand) int64 { return rng.Int64N(1 << 34) }

// amount is a number of any size.
func amount(rng *rand.Rand) int64 { return rng.Int64() >> rng.IntN(64) * int64(rng.IntN(3)-1) }

// moment is a time of a run, more often a sensible one.
func moment(rng *rand.Rand) time.Duration {
	switch rng.IntN(6) {
	case 0:
		return faults.Never
	case 1:
		return time.Duration(amount(rng))
	}
	return time.Duration(rng.Int64N(int64(10 * time.Minute)))
}

// anyRun is one in which anything may be.
func anyRun(rng *rand.Rand, name string) *agent.Snapshot {
	s := &agent.Snapshot{
		StartPage: strings.Repeat(name+"\n"+startPage, rng.IntN(3)),
		At:        moment(rng), Duration: moment(rng) * time.Duration(rng.IntN(2)),
		Ending: rng.IntN(4) == 0, Paused: rng.IntN(3) == 0, PausedAt: moment(rng),
		Upstreams: name, IPv6: rng.IntN(2) == 0, Open: amount(rng), PerSecond: rate(rng),
		Waiting: amount(rng), BytesPerSecond: [2]float64{rate(rng), rate(rng)},
		MorePairs: int(amount(rng)),
	}
	if rng.IntN(2) == 0 {
		s.Proxy = netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x20, 1, 13, 14, 15, 12: byte(rng.Uint32()), 15: 1}).WithZone(""), 65535)
	}
	for range rng.IntN(40) {
		s.Pairs = append(s.Pairs, agent.Pair{
			Process: name[:rng.IntN(len(name)+1)], PID: rng.Uint32() >> rng.IntN(32), Upstream: name + ":65535",
			Flows: uint64(amount(rng)), Open: uint64(amount(rng)), Delayed: uint64(rng.IntN(2)),
			MeanDelay: moment(rng), Bytes: uint64(amount(rng)),
		})
	}
	if rng.IntN(10) == 0 {
		return s
	}
	s.Report = &agent.Report{
		Intercepted: rng.IntN(2) == 0, Flows: uint64(amount(rng)), Bytes: [2]uint64{uint64(amount(rng)), uint64(amount(rng))},
		Passed: parts(rng, name, "upstream-not-matched"), Errors: parts(rng, name, "refused"),
		Connects: map[bpf.Verdict]uint64{bpf.DNS: uint64(amount(rng)), bpf.Verdict(name): 1, bpf.DeviceBound: uint64(amount(rng))},
	}
	for i := range rng.IntN(9) {
		in := anyFault(rng)
		s.Report.Injected = append(s.Report.Injected, in)
		label := name
		if in.Fault != nil && rng.IntN(2) == 0 {
			label = in.Fault.Name()
		}
		if i > 0 || rng.IntN(4) > 0 {
			s.Faults = append(s.Faults, agent.FaultState{
				Label: label, On: rng.IntN(2) == 0, Next: moment(rng), Changed: moment(rng),
			})
		}
	}
	return s
}

func rate(rng *rand.Rand) float64 {
	return []float64{0, .3, 17, 61000, -1, math.NaN(), math.Inf(1), math.Inf(-1), float64(amount(rng))}[rng.IntN(9)]
}

func parts(rng *rand.Rand, words ...string) map[string]uint64 {
	all := make(map[string]uint64)
	for _, word := range append(words, "a", "b", "dns", "other-netns") {
		if rng.IntN(2) == 0 {
			all[word] = uint64(amount(rng))
		}
	}
	return all
}

func anyFault(rng *rand.Rand) agent.Injected {
	links := faults.Links(rng.IntN(4))
	kinds := []faults.Fault{
		nil,
		faults.Latency{Delay: faults.Normal{Mean: moment(rng), StdDev: moment(rng)}, On: links},
		faults.Jitter{Amplitude: moment(rng), Frequency: rate(rng), On: links},
		faults.Bandwidth{Rate: rate(rng), On: links},
		faults.PacketLoss{Rate: rng.Float64(), On: links},
		faults.Blackhole{On: links},
		faults.HTTPResponse{Status: int(amount(rng)), Probability: rng.Float64()},
		faults.Reset{AfterBytes: amount(rng), After: moment(rng), On: links},
		faults.Truncate{AfterBytes: amount(rng), On: links},
		faults.Slice{Size: int(amount(rng)), Variation: int(amount(rng)), Delay: moment(rng), On: links},
		faults.SlowClose{Delay: moment(rng), On: links},
	}
	in := agent.Injected{
		Planned: faults.Planned{Fault: kinds[rng.IntN(len(kinds))]},
		Tried:   uint64(amount(rng)), Hit: uint64(amount(rng)), Flows: uint64(amount(rng)),
	}
	var at time.Duration
	for range rng.IntN(4) {
		start := at + time.Duration(rng.Int64N(int64(time.Minute)))
		at = start + 1 + time.Duration(rng.Int64N(int64(time.Minute)))
		in.Schedule = append(in.Schedule, faults.Period{Start: start, End: at})
	}
	for link := range in.PerLink {
		on := &in.PerLink[link]
		on.Swallowed, on.BusiestSecond = uint64(amount(rng)), amount(rng)
		if rng.IntN(4) > 0 {
			on.Delay, on.Late = newHistogram(), newHistogram()
			for range rng.IntN(50) {
				_ = on.Delay.RecordValue(rng.Int64N(on.Delay.HighestTrackableValue()) >> rng.IntN(32))
				_ = on.Late.RecordValue(int64(rng.IntN(1000)))
			}
		}
	}
	return in
}
