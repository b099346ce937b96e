package link

import (
	"hutong/mpi/normal"
	"hutong/mpi/score"
)

// SamePerson is the rule by which two records are one person without a number
// in common.
const SamePerson Reason = "name-birth-sex-and-contact"

// demographic reports records that name, birth date and sex show to be one
// person, with a probability from which the model says that people may be linked
// unasked (Thresholds.Link; 0 is never). That weighs how rare the name is against
// how many people the region has; what must agree besides is an and, not a sum:
// no field makes up for another. What could be a twin or a relative under a
// shared roof is left to humans, and so is all that a number speaks against.
func (r *Rules) demographic(a, b *normal.Record, s *score.Result) bool {
	v := &s.Vector
	switch {
	case r.model.Thresholds.Link == 0,
		v[score.Citizen] != score.Silent && v[score.Citizen] != score.CitizenRepaired && v[score.Citizen] != score.CitizenInvalid,
		v[score.Cards] == score.CardsDifferent:
		return false
	case sameBirth(a, b, v):
		return true
	case s.Probability < r.model.Thresholds.Link || likeTwins(a, b, s):
		return false
	case v[score.Family] == score.NameDifferent && v[score.Given] == score.NameExact:
		// A child of a new marriage has another family name, but kept its given one.
		return hanNames(a, b) && certainBirth(a, b, v) && v[score.Sex] == score.Same && household(v)
	case !nameAlike(v[score.Family]) || !nameAlike(v[score.Given]):
		return false
	case v[score.Sex] == score.Different:
		// Beside all else that a household knows, the sex was mistaken.
		return oneHanName(a, b, s) && certainBirth(a, b, v) && household(v)
	case certainBirth(a, b, v):
		return v[score.Sex] == score.Same && nameEqual(a, b, s) || contact(v) || v[score.Place] == score.PlaceExact
	case v[score.Family] != score.NameExact || v[score.Given] != score.NameExact:
		return false
	case nearBirth(v):
		// A date that was mistyped, cut short or taken from another calendar needs
		// the name and the telephone, or the name and the door, to be the very same.
		return v[score.Phone] == score.Same || v[score.Line] == score.PlaceExact || v[score.Line] == score.PlaceClose && v[score.Place] == score.PlaceExact
	}
	// Without a date it takes the telephone, and a Chinese name: no child is given
	// that of an elder of the house.
	return v[score.Birth] == score.Silent && hanNames(a, b) && v[score.Sex] == score.Same && household(v)
}

// household is the telephone in common, and no other address.
func household(v *score.Vector) bool {
	return v[score.Phone] == score.Same && (v[score.Line] == score.Silent || contactLine(v))
}

// sameBirth reports a newborn's record without a name, and that of a child of the
// same day, sex and telephone: the mother's. A multiple birth is stated on the
// newborn's record (ID-09); then only the same order of birth will do.
func sameBirth(a, b *normal.Record, v *score.Vector) bool {
	return (unnamed(a) || unnamed(b)) && a.Order == b.Order && a.Multiple == b.Multiple &&
		certainBirth(a, b, v) && v[score.Sex] == score.Same && (v[score.Phone] == score.Same || oneFlat(a, b))
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
