package score

import (
	"fmt"
	"math"
)

// household is a third kind of pair beside one person and strangers: two
// people of one family or address. Their family name and address agree as
// often as one person's, the rest as seldom as strangers'. Without it, the
// agreement of a whole address would count field by field as if each were a
// chance of its own, and siblings would be put together. In files its share is
// estimated with the rest; where a file holds no such pairs it goes to nothing.
// In the index it is data of the model.
type household struct {
	prior   float64 // share of all pairs
	rates   [AllFields][maxLevels]float64
	weights [AllFields][maxLevels]float64 // log2(rate/u)
}

// shared lists what a household may have in common; twins have their birth date,
// too.
var shared = [...]Field{Family, Birth, Phone, Line, Place, Street, Number, City, Post, State, BirthPlace, Occupation}

// newHousehold starts at the rates of one person, a tenth as frequent.
func newHousehold(m *Model) *household {
	h := &household{prior: m.Prior / 10}
	for _, f := range shared {
		for l := range m.rates[f] {
			h.rates[f][l] = kin(f, m.rates[f][l])
		}
	}
	h.weigh(m)
	return h
}

// kin is where the rate of a level in households starts: at that of one person,
// but for the birth date at that of strangers with some twins among them.
func kin(f Field, r Rates) float64 {
	if f == Birth {
		return twins*r.M + (1-twins)*r.U
	}
	return r.M
}

const twins = 0.01

func (h *household) weigh(m *Model) {
	for f := range h.rates {
		for l := 1; l < len(m.rates[f]); l++ {
			if h.rates[f][l] > 0 {
				h.weights[f][l] = math.Log2(h.rates[f][l] / m.rates[f][l].U)
			}
		}
	}
}

// kinship is the JSON form of the household of an index's model: rates as
// fields[field][level], where a household differs from strangers.
type kinship struct {
	PerPerson float64                       `json:"perPerson"` // how many others live with a person
	Fields    map[string]map[string]float64 `json:"fields"`
}

// ofKin reads the household of a model; the rates of the model stand already.
func (m *Model) ofKin(k *kinship) error {
	if !(k.PerPerson > 0 && (1+k.PerPerson)*m.Prior <= 0.5+1e-9) {
		return fmt.Errorf("score: model %s: household.perPerson is not a number of people", m.Version)
	}
	h := &household{prior: k.PerPerson * m.Prior}
	for f := range AllFields {
		levels := k.Fields[f.String()]
		for l := Level(1); int(l) < f.Levels(); l++ {
			if p, ok := levels[f.LevelName(l)]; ok && !(p > 0 && p <= 1) {
				return fmt.Errorf("score: model %s: household: %s.%s needs a rate in (0,1]", m.Version, f, f.LevelName(l))
			} else if ok {
				h.rates[f][l] = p
			}
		}
	}
	h.weigh(m)
	m.house = h
	return nil
}

// kinship is the JSON form of the model's household; nil if it has none.
func (m *Model) kinship() *kinship {
	if m.house == nil {
		return nil
	}
	k := &kinship{PerPerson: m.house.prior / m.Prior, Fields: map[string]map[string]float64{}}
	for f := range AllFields {
		for l := Level(1); int(l) < f.Levels(); l++ {
			if p := m.house.rates[f][l]; p > 0 {
				if k.Fields[f.String()] == nil {
					k.Fields[f.String()] = map[string]float64{}
				}
				k.Fields[f.String()][f.LevelName(l)] = p
			}
		}
	}
	return k
}

// withPrior sets the share of true pairs; those of households keep their
// proportion to them. Half of all pairs at least are those of strangers.
func (m *Model) withPrior(p float64) {
	if m.house != nil {
		h := *m.house
		perPerson := h.prior / m.Prior
		p = min(p, 0.5/(1+perPerson))
		h.prior = perPerson * p
		m.house = &h
	}
	m.Prior = p
}

// doubt is the share of true pairs that damaged ones make look like
// households: that many are not believed, so that a file without households
// keeps none.
const doubt = 0.03

// estimate takes the rates over from weighted counts.
func (h *household) estimate(base *Model, c *sums, found, matches, pairs float64) {
	h.prior = min(0.1, max(0, found-doubt*matches)/pairs)
	for _, f := range shared {
		for l := 1; l < len(base.rates[f]); l++ {
			h.rates[f][l] = (c.levels[f][l] + smoothing*kin(f, base.rates[f][l])) / (c.said[f] + smoothing)
		}
	}
}

// oneRoof reports what a household needs to be thought of: a telephone or a
// street in common. A town in common is none: half of a file may live there,
// and the third kind of pair would become that of neighbours.
func oneRoof(phone, street, line Level) bool {
	return phone == Same || street != Silent && street <= TextClose || line == PlaceExact || line == PlaceClose
}

// sum is the weight of a vector as that of a household against strangers;
// extra is what rare values add to a field. A household does not share given
// names: how common one is does not matter, only that siblings' are alike.
func (h *household) sum(v *Vector, extra *[AllFields]float64) float64 {
	if !oneRoof(v[Phone], v[Street], v[Line]) {
		return math.Inf(-1)
	}
	w := h.weights[Given][v[Given]]
	for _, f := range shared {
		w += h.weights[f][v[f]] + extra[f]
	}
	return w
}

// moving is a second way to be one person: to have moved between two records.
// The parts of the address then agree as those of strangers do, all at once.
// Counted field by field, each would speak against the pair as if it were a
// chance of its own, and nobody who moved would be found again. The share of
// such pairs among true ones is estimated with the rest.
type moving struct {
	share      float64
	stay, gone float64 // log2 of 1-share and of share
}

// address lists what changes when a person moves. The state seldom does.
var address = [...]Field{Street, Number, City, Post}

func (m *moving) set(share float64) {
	m.share, m.stay, m.gone = share, math.Log2(1-share), math.Log2(share)
}

// few is the share of people who moved at which training starts, and
// which the smoothing draws to.
const few = 0.1

// weight gives the log2 of m/u of one person from the sum of all fields and
// from that of the address among them; left is the share of those who moved.
func (m *moving) weight(sum, at float64) (weight, left float64) {
	if m == nil {
		return sum, 0
	}
	stay, gone := m.stay+at, m.gone
	if stay-gone > 20 {
		return sum + m.stay, 0
	}
	left = 1 / (1 + math.Exp2(stay-gone))
	return sum - at + gone - math.Log2(left), left
}

// bound is no less than the weight.
func (m *moving) bound(sum, at float64) float64 {
	if m == nil {
		return sum
	}
	return max(sum, sum-at)
}

// odds gives the probabilities of one person and of one household, and the
// log2 odds of one person. house is the household's weight.
func (m *Model) odds(weight, house float64) (person, family, logOdds float64) {
	one, other := m.Prior*math.Exp2(weight), 1-m.Prior
	kin := 0.0
	if m.house != nil {
		kin = m.house.prior * math.Exp2(house)
		other -= m.house.prior
	}
	logOdds = weight + math.Log2(m.Prior) - math.Log2(other+kin)
	return 1 / (1 + math.Exp2(-logOdds)), kin / (one + kin + other), logOdds
}

// posterior is odds for a vector, names at their average frequency, and the
// share of those who moved among pairs of one person.
func (m *Model) posterior(v *Vector) (person, family, left float64) {
	house, at := 0.0, 0.0
	if m.house != nil {
		house = m.house.sum(v, &[AllFields]float64{})
	}
	for _, f := range address {
		at += m.weights[f][v[f]]
	}
	weight, left := m.moved.weight(m.sum(v), at)
	person, family, _ = m.odds(weight, house)
	return person, family, left
}
