package people_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"hutong/testdata/people"
)

func TestSameSeedSamePeople(t *testing.T) {
	t.Parallel()
	a := people.All(7, 500)
	if !reflect.DeepEqual(a, people.All(7, 500)) {
		t.Error("the same seed gives other people")
	}
	if reflect.DeepEqual(a[:100], people.All(8, 500)[:100]) {
		t.Error("another seed gives the same people")
	}
	n := 0
	people.Generate(7, 500, func(people.Record) bool { n++; return n < 10 })
	if n != 10 {
		t.Errorf("%d records after the tenth was declined", n-10)
	}
}

// TestTruth: what is promised of the people holds in what is drawn.
func TestTruth(t *testing.T) {
	t.Parallel()
	all := people.All(3, 20_000)
	rate := map[string]int{}
	names, ids := map[int]string{}, map[int]string{}
	holders := map[string]int{}
	noID, persons := 0, map[int]bool{}
	for i := range all {
		r := &all[i]
		persons[r.Person] = true
		for _, trait := range r.Traits {
			rate[trait]++
		}
		if r.Citizen == "" && r.Permit == "" {
			noID++
		}
		clean := !slices.ContainsFunc(r.Traits, func(s string) bool {
			return s != "twin" && s != "moved" && s != "number changed" && s != "no birth order"
		})
		if clean && r.Citizen != "" {
			if old := ids[r.Person]; old != "" && old != r.Citizen {
				t.Errorf("person %d has two numbers", r.Person)
			}
			ids[r.Person] = r.Citizen
			if p, held := holders[r.Citizen]; held && p != r.Person {
				t.Errorf("persons %d and %d have one number", p, r.Person)
			}
			holders[r.Citizen] = r.Person
		}
		if clean && r.Permit == "" {
			if old := names[r.Person]; old != "" && old != r.Name {
				t.Errorf("person %d is %s and %s", r.Person, old, r.Name)
			}
			names[r.Person] = r.Name
		}
		var p struct{ ResourceType, BirthDate string }
		if err := json.Unmarshal(r.Patient(), &p); err != nil || p.ResourceType != "Patient" || p.BirthDate != r.Birth {
			t.Fatalf("%s: %v", r.Patient(), err)
		}
		if len(r.Row()) != len(people.Columns) {
			t.Fatal("cells and columns differ")
		}
	}
	if len(persons) < 19_000 || len(persons) > 20_000 {
		t.Errorf("%d persons", len(persons))
	}
	if share := float64(noID) / float64(len(all)); share < 0.38 || share > 0.46 {
		t.Errorf("%.2f of the records have no number", share)
	}
	for _, trait := range []string{"twin", "newborn", "moved", "remarried", "renamed", "number changed", "homophone", "lookalike", "traditional", "pinyin", "cantonese", "lunar date", "1 January", "typo in id", "15 digits", "typo in phone", "name order", "month and day exchanged", "another's phone", "title"} {
		if rate[trait] == 0 {
			t.Errorf("nothing is hard by %q", trait)
		}
	}
}

// TestPatientIsCanonical: what is written by hand is what package json writes of
// the same values, to the byte.
func TestPatientIsCanonical(t *testing.T) {
	t.Parallel()
	all := people.All(3, 3000)
	odd := all[0]
	odd.Name, odd.Line, odd.Postal = "a\"b<&\u2028\\\x01", "l\x7f", ""
	for _, r := range append(all, odd) {
		got := r.Patient()
		var values any
		if err := json.Unmarshal(got, &values); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if want, err := json.Marshal(values); err != nil || string(got) != string(want) {
			t.Fatalf("got\n%s\nwant\n%s (%v)", got, want, err)
		}
	}
}
