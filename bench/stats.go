package main

import (
	"math"
	"slices"
)

// series is one quantity of several targets, by name, round by round: what has
// the same index was measured one after the other.
type series map[string][]float64

// median is that of a target in all rounds.
func (s series) median(of string) float64 { return median(s[of]) }

// ratio is the median of what one target is of another in the same round.
func (s series) ratio(of, to string) float64 { return median(quotients(s[of], s[to])) }

// ratioToBest is the median of what a target is of the best of its peers in the
// same round; better says which of two is.
func (s series) ratioToBest(of string, peers []string, better func(a, b float64) float64) float64 {
	return median(quotients(s[of], s.best(peers, better)))
}

// best is what the best peer of each round gave.
func (s series) best(peers []string, better func(a, b float64) float64) []float64 {
	var all []float64
	for _, peer := range peers {
		for i, v := range s[peer] {
			if i == len(all) {
				all = append(all, v)
			} else {
				all[i] = better(all[i], v)
			}
		}
	}
	return all
}

// added is the median of what one target has more than another in the same
// round.
func (s series) added(of, to string) float64 { return median(differences(s[of], s[to])) }

func differences(of, to []float64) []float64 {
	var all []float64
	for i := range min(len(of), len(to)) {
		all = append(all, of[i]-to[i])
	}
	return all
}

func quotients(of, to []float64) []float64 {
	var all []float64
	for i := range min(len(of), len(to)) {
		all = append(all, of[i]/to[i])
	}
	return all
}

func higher(a, b float64) float64 { return max(a, b) }

func lower(a, b float64) float64 { return min(a, b) }

// median is not a number if there is nothing.
func median(all []float64) float64 {
	if len(all) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(all))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}
