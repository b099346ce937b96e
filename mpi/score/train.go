package score

import (
	"maps"
	"math"

	"hutong/mpi/normal"
)

// Sample is what a model is trained on, without labels.
type Sample struct {
	Candidates map[Vector]int // vectors of pairs that met in a block
	Strangers  map[Vector]int // vectors of random pairs
	Pairs      float64        // how many pairs there are in all, met or not
}

// rounds bounds the iterations of Train; it stops earlier when nothing moves.
const rounds = 60

// Train estimates a model from unlabelled pairs: u is what random pairs show; m
// and the prior follow by expectation maximisation over the candidate pairs,
// started from base. Random pairs that look like one person count for u as
// little as they are likely to be strangers. Both are smoothed by base, so that a level that the sample
// never shows keeps a sane weight. Thresholds are base's.
func Train(base *Model, s Sample, version string) *Model {
	m := &Model{Version: version, Prior: base.Prior, Thresholds: base.Thresholds, Frequency: base.Frequency}
	for f := range m.rates {
		m.rates[f] = append([]Rates(nil), base.rates[f]...)
	}
	m.weigh()
	m.strangers(base, s.Strangers)
	m.Prior = min(0.5, 1e3/s.Pairs)
	m.weigh()
	for range rounds {
		moved := m.maximise(base, s)
		m.strangers(base, s.Strangers)
		m.weigh()
		if moved < 1e-4 {
			break
		}
	}
	return m
}

// smoothing is how many pseudo-pairs of the base model are mixed in.
const smoothing = 2

func (m *Model) strangers(base *Model, seen map[Vector]int) {
	odds := make(map[Vector]float64, len(seen))
	for v := range seen {
		odds[v] = 1 - m.probability(m.sum(v))
	}
	for f := range m.rates {
		counts, total := make([]float64, len(m.rates[f])), 0.0
		for v, n := range seen {
			if v[f] != Silent {
				counts[v[f]] += float64(n) * odds[v]
				total += float64(n) * odds[v]
			}
		}
		for l := 1; l < len(counts); l++ {
			m.rates[f][l].U = (counts[l] + smoothing*base.rates[f][l].U) / (total + smoothing)
		}
	}
}

// maximise is one round of EM; it gives the largest change of an m.
func (m *Model) maximise(base *Model, s Sample) float64 {
	var counts [AllFields][]float64
	var totals [AllFields]float64
	for f := range counts {
		counts[f] = make([]float64, len(m.rates[f]))
	}
	matches := 0.0
	for v, n := range s.Candidates {
		p := m.probability(m.sum(v)) * float64(n)
		matches += p
		for f, l := range v {
			if l != Silent {
				counts[f][l] += p
				totals[f] += p
			}
		}
	}
	moved := 0.0
	for f := range counts {
		for l := 1; l < len(counts[f]); l++ {
			next := (counts[f][l] + smoothing*base.rates[f][l].M) / (totals[f] + smoothing)
			moved = max(moved, math.Abs(next-m.rates[f][l].M))
			m.rates[f][l].M = next
		}
	}
	m.Prior = min(0.5, max(1, matches)/s.Pairs)
	m.weigh()
	return moved
}

// sum is the weight of a vector, names at their average frequency.
func (m *Model) sum(v Vector) float64 {
	w := 0.0
	for f, l := range v {
		w += m.weights[f][l]
	}
	return w
}

// CountNames makes the frequency table of a set of records. Names that occur
// once are left to the "other" share.
func CountNames(records []*normal.Record) Frequency {
	family, given := map[string]float64{}, map[string]float64{}
	n := 0.0
	for _, r := range records {
		if name := r.Name(); name != nil {
			n++
			family[name.Family]++
			given[name.Given]++
		}
	}
	f := Frequency{Family: shares(family, n), Given: shares(given, n), OtherFamily: 1 / max(n, 1), OtherGiven: 1 / max(n, 1)}
	return f
}

func shares(counts map[string]float64, n float64) map[string]float64 {
	out := maps.Clone(counts)
	for k, c := range counts {
		if c < 2 || k == "" {
			delete(out, k)
		} else {
			out[k] = c / n
		}
	}
	return out
}

// WithFrequency gives the model with other name frequencies.
func (m *Model) WithFrequency(f Frequency) *Model {
	out := *m
	out.Frequency = f
	return &out
}
