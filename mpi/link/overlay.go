package link

import (
	"hutong/mpi/normal"
	"hutong/mpi/score"
)

// The fields in which an update made a record speak of another human.
const (
	OtherCitizenID Reason = "other-citizen-id"
	OtherName      Reason = "other-name"
	OtherBirth     Reason = "other-birth-date"
	OtherSex       Reason = "other-sex"
)

// Overlay tells by which fields an update from a to b made the record speak of
// another human, or nil if it did not: at least two of citizen id, name, birth
// date and sex changed, and among them the id or the name. A correction of one
// field is none, nor is one under the same citizen id, nor is naming who had no
// name: a newborn or an unknown patient.
func (r *Rules) Overlay(a, b *normal.Record) []Reason {
	if a.Emergency() || a.Newborn() || a.Name() == nil || b.Name() == nil {
		return nil
	}
	v := r.model.Score(a, b).Vector
	if v[score.Citizen] == score.CitizenEqual {
		return nil
	}
	var out []Reason
	add := func(changed bool, why Reason) {
		if changed {
			out = append(out, why)
		}
	}
	x, y := a.CitizenID(), b.CitizenID()
	add(x != "" && y != "" && x != y && !holds(a, y) && !holds(b, x), OtherCitizenID)
	add(otherName(v[score.Family], v[score.Given]), OtherName)
	whoever := len(out) > 0
	add(v[score.Birth] == score.BirthDifferent || v[score.Birth] == score.BirthYear, OtherBirth)
	add(v[score.Sex] == score.Different, OtherSex)
	if !whoever || len(out) < 2 {
		return nil
	}
	return out
}

// otherName: one part that differs may be a marriage or a slip, unless the
// other part says nothing for the same name.
func otherName(family, given score.Level) bool {
	differs := func(l score.Level) bool { return l == score.NameDifferent }
	return differs(given) && family != score.NameSwapped || differs(family) && (differs(given) || given == score.Silent)
}
