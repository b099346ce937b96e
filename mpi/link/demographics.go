package link

import (
	"hutong/mpi/normal"
	"hutong/mpi/score"
)

// SamePerson is the rule by which two records are one person without a number
// in common.
const SamePerson Reason = "name-birth-sex-and-contact"

// demographic reports records that name, birth date, sex and a telephone or
// address show to be one person, with a probability from which the model says
// that people may be linked unasked (Thresholds.Link; 0 is never). It is an
// and, not a sum: no field makes up for another. What could be a twin, a
// relative under a shared roof, or a person known by nothing but a temporary
// name is left to humans, and so is all that a number speaks against.
func (r *Rules) demographic(a, b *normal.Record, s *score.Result) bool {
	v := &s.Vector
	switch {
	case r.model.Thresholds.Link == 0 || s.Probability < r.model.Thresholds.Link:
		return false
	case v[score.Citizen] != score.Silent && v[score.Citizen] != score.CitizenRepaired && v[score.Citizen] != score.CitizenInvalid,
		v[score.Cards] == score.CardsDifferent:
		return false
	case !nameAlike(v[score.Family]) || !nameAlike(v[score.Given]) || likeTwins(a, b, s):
		return false
	case v[score.Sex] == score.Different:
		return false
	}
	if certainBirth(a, b, v) {
		return contact(v) || v[score.Place] == score.PlaceExact
	}
	// A date that was mistyped, cut short or taken from another calendar needs
	// the name and the telephone, or the name and the door, to be the very same.
	return nearBirth(v) && v[score.Family] == score.NameExact && v[score.Given] == score.NameExact &&
		(v[score.Phone] == score.Same || v[score.Line] == score.PlaceExact || v[score.Line] == score.PlaceClose && v[score.Place] == score.PlaceExact)
}

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
		v[score.Line] == score.PlaceExact || v[score.Line] == score.PlaceClose
}
