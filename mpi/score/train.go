package score

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"hutong/mpi/normal"
)

// Sample is what a model is trained on, without labels.
type Sample struct {
	Candidates map[Met]int    // pairs that met in a block
	Strangers  map[Vector]int // vectors of random pairs
	Pairs      float64        // how many pairs there are in all, met or not
}

// Met is a pair that met. By are the fields that agree because of where it met:
// whoever meets by the birth date has the same birth date, mistyped or not, so
// such pairs would make m of the birth date too high. A pair that also met
// elsewhere, by other fields, is free of it.
type Met struct {
	Vector
	By FieldSet
}

// FieldSet is a set of fields.
type FieldSet uint16

// SetOf is the set of these fields.
func SetOf(fields ...Field) (s FieldSet) {
	for _, f := range fields {
		s |= 1 << f
	}
	return s
}

// Has reports whether f is in the set.
func (s FieldSet) Has(f Field) bool { return s&(1<<f) != 0 }

// rounds bounds the iterations of Train; it stops earlier when nothing moves.
const rounds = 60

// Train estimates a model from unlabelled pairs: u is what random pairs show; m
// and the prior follow by expectation maximisation over the candidate pairs,
// started from base. Random pairs that look like one person count for u as
// little as they are likely to be strangers. m of a field follows from the pairs
// that met by other fields (Met.By). Both are smoothed by base, so that a level that the sample
// never shows keeps a sane weight. Thresholds and what a household shares are base's.
func Train(base *Model, s Sample, version string) *Model { return train(base, s, version, false) }

// TrainFile is Train for CompareFile, with households as a third kind of pair.
func TrainFile(base *Model, s Sample, version string) *Model { return train(base, s, version, true) }

func train(base *Model, s Sample, version string, households bool) *Model {
	m := &Model{Version: version, Prior: base.Prior, Thresholds: base.Thresholds, Frequency: base.Frequency, house: base.house}
	for f := range m.rates {
		m.rates[f] = append([]Rates(nil), base.rates[f]...)
	}
	unmet := make(map[Met]int, len(s.Strangers))
	for v, n := range s.Strangers {
		unmet[Met{Vector: v}] = n
	}
	candidates, strangers := tallied(s.Candidates), tallied(unmet)
	m.withPrior(min(0.5, 1e3/s.Pairs))
	m.weigh()
	m.strangers(base, strangers)
	m.weigh()
	if households {
		m.house, m.moved = newHousehold(m), &moving{}
		m.moved.set(few)
	}
	for range rounds {
		moved := m.maximise(base, candidates, s.Pairs)
		m.strangers(base, strangers)
		m.weigh()
		if m.house != nil {
			m.house.weigh(m)
		}
		if moved < 1e-4 {
			break
		}
	}
	e := m.Thresholds.Expect()
	for i := range candidates {
		p, _, _ := m.posterior(&candidates[i].Vector)
		e.Add(p, p, candidates[i].n)
	}
	m.Expected = e.Shares()
	return m
}

// Expectation is how a threshold errs, in shares of 1.
type Expectation struct {
	Wrong  float64 `json:"wrong"`  // of the pairs from the threshold on: of two people
	Missed float64 `json:"missed"` // of the pairs of one person that met: below it
}

// Expecter adds up pairs to what is to be expected of each threshold.
type Expecter struct {
	thresholds map[string]float64
	from, same map[string]float64 // pairs from the threshold on, and those of one person
	all        float64            // pairs of one person
}

// Expect begins a sum over the thresholds.
func (t Thresholds) Expect() *Expecter {
	e := &Expecter{map[string]float64{"certain": t.Certain, "probable": t.Probable, "possible": t.Possible, "review": t.Review}, map[string]float64{}, map[string]float64{}, 0}
	if t.Link > 0 {
		e.thresholds["link"] = t.Link
	}
	return e
}

// Add adds n pairs of probability p, of which the share same is of one person: p
// itself where that is not known.
func (e *Expecter) Add(p, same, n float64) {
	e.all += n * same
	for name, t := range e.thresholds {
		if p >= t {
			e.from[name] += n
			e.same[name] += n * same
		}
	}
}

// Shares gives the sums as shares, by the name of the threshold.
func (e *Expecter) Shares() map[string]Expectation {
	out := map[string]Expectation{}
	for name := range e.thresholds {
		var x Expectation
		if e.from[name] > 0 {
			x.Wrong = 1 - e.same[name]/e.from[name]
		}
		if e.all > 0 {
			x.Missed = 1 - e.same[name]/e.all
		}
		out[name] = x
	}
	return out
}

// smoothing is how many pseudo-pairs of the base model are mixed in.
const smoothing = 2

// tally is a vector and how many pairs show it.
type tally struct {
	Met
	n float64
}

// tallied puts counts in a fixed order, so that sums come out the same in
// every run.
func tallied(counts map[Met]int) []tally {
	out := make([]tally, 0, len(counts))
	for v, n := range counts {
		out = append(out, tally{v, float64(n)})
	}
	slices.SortFunc(out, func(a, b tally) int {
		return cmp.Or(slices.Compare(a.Vector[:], b.Vector[:]), cmp.Compare(a.By, b.By))
	})
	return out
}

// sums are weighted counts of levels, and how often a field says anything.
type sums struct {
	levels [AllFields][maxLevels]float64
	said   [AllFields]float64
}

// maxLevels is more than any field has.
const maxLevels = 12

func (c *sums) add(t *tally, weight float64) {
	for f, l := range t.Vector {
		if l != Silent && !t.By.Has(Field(f)) {
			c.levels[f][l] += weight
			c.said[f] += weight
		}
	}
}

func (m *Model) strangers(base *Model, seen []tally) {
	var c sums
	for i := range seen {
		person, family, _ := m.posterior(&seen[i].Vector)
		if m.moved == nil { // what a household shares is given, not found here
			family = 0
		}
		c.add(&seen[i], seen[i].n*(1-person-family))
	}
	for f := range m.rates {
		for l := 1; l < len(m.rates[f]); l++ {
			m.rates[f][l].U = (c.levels[f][l] + smoothing*base.rates[f][l].U) / (c.said[f] + smoothing)
		}
	}
}

// maximise is one round of EM; it gives the largest change of an m.
func (m *Model) maximise(base *Model, seen []tally, pairs float64) float64 {
	var c, kin sums
	matches, kins, lefts := 0.0, 0.0, 0.0
	for i := range seen {
		person, family, left := m.posterior(&seen[i].Vector)
		matches += seen[i].n * person
		lefts += seen[i].n * person * left
		kins += seen[i].n * family
		c.add(&seen[i], seen[i].n*person)
		for _, f := range address { // those who moved say nothing of addresses
			if l := seen[i].Vector[f]; l != Silent && !seen[i].By.Has(f) {
				c.levels[f][l] -= seen[i].n * person * left
				c.said[f] -= seen[i].n * person * left
			}
		}
		kin.add(&seen[i], seen[i].n*family)
	}
	prior := min(0.5, max(1, matches)/pairs)
	if m.moved != nil { // a file: what a household shares is estimated, too
		m.moved.set((lefts + smoothing*few) / (matches + smoothing))
		m.house.estimate(base, &kin, kins, matches, pairs)
		m.Prior = prior
	} else {
		m.withPrior(prior)
	}
	moved := 0.0
	for f := range m.rates {
		for l := 1; l < len(m.rates[f]); l++ {
			next := (c.levels[f][l] + smoothing*base.rates[f][l].M) / (c.said[f] + smoothing)
			moved = max(moved, math.Abs(next-m.rates[f][l].M))
			m.rates[f][l].M = next
		}
	}
	m.weigh()
	return moved
}

// sum is the weight of a vector, names at their average frequency.
func (m *Model) sum(v *Vector) float64 {
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

// ForRegion gives the model for a region of so many people, in which records are
// linked unasked from a probability of link on (Thresholds.Link; 0 is never). Of
// two records drawn from the region about one pair in population is of one
// person: the more people, the likelier that two of them share a name and a
// birth date, and the more it takes.
func (m *Model) ForRegion(population int, link float64) *Model {
	out := *m
	out.Version = fmt.Sprintf("%s-region-%d-link-%g", m.Version, population, link)
	out.withPrior(1 / float64(max(population, 2)))
	out.Expected = nil // of another region
	out.Thresholds.Link = link
	return &out
}
