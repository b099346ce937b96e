package link

import (
	"time"

	"hutong/mpi/normal"
	"hutong/mpi/score"
)

// SamePerson is the rule by which two records are one person without a number
// in common.
const SamePerson Reason = "name-birth-sex-and-contact"

// demographic reports records that name, birth date and sex show to be one
// person, with a probability from which the model says that people may be linked
// unasked (Thresholds.Link; 0 is never). That weighs how rare the name is against
// how many people the region has, and one person against two of a household; what
// must agree besides is an and, not a sum: no field makes up for another. What
// could be a twin is left to humans, and so is all that a number speaks against.
func (r *Rules) demographic(a, b *normal.Record, s *score.Result) bool {
	v := &s.Vector
	switch {
	case r.model.Thresholds.Link == 0,
		v[score.Citizen] != score.Silent && v[score.Citizen] != score.CitizenRepaired && v[score.Citizen] != score.CitizenInvalid,
		v[score.Cards] == score.CardsDifferent:
		return false
	case unnamed(a) || unnamed(b):
		return r.sameBirth(a, b, s)
	case s.Probability < r.model.Thresholds.Link || likeTwins(a, b, s):
		return false
	case v[score.Sex] == score.Different:
		// Beside all else that a household knows, the sex was mistaken.
		return nameEqual(a, b, s) && certainBirth(a, b, v) && contact(v)
	case v[score.Family] == score.NameDifferent && v[score.Given] == score.NameExact:
		// A child of a new marriage has another family name, but kept its given one.
		return hanNames(a, b) && certainBirth(a, b, v) && contact(v)
	case v[score.Family] == score.NameExact && v[score.Given] == score.NameTypo && hanNames(a, b):
		// The characters of the given name exchanged; who is born on that day in
		// that house and has the same characters is nobody else, or a twin.
		return certainBirth(a, b, v) && contact(v)
	case !nameAlike(v[score.Family]) || !nameAlike(v[score.Given]):
		return false
	case certainBirth(a, b, v):
		return contact(v) || v[score.Place] == score.PlaceExact || nameEqual(a, b, s) && s.Probability >= bare
	case v[score.Birth] == score.Silent:
		// No Chinese child is given the name of an elder of the house.
		return (hanNames(a, b) || nameEqual(a, b, s)) && contact(v)
	}
	// A date that was mistyped, cut short or taken from another calendar.
	return nearBirth(v) && contact(v)
}

// bare is the probability that it takes at least where nothing but name, birth
// date and sex agree: how common a name is among the people of one town and age is
// known on average only.
const bare = 0.999

// mistakenSex reports one and the same person with an equal valid citizen id, of
// whose two records one, and only one, states another sex than the id (ID-11).
// Without a threshold of the region's own, humans are asked.
func (r *Rules) mistakenSex(a, b *normal.Record, s *score.Result, now time.Time) bool {
	v := &s.Vector
	return r.model.Thresholds.Link > 0 && s.Probability >= r.model.Thresholds.Link && crossed(a, now) != crossed(b, now) &&
		nameAlike(v[score.Family]) && nameAlike(v[score.Given]) && v[score.Birth] != score.BirthDifferent
}

// sameBirth reports a newborn's record without a name, and that of a child of the
// same day and sex: by the mother's telephone, the flat, or a line that is as rare
// as the region asks. A multiple birth is stated on the newborn's record (ID-09);
// then only the same order of birth will do.
func (r *Rules) sameBirth(a, b *normal.Record, s *score.Result) bool {
	v := &s.Vector
	return a.Order == b.Order && a.Multiple == b.Multiple && certainBirth(a, b, v) && v[score.Sex] != score.Different &&
		(v[score.Phone] == score.Same || oneFlat(a, b) || contactLine(v) && r.model.NoStranger(s) >= r.model.Thresholds.Link)
}

// oneFlat reports addresses of one room, not only of one house.
func oneFlat(a, b *normal.Record) bool {
	for i := range a.Addresses {
		for j := range b.Addresses {
			if score.SameFlat(a.Addresses[i].Line, b.Addresses[j].Line) {
				return true
			}
		}
	}
	return false
}

// unnamed is a newborn's record under its temporary number and no name of its own.
func unnamed(r *normal.Record) bool { return r.Newborn() && r.Name() == nil }

// certainBirth is a full date in common that is no default.
func certainBirth(a, b *normal.Record, v *score.Vector) bool {
	return v[score.Birth] == score.BirthExact && !a.Birth.Defaulted() && !b.Birth.Defaulted()
}

func nearBirth(v *score.Vector) bool {
	switch v[score.Birth] {
	case score.BirthExact, score.BirthLunar, score.BirthSwapped, score.BirthSlip, score.BirthPartial:
		return true
	}
	return false
}

// nameAlike is a name part that both records state, the same but for how it is
// written.
func nameAlike(l score.Level) bool { return l != score.Silent && nameHigh(l) && l != score.NameTypo }

// contact is a telephone, a card or an address in common.
func contact(v *score.Vector) bool {
	return v[score.Phone] == score.Same || v[score.Phone] == score.Near || v[score.Cards] == score.CardsOne ||
		contactLine(v)
}

func contactLine(v *score.Vector) bool {
	return v[score.Line] == score.PlaceExact || v[score.Line] == score.PlaceClose
}
