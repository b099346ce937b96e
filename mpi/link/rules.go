// Package link decides: which two records are one person without asking a
// human, which a human must look at, and which never join; and it divides the
// records that hang together into persons. It is pure: the outcome follows from
// the records and the human decisions alone, not from the order of arrival.
package link

import (
	"cmp"
	"slices"
	"time"

	"hutong/mpi/normal"
	"hutong/mpi/score"
)

// Kind is what a pair calls for.
type Kind uint8

// The verdicts, the mildest first.
const (
	None   Kind = iota // nothing
	Review             // a human looks at it
	Link               // one person, by certain evidence
	Never              // two people: no demographic likeness joins them
)

var kindNames = [...]string{"none", "review", "link", "never"}

// String is the verdict's name in journals and APIs.
func (k Kind) String() string { return kindNames[k] }

// Reason is the code of a rule that decided.
type Reason string

// The rules.
const (
	SameCitizenID    Reason = "citizen-id-and-name"      // ID-11
	TwoCards         Reason = "two-cards-and-person"     // ID-11
	SourceMerge      Reason = "source-merge"             // Patient.link of the hospital itself
	NameContradicts  Reason = "same-id-other-name"       // ID-11: review
	SexContradicts   Reason = "same-id-other-sex"        // ID-11: review
	NameMissing      Reason = "same-id-name-missing"     // newborn or nameless: review
	TwoCitizenIDs    Reason = "two-citizen-ids"          // two valid numbers: two people
	SharedCards      Reason = "two-citizen-ids-one-card" // review: a card used by two people
	Twins            Reason = "twins"
	EmergencyPatient Reason = "emergency-patient" // ID-10
	LikelySame       Reason = "likely-same"       // by probability
	LikelyDifferent  Reason = "likely-different"
	Constrained      Reason = "constrained" // linking would join people who must stay apart
	HumanLink        Reason = "human-link"
	HumanReject      Reason = "human-reject"
	CardHolder       Reason = "card-holder"        // $match: the one holder of the card asked for
	HealthRecordOnly Reason = "health-record-only" // ID-06
	TwoDeaths        Reason = "two-deaths"         // dates of death that no typing error explains
	BornAfterDeath   Reason = "born-after-death"
	DeadAndAlive     Reason = "dead-and-alive"
	WeakBridge       Reason = "weak-bridge" // two groups joined by few, contradicted by most
)

// Verdict is the outcome for a pair.
type Verdict struct {
	Kind    Kind
	Reasons []Reason
	Score   score.Result
}

// Rules decide pairs by a model's probabilities and the identity rules ID-xx.
type Rules struct{ model *score.Model }

// NewRules uses m.
func NewRules(m *score.Model) *Rules { return &Rules{m} }

// Model is the model in use.
func (r *Rules) Model() *score.Model { return r.model }

// Decide judges a pair. It is symmetric. now bounds birth dates in ids.
func (r *Rules) Decide(a, b *normal.Record, now time.Time) Verdict {
	v := Verdict{Score: r.model.Score(a, b)}
	v.Kind, v.Reasons = r.judge(a, b, &v.Score, now)
	v.regrade(r.model)
	return v
}

// againstWeight is the sum of weights (log2) from which a pair speaks for two
// people: at least sixteen to one. Records that say little are not against
// each other.
const againstWeight = -4

// SpeaksAgainst reports that the evidence of a pair is for two people.
func (v *Verdict) SpeaksAgainst() bool { return v.Kind == Never || v.Score.Weight <= againstWeight }

// Relate says how two records of one component stand to each other, whatever
// edge it is that would join their groups. It is symmetric.
func (r *Rules) Relate(a, b *normal.Record, x, y Life) Relation {
	if reason := cmp.Or(Apart(a, b), Against(a, b, x, y)); reason != "" {
		return Relation{Apart: reason}
	}
	s := r.model.Score(a, b)
	if likeTwins(a, b, &s) {
		return Relation{Apart: Twins}
	}
	return Relation{Against: s.Weight <= againstWeight}
}

// regrade keeps the grade in step with the rules: what a rule links is
// certain, what a rule parts is certainly not, what a human must see is never
// certain, and what a rule passes over (twins) is at most possible.
func (v *Verdict) regrade(m *score.Model) {
	switch {
	case v.Kind == Link:
		v.Score.Grade = score.Certain
	case v.Kind == Never:
		v.Score.Grade = score.CertainlyNot
	case v.Kind == Review && v.Score.Grade == score.Certain:
		v.Score.Grade = score.Probable
	case v.Kind == None && v.Score.Grade != score.CertainlyNot:
		v.Score.Grade = score.Possible
	case v.Kind == Review && v.Score.Grade == score.CertainlyNot:
		v.Score.Grade = score.Possible
	}
}

func (r *Rules) judge(a, b *normal.Record, s *score.Result, now time.Time) (Kind, []Reason) {
	strong := score.Equal(a, b)
	if a.Emergency() || b.Emergency() {
		return emergency(s, len(strong))
	}
	if reason := Apart(a, b); reason != "" {
		if reason == TwoCitizenIDs && len(strong) > 0 {
			return Review, []Reason{reason, SharedCards}
		}
		return Never, []Reason{reason}
	}
	if s.Vector[score.Citizen] == score.CitizenEqual {
		if r.mistakenSex(a, b, s, now) {
			return Link, []Reason{SamePerson, SexContradicts}
		}
		return sameCitizen(a, b, s, now)
	}
	if len(strong) >= 2 && samePerson(a, b, s) && !likeTwins(a, b, s) {
		return Link, []Reason{TwoCards}
	}
	if r.demographic(a, b, s) {
		return Link, []Reason{SamePerson}
	}
	return r.probable(a, b, s)
}

func emergency(s *score.Result, strong int) (Kind, []Reason) {
	if s.Vector[score.Citizen] == score.CitizenEqual || strong > 0 {
		return Review, []Reason{EmergencyPatient}
	}
	return None, []Reason{EmergencyPatient}
}

// sameCitizen applies ID-11: an equal valid citizen id links if the name is
// highly similar and nothing contradicts the sex.
func sameCitizen(a, b *normal.Record, s *score.Result, now time.Time) (Kind, []Reason) {
	switch {
	case s.Vector[score.Sex] == score.Different || crossed(a, now) || crossed(b, now):
		return Review, []Reason{SexContradicts}
	case s.Vector[score.Family] == score.Silent && s.Vector[score.Given] == score.Silent:
		return Review, []Reason{NameMissing}
	case !nameHigh(s.Vector[score.Family]) || !nameHigh(s.Vector[score.Given]):
		return Review, []Reason{NameContradicts}
	}
	return Link, []Reason{SameCitizenID}
}

func crossed(r *normal.Record, now time.Time) bool {
	for _, f := range r.CrossCheck(now) {
		if f == "sex" {
			return true
		}
	}
	return false
}

// nameHigh is what ID-11 calls a high similarity of a name part.
func nameHigh(l score.Level) bool {
	switch l {
	case score.Silent, score.NameExact, score.NameSound, score.NameFuzzy, score.NameLook, score.NameTypo, score.NameKin, score.NameSwapped:
		return true
	}
	return false
}

// samePerson is the demographic half of the two-cards rule: name, birth date
// and sex equal. A name in han and its pinyin are equal; two han names that
// only sound alike are not.
func samePerson(a, b *normal.Record, s *score.Result) bool {
	return s.Vector[score.Birth] == score.BirthExact && s.Vector[score.Sex] == score.Same && nameEqual(a, b, s)
}

func nameEqual(a, b *normal.Record, s *score.Result) bool {
	f, g := s.Vector[score.Family], s.Vector[score.Given]
	if f == score.NameExact && (g == score.NameExact || g == score.Silent) {
		return true
	}
	x, y := a.Name(), b.Name()
	return x != nil && y != nil && x.Han() != y.Han() && f <= score.NameSound && f != score.Silent && g <= score.NameSound && g != score.Silent
}

// probable falls back on the probability: never a link, at most a question.
func (r *Rules) probable(a, b *normal.Record, s *score.Result) (Kind, []Reason) {
	if likeTwins(a, b, s) {
		return None, []Reason{Twins}
	}
	if s.Probability >= r.model.Thresholds.Review {
		return Review, []Reason{LikelySame}
	}
	if onlyHealthRecord(a, b, s) {
		return None, []Reason{HealthRecordOnly, LikelyDifferent}
	}
	return None, []Reason{LikelyDifferent}
}

func onlyHealthRecord(a, b *normal.Record, s *score.Result) bool {
	for i := range a.IDs {
		for j := range b.IDs {
			if a.IDs[i].Kind == normal.HealthRecord && b.IDs[j].Kind == normal.HealthRecord && a.IDs[i].Value == b.IDs[j].Value {
				return true
			}
		}
	}
	return false
}

// Apart gives the reason why two records can never be one person on the
// evidence they carry, or "". Only a human decision overrides it.
func Apart(a, b *normal.Record) Reason {
	if x, y := a.CitizenID(), b.CitizenID(); x != "" && y != "" && x != y && !holds(a, y) && !holds(b, x) {
		return TwoCitizenIDs
	}
	if a.Birth.Full() && a.Birth == b.Birth && a.Order > 0 && b.Order > 0 && a.Order != b.Order {
		return Twins
	}
	if x, y := newborn(a), newborn(b); x != "" && y != "" && x != y && a.Birth == b.Birth {
		return Twins
	}
	return ""
}

// holds reports whether the record carries the citizen id, if only as an old one.
func holds(r *normal.Record, value string) bool {
	for i := range r.IDs {
		if r.IDs[i].Kind == normal.Citizen && r.IDs[i].Valid && r.IDs[i].Value == value {
			return true
		}
	}
	return false
}

func newborn(r *normal.Record) string {
	for i := range r.IDs {
		if r.IDs[i].Kind == normal.NewbornTemp {
			return r.IDs[i].Value
		}
	}
	return ""
}

// likeTwins reports what siblings born together look like on paper: the same
// birth date, family name and household, but a given name that is not the
// same, or a multiple birth stated. A brother and a sister have two names: one
// name on both is one person whose sex was mistaken. The same characters in
// another order are a slip, unless a multiple birth is stated.
func likeTwins(a, b *normal.Record, s *score.Result) bool {
	if s.Vector[score.Birth] != score.BirthExact || s.Vector[score.Citizen] == score.CitizenEqual {
		return false
	}
	household := s.Vector[score.Phone] == score.Same || s.Vector[score.Line] == score.PlaceExact
	other := s.Vector[score.Given] >= score.NameClose && s.Vector[score.Given] != score.NameSwapped && s.Vector[score.Given] != score.NameLook ||
		s.Vector[score.Sex] == score.Different && (s.Vector[score.Given] == score.Silent || !nameEqual(a, b, s))
	hanTypo := s.Vector[score.Given] == score.NameTypo && hanNames(a, b) && (!exchanged(a, b) || a.Multiple || b.Multiple)
	return (household || a.Multiple && b.Multiple) && (other || hanTypo)
}

// exchanged reports given names of the same characters in another order.
func exchanged(a, b *normal.Record) bool {
	x, y := []rune(a.Name().Given), []rune(b.Name().Given)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// hanNames: one character apart is a slip between strangers' records, but the
// naming custom of siblings (子轩, 子涵).
func hanNames(a, b *normal.Record) bool {
	x, y := a.Name(), b.Name()
	return x != nil && y != nil && x.Han() && y.Han()
}
