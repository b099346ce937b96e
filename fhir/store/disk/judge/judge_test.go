package judge_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
	"hutong/fhir/store/disk/judge"
	"hutong/fhir/store/disk/layout"
)

// table is a table of names in memory.
type table struct{ names []string }

var r4 = definition.R4()

func (t *table) ID(name string) (uint32, error) {
	for i, n := range t.names {
		if n == name {
			return uint32(i + 1), nil
		}
	}
	t.names = append(t.names, name)
	return uint32(len(t.names)), nil
}

func (t *table) IDOf(name []byte) (uint32, error) { return t.ID(string(name)) }

func (t *table) Name(id uint32) (string, error) { return t.names[id-1], nil }

var epoch = time.Date(2024, 6, 1, 12, 0, 0, 0, time.UTC)

// some gives up to n of what pick makes, none half of the time.
func some[T any](r *rand.Rand, n int, pick func() T) (out []T) {
	if r.IntN(2) == 0 {
		return nil
	}
	for range 1 + r.IntN(n) {
		out = append(out, pick())
	}
	return out
}

type gen struct{ *rand.Rand }

func (g gen) patient() fhir.Key {
	return fhir.Key{Type: "Patient", ID: fmt.Sprintf("p%d", g.IntN(4))}
}
func (g gen) author() fhir.Key    { return fhir.Key{Type: "Practitioner", ID: fmt.Sprint(g.IntN(2))} }
func (g gen) custodian() string   { return fmt.Sprintf("o%d", g.IntN(3)) }
func (g gen) coding() fhir.Coding { return fhir.Coding{System: "s", Code: fmt.Sprint(g.IntN(3))} }
func (g gen) typ() fhir.Type      { return []fhir.Type{"Observation", "Condition"}[g.IntN(2)] }

func (g gen) moment() time.Time {
	if g.IntN(2) == 0 {
		return time.Time{}
	}
	return epoch.Add(time.Duration(g.IntN(5)) * time.Millisecond).Add(time.Duration(g.IntN(2)) * time.Microsecond)
}

func (g gen) rule() search.Rule {
	r := search.Rule{Types: some(g.Rand, 1, g.typ), NotTypes: nil, Patients: some(g.Rand, 2, g.patient), NoPatient: g.IntN(6) == 0,
		Custodians: some(g.Rand, 2, g.custodian), Labels: some(g.Rand, 2, g.coding), From: g.moment(), To: g.moment(), Until: g.moment()}
	switch g.IntN(12) {
	case 0:
		r.NotTypes = []fhir.Type{g.typ()}
	case 1:
		r.NotCustody = []string{g.custodian()}
	case 2:
		r.NotAuthors = []fhir.Key{g.author()}
	case 3:
		r.Authors = []fhir.Key{g.author()}
	case 4:
		r.Categories = []fhir.Coding{g.coding()}
	case 5:
		r.Codes = []fhir.Coding{g.coding()}
	case 6:
		r.Keys = []fhir.Key{{Type: g.typ(), ID: "r"}}
	}
	return r
}

func (g gen) facts() fhir.Facts {
	f := fhir.Facts{Custodian: g.custodian(), Labels: some(g.Rand, 2, g.coding), Categories: some(g.Rand, 1, g.coding),
		Codes: some(g.Rand, 1, g.coding), Authors: some(g.Rand, 1, g.author), Clinical: g.moment().Truncate(time.Millisecond)}
	for _, k := range some(g.Rand, 2, g.patient) {
		if len(f.Patients) == 0 || f.Patients[0] != k {
			f.Patients = append(f.Patients, k)
		}
	}
	return f
}

// TestVerdicts: a verdict is what Sees says, and leaves few to the facts row.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	g, names, maybe := gen{rand.New(rand.NewPCG(1, 2))}, &table{}, 0
	const rounds = 60_000
	for range rounds {
		k, f := fhir.Key{Type: g.typ(), ID: "r"}, g.facts()
		restriction := search.Restriction{Decided: g.IntN(20) > 0, System: g.IntN(20) == 0, Permit: some(g.Rand, 3, g.rule), Deny: some(g.Rand, 2, g.rule)}
		var p layout.Postings
		if err := p.Build(names, r4, k, nil, &f); err != nil {
			t.Fatal(err)
		}
		rid := layout.NewRID(layout.HomeOf(k, &f), 9)
		if g.IntN(10) == 0 {
			rid = layout.NewRID("moved away", 9)
		}
		row := layout.Row{Version: fhir.Version{LastUpdated: epoch}, Facts: f}
		var within []fhir.Key
		if homes, ok := judge.Compartments(&restriction, k.Type, epoch); ok && overlaps(homes, f.Patients) {
			within = homes
		} else if ok && restriction.Sees(k, &f, epoch) {
			t.Fatalf("%+v is seen outside of %v", f, homes)
		}
		j := judge.New(&restriction, k.Type, epoch, within, names)
		v, err := j.Of(p.ClassAt(rid), layout.Place{Ord: row.Ord(), RID: rid})
		if err != nil {
			t.Fatal(err)
		}
		if v == judge.Maybe {
			maybe++
		} else if seen := restriction.Sees(k, &f, epoch); seen != (v == judge.Yes) {
			t.Fatalf("verdict %d of %+v under %+v, but it is seen: %v", v, f, restriction, seen)
		}
	}
	if maybe > rounds/4 {
		t.Errorf("%d of %d are left to the facts row", maybe, rounds)
	}
}

func overlaps(a, b []fhir.Key) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return true
			}
		}
	}
	return false
}

// TestDates: what a class says of a date is what the value says.
func TestDates(t *testing.T) {
	t.Parallel()
	g, names, decided := gen{rand.New(rand.NewPCG(3, 4))}, &table{}, 0
	date := &definition.SearchParam{Code: "date", Type: definition.Date}
	spans := []int64{1000, 1_000_000, 86_400_000_000, 12345}
	prefixes := []search.Prefix{search.Eq, search.Ne, search.Gt, search.Lt, search.Ge, search.Le, search.Sa, search.Eb, search.Ap}
	for range 20_000 {
		at := epoch.Add(time.Duration(g.IntN(40)-20) * time.Hour).UnixMicro()
		entries := []search.Entry{{Param: date, Lo: at, Hi: at + spans[g.IntN(len(spans))]}}
		k, f := fhir.Key{Type: "Observation", ID: "r"}, fhir.Facts{Clinical: time.UnixMicro(at)}
		var p layout.Postings
		if err := p.Build(names, r4, k, entries, &f); err != nil {
			t.Fatal(err)
		}
		lo := epoch.Add(time.Duration(g.IntN(40)-20) * time.Hour).UnixMicro()
		pred := search.Predicate{Param: date, Values: []search.Value{{Prefix: prefixes[g.IntN(len(prefixes))], Lo: lo, Hi: lo + spans[g.IntN(len(spans))]}}}
		rid := layout.NewRID("", 9)
		row := layout.Row{Facts: f}
		v, err := judge.NewDates(&pred, names).Of(p.ClassAt(rid), layout.Place{Ord: row.Ord(), RID: rid})
		if err != nil {
			t.Fatal(err)
		}
		if v == judge.Maybe {
			continue
		}
		decided++
		if want := search.Matches(&pred, entries); want != (v == judge.Yes) {
			t.Fatalf("%+v on %+v: %v", pred.Values[0], entries[0], want)
		}
	}
	if decided < 12_000 {
		t.Errorf("%d of 20000 dates are decided", decided)
	}
}
