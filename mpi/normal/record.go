// Package normal turns what hospitals write about a person into forms that
// can be compared: names (han, pinyin, swapped, dotted), identity numbers (GB
// 11643, GB 32100, cards), dates, phones and addresses. It is pure: no I/O, no
// state, no clock. The sender's own text is never changed by it; these forms
// serve as keys only.
package normal

import "time"

// Record is a person's demographics in comparison form.
type Record struct {
	Names     []Name // official first
	Birth     Date
	Sex       Sex
	IDs       []Identifier
	Phones    []string // digits
	Addresses []Address
	Order     int  // multipleBirthInteger; 0 if unknown
	Multiple  bool // born as one of several
	Deceased  bool

	// Of files only (batch matching); the index neither reads nor stores them.
	BirthPlace, Occupation string // folded
}

// Emergency reports an unknown patient (无名氏): identified by a temporary
// emergency number. Nothing but a human decision joins such a record.
func (r *Record) Emergency() bool { return r.has(EmergencyTemp) }

// Newborn reports a record that still goes by a temporary newborn number.
func (r *Record) Newborn() bool { return r.has(NewbornTemp) && r.CitizenID() == "" }

func (r *Record) has(k Kind) bool {
	for i := range r.IDs {
		if r.IDs[i].Kind == k && !r.IDs[i].Ended {
			return true
		}
	}
	return false
}

// CitizenID is the record's valid citizen id, or "".
func (r *Record) CitizenID() string {
	for i := range r.IDs {
		if id := &r.IDs[i]; id.Kind == Citizen && id.Valid && !id.Ended {
			return id.Value
		}
	}
	return ""
}

// Name is the first usable name, or nil.
func (r *Record) Name() *Name {
	for i := range r.Names {
		if r.Names[i].Usable() {
			return &r.Names[i]
		}
	}
	return nil
}

// CrossCheck lists the fields in which the record contradicts its own valid
// citizen id: "sex", "birthDate".
func (r *Record) CrossCheck(now time.Time) []string {
	var out []string
	for i := range r.IDs {
		id, ok := r.IDs[i].citizen(now)
		if !ok || r.IDs[i].Ended {
			continue
		}
		if (r.Sex == Male || r.Sex == Female) && id.Sex != r.Sex {
			out = append(out, "sex")
		}
		if r.Birth.Full() && id.Birth != r.Birth {
			out = append(out, "birthDate")
		}
	}
	return out
}

// BirthOrID is the birth date stated, else the one that a valid citizen id
// implies.
func (r *Record) BirthOrID(now time.Time) Date {
	if r.Birth.Full() {
		return r.Birth
	}
	for i := range r.IDs {
		if id, ok := r.IDs[i].citizen(now); ok {
			return id.Birth
		}
	}
	return r.Birth
}
