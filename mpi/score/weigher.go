package score

import (
	"math"
	"slices"
)

// Weigher weighs packed vectors of People as Model.Weigh does, with the shares
// of texts by number. It is for models whose name frequencies, if any, are
// those of CountPeople. Immutable; safe for concurrent use.
type Weigher struct {
	m      *Model
	p      *People
	shares *Shares
	exact  [AllFields]float64 // log2(m) of an exact text
}

// Shares is how common each text is, log2, by field and number.
type Shares [AllFields][]float32

// NewWeigher weighs with m; shares may be nil: then every text has its field's
// average.
func (m *Model) NewWeigher(p *People, shares *Shares) *Weigher {
	w := &Weigher{m: m, p: p, shares: shares}
	for f := range w.exact {
		w.exact[f] = math.Log2(m.rates[f][TextExact].M)
	}
	return w
}

// rareText reports the fields in which a rare value weighs more.
var rareText = [...]Field{Family, Given, Street, Number, City, Post, State, BirthPlace, Occupation}

// Weigh gives the log2 odds that records a and b, whose vector is v, are one
// person. Below about floor it gives a bound that is below floor too, for
// less work.
func (w *Weigher) Weigh(v Packed, a, b int, floor float64) float64 {
	sum, house, at := 0.0, 0.0, 0.0
	for f := range AllFields {
		sum += w.m.weights[f][v.Level(f)]
	}
	for _, f := range address {
		at += w.m.weights[f][v.Level(f)]
	}
	if w.m.house != nil && !oneRoof(v.Level(Phone), v.Level(Street), v.Level(Line)) {
		house = math.Inf(-1)
	} else if w.m.house != nil {
		for _, f := range shared {
			house += w.m.house.weights[f][v.Level(f)]
		}
	}
	if w.shares != nil {
		for _, f := range rareText {
			if v.Level(f) != TextExact {
				continue
			}
			x, y := w.p.value(f, a), w.p.value(f, b)
			if x == 0 || y == 0 { // another name than the first agrees
				continue
			}
			more := w.exact[f] - float64(max(w.shares[f][x], w.shares[f][y])) - w.m.weights[f][TextExact]
			sum += more
			if f != Given {
				house += more
			}
			if f == Street || f == Number || f == City || f == Post {
				at += more
			}
		}
	}
	if b := w.m.moved.bound(sum, at) + math.Log2(w.m.Prior) + 1; b < floor { // others are more than half of all
		return b
	}
	sum, _ = w.m.moved.weight(sum, at)
	_, _, logOdds := w.m.odds(sum, house)
	return min(logOdds, ceiling(v))
}

// ceiling is what the log2 odds cannot exceed, by rule: two valid citizen ids
// are two people (ID-11), and who is named as siblings are, without a number in
// common, may be a twin (ID-09): then a human looks.
func ceiling(v Packed) float64 {
	citizen, cards := v.Level(Citizen), v.Level(Cards)
	switch {
	case citizen == CitizenOther:
		return Never
	case (v.Level(Given) == NameKin || v.Level(Family) == NameKin) && citizen != CitizenEqual && citizen != CitizenRepaired && cards != CardsOne && cards != CardsSeveral:
		return sibling
	}
	return math.Inf(1)
}

// sibling is the log2 odds of what only a human should join.
const sibling = -1

// Never is the log2 odds of people who hold two valid citizen ids (ID-11).
const Never = -40

// Probability is that of log2 odds.
func Probability(logOdds float64) float64 { return 1 / (1 + math.Exp2(-logOdds)) }

// CountPeople is CountPersons for People: persons tells the records of one
// person by a number below Len.
func (m *Model) CountPeople(p *People, persons []int) *Shares {
	var s Shares
	seen := make([]uint64, 0, p.Len())
	for _, f := range rareText {
		seen = seen[:0]
		for i := range p.people {
			if v := p.value(f, i); v != 0 {
				seen = append(seen, uint64(v)<<32|uint64(persons[i]))
			}
		}
		s[f] = m.sharesIn(f, seen, p.pools[f].Len(), p.Len())
	}
	return &s
}

// sharesIn turns carriers (value, person) into shares. limit bounds values,
// people is how many records there are.
func (m *Model) sharesIn(f Field, seen []uint64, values, people int) []float32 {
	slices.Sort(seen)
	seen = slices.Compact(seen)
	counts, all := make([]int32, values), make([]bool, people)
	n := 0.0
	for _, c := range seen {
		counts[c>>32]++
		if who := c & 0xffffffff; !all[who] {
			all[who] = true
			n++
		}
	}
	out := make([]float32, values)
	for v, c := range counts {
		share := (max(1, float64(c)) - 1 + pull*n*m.rates[f][TextExact].U) / (n*(1+pull) - 1 + 1e-9)
		out[v] = float32(math.Log2(share))
	}
	return out
}
