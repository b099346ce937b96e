package page_test

import (
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/interact/page"
	"hutong/fhir/search"
)

// TestViews: a total holds for one view only: what was asked, and what may be
// seen now.
func TestViews(t *testing.T) {
	t.Parallel()
	now := time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC)
	query := func() *search.Query {
		return &search.Query{Type: "Observation",
			Filter:      []search.Predicate{{Param: &definition.SearchParam{Code: "patient"}, Values: []search.Value{{Code: "a"}}}},
			Restriction: search.Restriction{Decided: true, Permit: []search.Rule{{Custodians: []string{"x y"}, Until: now.Add(time.Hour)}, {}}}}
	}
	first, ok := page.ViewOf(query(), now)
	if again, _ := page.ViewOf(query(), now.Add(time.Minute)); !ok || again != first {
		t.Error("one view has two digests")
	}
	for name, change := range map[string]func(q *search.Query){
		"a member more": func(q *search.Query) { q.Filter[0].Values = append(q.Filter[0].Values, search.Value{Code: "b"}) },
		"other values":  func(q *search.Query) { q.Restriction.Permit[0].Custodians = []string{"x", "y"} },
		"denied": func(q *search.Query) {
			q.Restriction.Deny = []search.Rule{{Patients: []fhir.Key{{Type: "Patient", ID: "a"}}}}
		},
		"denied instead": func(q *search.Query) { r := &q.Restriction; r.Permit, r.Deny = r.Permit[:1], r.Permit[1:] },
		"everything":     func(q *search.Query) { q.Restriction = search.Unrestricted() },
		"a rule ended":   func(q *search.Query) { q.Restriction.Permit[0].Until = now },
	} {
		q := query()
		if change(q); func() bool { v, _ := page.ViewOf(q, now); return v == first }() {
			t.Errorf("%s: the same digest", name)
		}
	}
}
