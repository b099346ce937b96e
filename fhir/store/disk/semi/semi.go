// Package semi holds the matches of a _has that points to patients, and tells
// of a patient whether one of them does: most are refuted in memory, the others
// take one posting.
package semi

import (
	"cmp"
	"slices"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store/disk/judge"
	"hutong/fhir/store/disk/layout"
)

// Matches are places, ordered by rid, so that those of one patient's home lie
// together. It is not safe for concurrent use.
type Matches struct {
	T     fhir.T
	Names judge.Names
	// Get reads a row of the tree, nil if there is none; Values the values of
	// the version that stood at a place.
	Get    func(key []byte) ([]byte, error)
	Values func(layout.Place) ([]search.Entry, error)

	Code   string // of the reference: patient or subject, whose patients the facts list, too
	List   []byte // its postings, without 'X'
	System uint32 // Patient, in the table of names

	places []layout.Place
	one    map[uint32]bool // by class: it says that there is one patient
}

// Add takes a match, whose class is known; ok is false if that does not say
// that it has one patient, whose home the rid then tells.
func (m *Matches) Add(class uint32, p layout.Place) (ok bool, err error) {
	one, known := m.one[class]
	if !known && class != 0 {
		name, err := m.Names.Name(class)
		if err != nil {
			return false, err
		}
		c, ok := layout.ParseClass(name)
		if m.one == nil {
			m.one = map[uint32]bool{}
		}
		one = ok && c.Patients == 1
		m.one[class] = one
	}
	if one {
		m.places = append(m.places, p)
	}
	return one, nil
}

// Len is the number of matches.
func (m *Matches) Len() int { return len(m.places) }

// Reset forgets the matches.
func (m *Matches) Reset() { m.places = m.places[:0] }

// Sort is called when all are added.
func (m *Matches) Sort() {
	slices.SortFunc(m.places, func(a, b layout.Place) int { return cmp.Compare(a.RID, b.RID) })
}

// Places gives them in the order of their rids.
func (m *Matches) Places() []layout.Place { return m.places }

// At gives the matches that may point to the patient of a rid: all that do are
// among them.
func (m *Matches) At(patient layout.RID) []layout.Place {
	from, _ := slices.BinarySearchFunc(m.places, patient.Home(), func(p layout.Place, home uint32) int { return cmp.Compare(p.RID.Home(), home) })
	to := from
	for to < len(m.places) && m.places[to].RID.Home() == patient.Home() {
		to++
	}
	return m.places[from:to]
}

// Points reports whether the match at p points to a patient: by its posting,
// or, where that was superseded or there is none, by its values.
func (m *Matches) Points(p layout.Place, patient string) (bool, error) {
	list := layout.AppendToken(m.List[:len(m.List):len(m.List)], patient, m.System)
	v, err := m.Get(layout.PostingKey(nil, list, p))
	if err != nil {
		return false, err
	}
	if from, _ := layout.PostedOf(v); v != nil && from <= m.T {
		return true, nil
	}
	entries, err := m.Values(p)
	return err == nil && slices.ContainsFunc(entries, func(e search.Entry) bool {
		return e.Param.Code == m.Code && e.System == "Patient" && e.Code == patient
	}), err
}
