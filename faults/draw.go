package faults

import "math/rand/v2"

// rng is what a fault of the plan draws from for one link of a flow. Each has a
// stream of its own, so that how the two links interleave does not decide who
// draws what.
func (p *Plan) rng(flow uint64, fault int, link Link) *rand.Rand {
	stream := splitMix(splitMix(flow) + uint64(fault)<<1 + uint64(link))
	return rand.New(rand.NewPCG(p.Seed, stream))
}

// Applies says whether a fault of the plan is for a flow: for both of its
// links, and for how it connects. The draw is from a stream of its own, so that
// a flow meets in each other fault what it would have met without.
func (p *Plan) Applies(flow uint64, fault int) bool {
	probability := p.Faults[fault].Probability
	if probability == nil {
		return true
	}
	stream := splitMix(splitMix(splitMix(flow)) + uint64(fault))
	return rand.New(rand.NewPCG(p.Seed, stream)).Float64() < *probability
}

// splitMix is the finalizer of SplitMix64 (Steele, Lea, Flood: "Fast
// splittable pseudorandom number generators", 2014). It makes streams of
// neighbouring flows unlike each other.
func splitMix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
