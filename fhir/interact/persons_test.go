package interact_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/search"
)

// TestPersonsAreJoined: a query for a patient is one for all records of the
// person, and the caller is asked about all of them.
func TestPersonsAreJoined(t *testing.T) {
	t.Parallel()
	family := []fhir.Key{patientKey("person-1"), patientKey("pa"), patientKey("pb")}
	h := build(t, func(c *interact.Config) { c.Persons = families{family} })
	h.put("org-a", pat("pa", "1"), obs("oa", "pa"))
	h.put("org-b", pat("pb", "2"), obs("ob", "pb"))
	h.put("org-c", pat("pc", "3"), obs("oc", "pc"))
	h.put("org-c", `{"resourceType":"Encounter","id":"v","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/pb"}}`)
	both := "Observation/oa Observation/ob"
	members := []fhir.Key{patientKey("pa"), patientKey("pb")}
	for _, c := range []struct {
		t     fhir.Type
		query string
		want  string
		about []fhir.Key
	}{
		{"Observation", "patient=pa", both, members},
		{"Observation", "patient=Patient/pb", both, members},
		{"Observation", "subject=Patient/person-1", both, append(members, patientKey("person-1"))},
		{"Observation", "subject:Patient.identifier=urn:id|2", both, members},
		{"Observation", "patient.identifier=urn:id|1", both, members},
		{"Observation", "subject.identifier=urn:id|1", both, members},
		{"Observation", "patient=pc", "Observation/oc", []fhir.Key{patientKey("pc")}},
		{"Observation", "patient=pa,pc", both + " Observation/oc", append(members, patientKey("pc"))},
		{"Observation", "patient.identifier=urn:id|none", "", nil},
		{"Patient", "_id=pa", "Patient/pa", members},
		{"Patient", "identifier=urn:id|2", "Patient/pb", members},
		{"Observation", "_id=oa", "Observation/oa", members},
		{"Observation", "_id=oa,oc", "Observation/oa Observation/oc", append(members, patientKey("pc"))},
		{"Observation", "encounter=v", "", members},
		{"Observation", "encounter=Encounter/v", "", members},
		{"Observation", "status=final", both + " Observation/oc", nil},
	} {
		caller := &person{restriction: search.Unrestricted(), widens: true}
		got, _ := h.found(caller, c.t, c.query)
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s?%s finds %v, want %s", c.t, c.query, got, c.want)
		}
		about := slices.Clone(caller.asked())
		slices.SortFunc(about, compareKeys)
		slices.SortFunc(c.about, compareKeys)
		if !slices.Equal(about, c.about) {
			t.Errorf("%s?%s was about %v, want %v", c.t, c.query, about, c.about)
		}
		narrow := &person{restriction: search.Unrestricted()}
		if got, _ := h.found(narrow, c.t, c.query); strings.Contains(c.query, "p") && strings.Contains(c.want, both) && len(got) >= strings.Count(c.want, " ")+1 {
			t.Errorf("%s?%s is widened for a caller who did not ask: %v", c.t, c.query, got)
		}
	}
	b, err := h.Search(context.Background(), &person{restriction: search.Unrestricted(), widens: true},
		interact.SearchRequest{Type: "Observation", Compartment: patientKey("pb")})
	if err != nil || b.Total != 2 {
		t.Errorf("Patient/pb/Observation: %+v %v", b, err)
	}
}

func compareKeys(a, b fhir.Key) int { return strings.Compare(a.String(), b.String()) }

// TestJoiningIsRestricted: a person's records are joined, and what the caller
// may not see stays out, totals included.
func TestJoiningIsRestricted(t *testing.T) {
	t.Parallel()
	h := build(t, func(c *interact.Config) {
		c.Persons = families{{patientKey("person-1"), patientKey("pa"), patientKey("pb")}}
	})
	h.put("org-a", pat("pa", "1"), obs("oa", "pa"))
	h.put("org-b", pat("pb", "2"), obs("ob", "pb"))
	a := hospital("org-a")
	a.widens = true
	for _, query := range []string{"patient=pa", "patient=pb", "patient.identifier=urn:id|1"} {
		got, b := h.found(a, "Observation", query)
		if strings.Join(got, " ") != "Observation/oa" || b.Total != 1 {
			t.Errorf("%s: %v, total %d", query, got, b.Total)
		}
	}
	if got, b := h.found(a, "Observation", "patient.identifier=urn:id|2"); len(got) != 0 || b.Total != 0 {
		t.Errorf("a chain through a hidden patient finds %v", got)
	}
}

func TestTooManyPatientsAreNotJoinedAloud(t *testing.T) {
	t.Parallel()
	h := build(t, func(c *interact.Config) { c.Persons, c.Limits.Patients = families{}, 3 })
	var resources []string
	for i := range 5 {
		resources = append(resources, fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","gender":"male"}`, i), obs(fmt.Sprintf("o%d", i), fmt.Sprintf("p%d", i)))
	}
	h.put("", resources...)
	caller := &person{restriction: search.Unrestricted(), widens: true}
	got, b := h.found(caller, "Observation", "patient.gender=male")
	if len(got) != 5 || b.Entries[len(b.Entries)-1].Mode != "outcome" {
		t.Errorf("finds %v, last entry %+v", got, b.Entries[len(b.Entries)-1])
	}
}
