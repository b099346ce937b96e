package search

import (
	"slices"
	"time"

	"hutong/fhir"
	"hutong/fhir/definition"
)

// factRules tells which entries of a type carry which facts.
type factRules struct {
	roles map[*definition.SearchParam]role
	dates []*definition.SearchParam // the first one that has a value is the clinical date
}

// role is a set of the facts that an entry adds to.
type role uint8

const (
	patientRole role = 1 << iota
	categoryRole
	codeRole
	labelRole
	authorRole
	dateRole
)

// These codes of search parameters name the same thing for whatever type has
// them. Author is who made or vouches for the content.
var (
	categoryCodes = []string{"category", "class"}
	codeCodes     = []string{"code", "vaccine-code", "type"}
	authorCodes   = []string{"author", "performer", "recorder", "requester", "asserter", "sender", "authenticator",
		"results-interpreter", "assessor", "enterer", "practitioner"}
	// clinicalDates come in order of preference: when it was true of the
	// patient, then when it was planned, done or written down.
	clinicalDates = []string{"onset", "onset-date", "date", "effective", "effective-time", "started", "collected", "period",
		"whenhandedover", "whenprepared", "occurrence", "authoredon", "authored-on", "authored", "start-date", "start", "event-date",
		"recorded-date", "when", "recorded", "sent", "issued", "created", "datewritten", "datetime", "entered-date", "identified", "timestamp"}
)

// datesOf gives the clinical dates that a type has, in order of preference.
func datesOf(defs *definition.Set, t fhir.Type) (dates []*definition.SearchParam) {
	for _, code := range clinicalDates {
		if p := defs.Param(t, code); p != nil && p.Type == definition.Date {
			dates = append(dates, p)
		}
	}
	return dates
}

// orders reports whether the clinical date of a resource of type t is the
// beginning of its value of param, wherever it has one, and it has one at most.
func orders(defs *definition.Set, t fhir.Type, param *definition.SearchParam) bool {
	dates := datesOf(defs, t)
	return len(dates) > 0 && dates[0] == param && defs.Sole(t, param)
}

func newFactRules(defs *definition.Set, t fhir.Type) factRules {
	f := factRules{roles: map[*definition.SearchParam]role{}}
	mark := func(r role, codes ...string) {
		for _, code := range codes {
			if p := defs.Param(t, code); p != nil {
				f.roles[p] |= r
			}
		}
	}
	mark(patientRole, defs.Compartment("Patient", t)...)
	// R4's compartment leaves out types that are about a patient all the same
	// (Task, Contract ...). For access they are the patient's.
	mark(patientRole, "patient", "subject")
	mark(categoryRole, categoryCodes...)
	mark(codeRole, codeCodes...)
	mark(labelRole, "_security")
	mark(authorRole, authorCodes...)
	f.dates = datesOf(defs, t)
	for _, p := range f.dates {
		f.roles[p] |= dateRole
	}
	return f
}

// of reads the facts of the resource with that key off its entries.
func (f *factRules) of(own fhir.Key, entries []Entry) fhir.Facts {
	var facts fhir.Facts
	if own.Type == "Patient" && own.ID != "" {
		facts.Patients = append(facts.Patients, own)
	}
	best := len(f.dates)
	for i := range entries {
		e := &entries[i]
		r := f.roles[e.Param]
		if r == 0 {
			continue
		}
		collect(&facts, r, e)
		if r&dateRole != 0 {
			best = f.date(&facts, best, e)
		}
	}
	return facts
}

func collect(facts *fhir.Facts, r role, e *Entry) {
	switch {
	case e.Param.Type == definition.Reference:
		k := fhir.Key{Type: fhir.Type(e.System), ID: e.Code}
		if r&patientRole != 0 && k.Type == "Patient" {
			facts.Patients = with(facts.Patients, k)
		}
		if r&authorRole != 0 && k.Type != "" {
			facts.Authors = with(facts.Authors, k)
		}
	case e.Param.Type == definition.Token && e.Code != "":
		c := fhir.Coding{System: e.System, Code: e.Code}
		if r&categoryRole != 0 {
			facts.Categories = with(facts.Categories, c)
		}
		if r&codeRole != 0 {
			facts.Codes = with(facts.Codes, c)
		}
		if r&labelRole != 0 {
			facts.Labels = with(facts.Labels, c)
		}
	}
}

func with[T comparable](list []T, x T) []T {
	if slices.Contains(list, x) {
		return list
	}
	return append(list, x)
}

// date takes the clinical date from e if its parameter comes before the best
// so far; of several values of one parameter, the first. A period counts from
// its start, or to its end if it has no start.
func (f *factRules) date(facts *fhir.Facts, best int, e *Entry) int {
	at := slices.Index(f.dates, e.Param)
	moment := e.Lo
	if moment == MinDate {
		moment = e.Hi
	}
	if at < 0 || at >= best || moment == MaxDate {
		return best
	}
	facts.Clinical = time.UnixMicro(moment).UTC()
	return at
}
