package search_test

import (
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/search"
)

func TestRestriction(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	k := fhir.Key{Type: "Observation", ID: "1"}
	p1, p2 := fhir.Key{Type: "Patient", ID: "1"}, fhir.Key{Type: "Patient", ID: "2"}
	lab, hiv := fhir.Coding{System: "c", Code: "lab"}, fhir.Coding{System: "l", Code: "HIV"}
	author := fhir.Key{Type: "Practitioner", ID: "9"}
	facts := fhir.Facts{Custodian: "o1", Patients: []fhir.Key{p1}, Categories: []fhir.Coding{lab}, Labels: []fhir.Coding{hiv},
		Authors: []fhir.Key{author}, Clinical: now.AddDate(-1, 0, 0)}
	type rules = []search.Rule
	for name, c := range map[string]struct {
		r    search.Restriction
		want bool
	}{
		"zero sees nothing":          {search.Restriction{}, false},
		"undecided permits nothing":  {search.Restriction{Permit: rules{{}}}, false},
		"decided, nothing permitted": {search.Restriction{Decided: true}, false},
		"system":                     {search.Unrestricted(), true},
		"zero rule matches all":      {search.Restriction{Decided: true, Permit: rules{{}}}, true},
		"deny wins":                  {search.Restriction{Decided: true, Permit: rules{{}}, Deny: rules{{Labels: []fhir.Coding{hiv}}}}, false},
		"deny of another":            {search.Restriction{Decided: true, Permit: rules{{}}, Deny: rules{{Custodians: []string{"o2"}}}}, true},
		"conditions are ANDed":       {search.Restriction{Decided: true, Permit: rules{{Patients: []fhir.Key{p1}, Custodians: []string{"o2"}}}}, false},
		"rules are ORed":             {search.Restriction{Decided: true, Permit: rules{{Custodians: []string{"o2"}}, {Patients: []fhir.Key{p2, p1}}}}, true},
		"type":                       {search.Restriction{Decided: true, Permit: rules{{Types: []fhir.Type{"Patient"}}}}, false},
		"not type":                   {search.Restriction{Decided: true, Permit: rules{{NotTypes: []fhir.Type{"Observation"}}}}, false},
		"no patient":                 {search.Restriction{Decided: true, Permit: rules{{NoPatient: true}}}, false},
		"not custody":                {search.Restriction{Decided: true, Permit: rules{{NotCustody: []string{"o1"}}}}, false},
		"key":                        {search.Restriction{Decided: true, Permit: rules{{Keys: []fhir.Key{k}}}}, true},
		"category":                   {search.Restriction{Decided: true, Permit: rules{{Categories: []fhir.Coding{hiv}}}}, false},
		"author":                     {search.Restriction{Decided: true, Permit: rules{{Authors: []fhir.Key{author}}}}, true},
		"not author":                 {search.Restriction{Decided: true, Permit: rules{{NotAuthors: []fhir.Key{author}}}}, false},
		"not of another author":      {search.Restriction{Decided: true, Permit: rules{{NotAuthors: []fhir.Key{p1}}}}, true},
		"within dates":               {search.Restriction{Decided: true, Permit: rules{{From: now.AddDate(-1, 0, 0), To: now}}}, true},
		"to is open":                 {search.Restriction{Decided: true, Permit: rules{{To: now.AddDate(-1, 0, 0)}}}, false},
		"ended":                      {search.Restriction{Decided: true, Permit: rules{{Until: now}}}, false},
		"not ended":                  {search.Restriction{Decided: true, Permit: rules{{Until: now.Add(1)}}}, true},
	} {
		if got := c.r.Sees(k, &facts, now); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	unknown := search.Restriction{Decided: true, Permit: rules{{From: now}}}
	if !unknown.Sees(k, &fhir.Facts{}, now) {
		t.Error("a resource without a clinical date is outside no range of dates")
	}
}
