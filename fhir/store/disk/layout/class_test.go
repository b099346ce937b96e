package layout

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
)

// TestClass: what a class says comes back from its name, and a date of it only
// where one value begins at the clinical date.
func TestClass(t *testing.T) {
	t.Parallel()
	at := time.Date(2020, 5, 1, 8, 0, 0, 0, time.UTC)
	date := &definition.SearchParam{Code: "date", Type: definition.Date}
	issued := &definition.SearchParam{Code: "issued", Type: definition.Date}
	hiv := fhir.Coding{System: "s", Code: "HIV"}
	p1, p2 := fhir.Key{Type: "Patient", ID: "1"}, fhir.Key{Type: "Patient", ID: "2"}
	value := func(p *definition.SearchParam, at time.Time, span int64) search.Entry {
		return search.Entry{Param: p, Lo: at.UnixMicro(), Hi: at.UnixMicro() + span}
	}
	for name, c := range map[string]struct {
		facts   fhir.Facts
		entries []search.Entry
		want    Class
	}{
		"nothing":         {want: Class{}},
		"facts":           {facts: fhir.Facts{Custodian: "o", Labels: []fhir.Coding{hiv}, Patients: []fhir.Key{p1}}, want: Class{Custodian: "o", Labels: []fhir.Coding{hiv}, Patients: 1}},
		"many patients":   {facts: fhir.Facts{Patients: []fhir.Key{p1, p2, {Type: "Patient", ID: "3"}}}, want: Class{Patients: 2}},
		"a date":          {fhir.Facts{Clinical: at}, []search.Entry{value(issued, at, day), value(date, at, day)}, Class{Dated: true, DateParam: "date", Span: day}},
		"another's date":  {fhir.Facts{Clinical: at}, []search.Entry{value(issued, at, 1000)}, Class{Dated: true, DateParam: "issued", Span: 1000}},
		"a period":        {fhir.Facts{Clinical: at}, []search.Entry{value(date, at, day+1)}, Class{Dated: true}},
		"two values":      {fhir.Facts{Clinical: at}, []search.Entry{value(date, at, day), value(date, at.Add(1), day)}, Class{Dated: true}},
		"a later date":    {fhir.Facts{Clinical: at}, []search.Entry{value(date, at.Add(time.Hour), day)}, Class{Dated: true}},
		"finer than kept": {fhir.Facts{Clinical: at.Add(time.Microsecond)}, []search.Entry{value(date, at.Add(time.Microsecond), 1)}, Class{Dated: true}},
	} {
		got, ok := ParseClass(className(&c.facts, c.entries))
		if !ok || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	if className(&fhir.Facts{Custodian: strings.Repeat("o", 300)}, nil) != "" {
		t.Error("a class may be as long as it likes")
	}
	if className(&fhir.Facts{Clinical: at.AddDate(7000, 0, 0)}, nil) != "" {
		t.Error("an order that does not tell the date has a class")
	}
	if OrdOf(at).Moment() != at.UnixMilli() {
		t.Error("an order does not tell its moment")
	}
}

// TestClassAt: a resource whose rows lie with another patient has no class.
func TestClassAt(t *testing.T) {
	t.Parallel()
	k, f := fhir.Key{Type: "Observation", ID: "o"}, fhir.Facts{Patients: []fhir.Key{{Type: "Patient", ID: "1"}}}
	var p Postings
	if err := p.Build(&table{}, definition.R4(), k, nil, &f); err != nil {
		t.Fatal(err)
	}
	if p.ClassAt(NewRID("1", 7)) == 0 || p.ClassAt(NewRID("2", 7)) != 0 || NewRID("1", 7).Home() != HashOf("1") {
		t.Error("the class does not follow the patient")
	}
	if len(p.Keys()) != 2 { // all, compartment
		t.Errorf("%d postings", len(p.Keys()))
	}
}

// TestPosted: the value of a posting comes back; damage has no time.
func TestPosted(t *testing.T) {
	t.Parallel()
	check(t, func(from uint64, class uint32) bool {
		from = max(from, 1)
		f, c := PostedOf(AppendPosted(nil, fhir.T(from), class))
		return f == fhir.T(from) && c == class
	})
	for _, b := range [][]byte{nil, {0x80}, {1, 0x80}, {1, 0xff, 0xff, 0xff, 0xff, 0xff, 1}} {
		if from, _ := PostedOf(b); from != 0 {
			t.Errorf("%x has the time %d", b, from)
		}
	}
}

// FuzzClass: no name makes ParseClass fall.
func FuzzClass(f *testing.F) {
	f.Add(className(&fhir.Facts{Custodian: "o", Labels: []fhir.Coding{{System: "s", Code: "c"}}}, nil))
	f.Fuzz(func(_ *testing.T, name string) { ParseClass(name) })
}
