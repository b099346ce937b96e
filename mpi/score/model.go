package score

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"

	"hutong/mpi/normal"
)

// Rates are a level's m and u: how often true pairs, and strangers, show it.
type Rates struct{ M, U float64 }

// Thresholds are probabilities from which a pair is called by a grade, and
// from which a human is asked.
type Thresholds struct {
	Certain  float64 `json:"certain"`
	Probable float64 `json:"probable"`
	Possible float64 `json:"possible"`
	Review   float64 `json:"review"`
	// Link is the probability from which two records without a number in common
	// are linked unasked, where the identity rules allow; 0 is never.
	Link float64 `json:"link,omitempty"`
}

// Model weighs vectors. Immutable after it is made; safe for concurrent use.
type Model struct {
	Version    string
	Prior      float64 // share of true pairs among all pairs
	Thresholds Thresholds
	Expected   map[string]Expectation // by threshold, where it was estimated or measured
	rates      [AllFields][]Rates
	weights    [AllFields][]float64
	Frequency  Frequency
	house      *household // nil: of two kinds only
	moved      *moving    // nil: the address is like any other field
}

// Frequency is the share of people who carry a name. A rare name in common is
// stronger evidence than a common one.
type Frequency struct {
	Family      map[string]float64 `json:"family"`
	Given       map[string]float64 `json:"given"`
	OtherFamily float64            `json:"otherFamily"` // of a family name that is not listed; 0 leaves names alone
	OtherGiven  float64            `json:"otherGiven"`
	// Text holds shares of the values of file fields, by field name. A value
	// that is not listed has the field's average.
	Text map[string]map[string]float64 `json:"text,omitempty"`
	// Contemporaries is how many times as common a given name is among people of
	// its bearer's sex and age as among all: names are of a sex and of a time, so
	// they are no chance of their own beside an equal sex and birth date. 0 is 1.
	Contemporaries float64 `json:"contemporaries,omitempty"`
}

//go:embed data/hutong-zh-4.json
var defaultModel []byte

//go:embed data/hutong-file-1.json
var fileModel []byte

// FileDefault is where training on a file of unknown making starts.
func FileDefault() (*Model, error) { return Load(fileModel) }

// Default is the built-in model for a Chinese region.
func Default() (*Model, error) { return Load(defaultModel) }

// document is the JSON form of a model: fields[field][level] = [m, u].
type document struct {
	Version    string                           `json:"version"`
	Prior      float64                          `json:"prior"`
	Thresholds Thresholds                       `json:"thresholds"`
	Expected   map[string]Expectation           `json:"expected,omitempty"`
	Fields     map[string]map[string][2]float64 `json:"fields"`
	Frequency  Frequency                        `json:"frequency"`
	Household  *kinship                         `json:"household,omitempty"`
}

// MarshalJSON is the form that Load reads.
func (m *Model) MarshalJSON() ([]byte, error) {
	doc := document{m.Version, m.Prior, m.Thresholds, m.Expected, map[string]map[string][2]float64{}, m.Frequency, m.kinship()}
	for f := range AllFields {
		levels := map[string][2]float64{}
		for l := Level(1); int(l) < f.Levels(); l++ {
			levels[f.LevelName(l)] = [2]float64{m.rates[f][l].M, m.rates[f][l].U}
		}
		doc.Fields[f.String()] = levels
	}
	return json.Marshal(doc)
}

// Load reads a model from its JSON form.
func Load(data []byte) (*Model, error) {
	var doc document
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("score: model: %w", err)
	}
	m := &Model{Version: doc.Version, Prior: doc.Prior, Thresholds: doc.Thresholds, Expected: doc.Expected, Frequency: doc.Frequency}
	for f := Field(0); f < AllFields; f++ {
		m.rates[f] = make([]Rates, f.Levels())
		for l := Level(1); int(l) < f.Levels(); l++ {
			r, ok := doc.Fields[f.String()][f.LevelName(l)]
			if !ok {
				r, ok = newer(doc.Fields[f.String()], f, l)
			}
			if !ok || r[0] <= 0 || r[1] <= 0 || r[0] > 1 || r[1] > 1 {
				return nil, fmt.Errorf("score: model %s: %s.%s needs m and u in (0,1]", doc.Version, f, f.LevelName(l))
			}
			m.rates[f][l] = Rates{r[0], r[1]}
		}
	}
	if !(m.Prior > 0 && m.Prior < 1) || m.Version == "" {
		return nil, fmt.Errorf("score: model needs a version and a prior in (0,1)")
	}
	m.weigh()
	if doc.Household != nil {
		return m, m.ofKin(doc.Household)
	}
	return m, nil
}

// newer gives the rates of a level that a model leaves out: one that only
// CompareFile gives says nothing, one that was added later says what the level
// does that it was part of before.
func newer(levels map[string][2]float64, f Field, l Level) (r [2]float64, ok bool) {
	name := f == Family || f == Given
	switch {
	case f >= Fields, name && l == NameRemote, f == Birth && l == BirthNear, f == Citizen && l == CitizenOther:
		return [2]float64{0.5, 0.5}, true
	case name && (l == NameLook || l == NameKin):
		r, ok = levels[f.LevelName(NameTypo)]
	case f == Birth && l == BirthLunar:
		r, ok = levels[f.LevelName(BirthYear)]
	}
	return r, ok
}

func (m *Model) weigh() {
	for f := range m.rates {
		m.weights[f] = make([]float64, len(m.rates[f]))
		for l := 1; l < len(m.rates[f]); l++ {
			m.weights[f][l] = math.Log2(m.rates[f][l].M / m.rates[f][l].U)
		}
	}
}

// Rates gives m and u of a level.
func (m *Model) Rates(f Field, l Level) Rates { return m.rates[f][l] }

// Result is a pair as scored.
type Result struct {
	Vector      Vector
	Weights     [AllFields]float64 // log2(m/u), name frequency included
	Frequency   [AllFields]float64 // share of people with the shared name; 0 where not used
	Weight      float64            // their sum
	LogOdds     float64            // log2 of the odds of one person, prior included
	Probability float64
	Grade       Grade
}

// Grade is a rung of http://hl7.org/fhir/ValueSet/match-grade.
type Grade string

// The grades.
const (
	Certain      Grade = "certain"
	Probable     Grade = "probable"
	Possible     Grade = "possible"
	CertainlyNot Grade = "certainly-not"
)

// Score weighs the agreement of two records.
func (m *Model) Score(a, b *normal.Record) Result { return m.Weigh(Compare(a, b), a, b) }

// ScoreFile is Score by CompareFile.
func (m *Model) ScoreFile(a, b *normal.Record) Result { return m.Weigh(CompareFile(a, b), a, b) }

// Weigh is Score for records that were compared before.
func (m *Model) Weigh(v Vector, a, b *normal.Record) Result {
	r := Result{Vector: v}
	for f, l := range r.Vector {
		r.Weights[f] = m.weights[f][l]
	}
	m.rareNames(a, b, &r)
	m.dampen(&r)
	for _, w := range r.Weights {
		r.Weight += w
	}
	house := 0.0
	if m.house != nil {
		var extra [AllFields]float64
		for f, l := range v {
			extra[f] = r.Weights[f] - m.weights[f][l]
		}
		house = m.house.sum(&v, &extra)
	}
	at := 0.0
	for _, f := range address {
		at += r.Weights[f]
	}
	weight, _ := m.moved.weight(r.Weight, at)
	r.Probability, _, r.LogOdds = m.odds(weight, house)
	if c := ceiling(v.Pack()); c < r.LogOdds {
		r.LogOdds, r.Probability = c, Probability(c)
	}
	r.Grade = m.grade(r.Probability)
	return r
}

// NoStranger is the probability of one person where the family is out of the
// question, for reasons that are not weighed.
func (m *Model) NoStranger(r *Result) float64 {
	return Probability(r.Weight + math.Log2(m.Prior) - math.Log2(1-m.Prior))
}

func (m *Model) grade(p float64) Grade {
	switch {
	case p >= m.Thresholds.Certain:
		return Certain
	case p >= m.Thresholds.Probable:
		return Probable
	case p >= m.Thresholds.Possible:
		return Possible
	}
	return CertainlyNot
}

// rareNames replaces the average u of an exact name by the share of the name
// itself.
func (m *Model) rareNames(a, b *normal.Record, r *Result) {
	m.rareTexts(a, b, r)
	if m.Frequency.OtherFamily == 0 {
		return
	}
	if r.Vector[Family] == NameExact {
		family := func(n *normal.Name) string { return n.Family }
		m.byFrequency(r, Family, m.Frequency.share(m.Frequency.Family, m.Frequency.OtherFamily, a, b, family))
	}
	if r.Vector[Given] == NameExact {
		given := func(n *normal.Name) string { return n.Given }
		share := m.Frequency.share(m.Frequency.Given, m.Frequency.OtherGiven, a, b, given)
		m.byFrequency(r, Given, share*m.contemporary(&r.Vector))
		r.Frequency[Given] = share // what a human is told is the share of all people
	}
}

// contemporary is how many times as common a given name is among those who
// share sex and birth date, as far as these agree.
func (m *Model) contemporary(v *Vector) float64 {
	if m.Frequency.Contemporaries < 1 || v[Sex] != Same || v[Birth] == Silent || v[Birth] == BirthDifferent {
		return 1
	}
	return m.Frequency.Contemporaries
}

func (m *Model) byFrequency(r *Result, f Field, share float64) {
	if share > 0 {
		r.Frequency[f] = share
		r.Weights[f] = math.Log2(m.rates[f][NameExact].M / share)
	}
}

// share is how common the name part is that two records have in common: of
// several the commonest, to be careful; 0 if there is none.
func (f *Frequency) share(table map[string]float64, other float64, a, b *normal.Record, part func(*normal.Name) string) float64 {
	most := 0.0
	for i := range a.Names {
		for j := range b.Names {
			x, y := &a.Names[i], &b.Names[j]
			if s := part(x); x.Usable() && y.Usable() && s != "" && s == part(y) {
				if p, ok := table[s]; ok {
					most = max(most, p)
				} else {
					most = max(most, other)
				}
			}
		}
	}
	return most
}

// dampen corrects for fields that are not independent. People of one household
// share phone, line and place, so the three together count as the strongest
// and half of the rest. Who moved has another line and another place at once,
// which counts once.
func (m *Model) dampen(r *Result) {
	if r.Weights[Line] < 0 && r.Weights[Place] < 0 {
		r.Weights[Place] = 0
	}
	best := max(r.Weights[Phone], r.Weights[Line], r.Weights[Place])
	for _, f := range []Field{Phone, Line, Place} {
		if r.Weights[f] > 0 && r.Weights[f] < best {
			r.Weights[f] /= 2
		}
	}
}
