package layout

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
)

// table is a Dict in memory.
type table struct{ names []string }

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

func (t *table) Name(id uint32) (string, error) {
	if id == 0 || int(id) > len(t.names) {
		return "", errRow
	}
	return t.names[id-1], nil
}

func check(t *testing.T, f any) {
	t.Helper()
	if err := quick.Check(f, &quick.Config{MaxCount: 2000}); err != nil {
		t.Error(err)
	}
}

// TestOrder: keys sort as what they stand for.
func TestOrder(t *testing.T) {
	t.Parallel()
	check(t, func(a, b int64) bool {
		return (a < b) == (bytes.Compare(AppendInt(nil, a), AppendInt(nil, b)) < 0) && IntOf(AppendInt(nil, a)) == a
	})
	check(t, func(a, b float64) bool {
		if math.IsNaN(a) || math.IsNaN(b) {
			return true
		}
		return (a < b) == (bytes.Compare(AppendFloat(nil, a), AppendFloat(nil, b)) < 0) && FloatOf(AppendFloat(nil, a)) == a
	})
	for _, f := range []float64{math.Inf(-1), math.Inf(1), 0, math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64} {
		if FloatOf(AppendFloat(nil, f)) != f {
			t.Errorf("%v does not come back", f)
		}
	}
	if !bytes.Equal(AppendFloat(nil, 0), AppendFloat(nil, math.Copysign(0, -1))) {
		t.Error("0 and -0 differ")
	}
	check(t, func(a, b string, tail []byte) bool {
		if a == b {
			return true
		}
		x, y := append(AppendString(nil, a), tail...), AppendString(nil, b)
		return strings.Compare(a, b) == bytes.Compare(x, y) && !bytes.HasPrefix(x, y)
	})
	check(t, func(s string, tail []byte) bool {
		got, cut, rest, ok := CutString(append(AppendString(nil, s), tail...))
		return ok && !cut && got == s && bytes.Equal(rest, tail)
	})
	check(t, func(s, more string) bool { return bytes.HasPrefix(AppendString(nil, s+more), AppendOpen(nil, s)) })
	check(t, func(a, b uint32, x, y int64) bool {
		p := Place{OrdOf(time.UnixMilli(x % (1 << 46))), RID(a)}
		q := Place{OrdOf(time.UnixMilli(y % (1 << 46))), RID(b)}
		kp, kq := AppendPlace(nil, p), AppendPlace(nil, q)
		newer := x%(1<<46) > y%(1<<46)
		return p.Compare(q) == bytes.Compare(kp, kq) && PlaceOf(kp) == p && (!newer || p.Compare(q) < 0)
	})
}

func TestLongStrings(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", MaxString)
	got, cut, rest, ok := CutString(append(AppendCut(nil, long), 7))
	if !ok || !cut || got != long[:MaxString] || len(rest) != 1 {
		t.Errorf("cut %v %v %q", ok, cut, got)
	}
	fits := long[:MaxString]
	if got, cut, _, _ := CutString(AppendCut(nil, fits)); cut || got != fits {
		t.Error("a string that fits was cut")
	}
}

// TestValues: what a posting says is what was posted.
func TestValues(t *testing.T) {
	t.Parallel()
	check(t, func(code string, system uint32) bool {
		if len(code) > MaxString || len(search.FoldCode(code)) > MaxString {
			return true
		}
		c, s, cut, ok := TokenOf(AppendToken(nil, code, system))
		return ok && !cut && c == code && s == system
	})
	check(t, func(lo int64, length uint32) bool {
		lo %= 1 << 61
		b := AppendPeriod(nil, lo, lo+int64(length)*1000)
		gotLo, gotHi, ok := PeriodOf(b)
		span, bounded := ClassSpan(int(b[0]))
		return ok && gotLo == lo && gotHi == lo+int64(length)*1000 && (!bounded || gotHi-gotLo <= span)
	})
	if lo, hi, ok := PeriodOf(AppendPeriod(nil, search.MinDate, search.MaxDate)); !ok || lo != search.MinDate || hi != search.MaxDate {
		t.Errorf("all of time came back as %d..%d", lo, hi)
	}
	check(t, func(a, b float64) bool {
		lo, hi, ok := RangeOf(AppendRange(nil, a, b))
		return math.IsNaN(a) || math.IsNaN(b) || ok && lo == a && hi == b
	})
}

func TestRow(t *testing.T) {
	t.Parallel()
	dict := &table{}
	at := time.Date(1931, 2, 3, 4, 5, 6, 7_000_000, time.UTC)
	v := fhir.Version{Key: fhir.Key{Type: "Observation", ID: "o1"}, VersionID: 7, T: 99, LastUpdated: at.AddDate(90, 0, 0), Method: fhir.Updated}
	for name, f := range map[string]fhir.Facts{
		"none": {},
		"all": {Custodian: "org", Patients: []fhir.Key{{Type: "Patient", ID: "p"}, {Type: "Patient", ID: "q"}}, Categories: []fhir.Coding{{System: "s", Code: "c"}},
			Codes: []fhir.Coding{{Code: "x"}, {System: "http://loinc.org", Code: "1-8"}}, Labels: []fhir.Coding{{System: "l", Code: "R"}}, Authors: []fhir.Key{{Type: "Practitioner", ID: "d"}}, Clinical: at},
	} {
		raw, err := AppendFacts(nil, dict, &f)
		if err != nil {
			t.Fatal(err)
		}
		typ, _ := dict.ID("Observation")
		b := AppendRow(nil, typ, &v, raw)
		var r Row
		if err := r.Read(b, dict); err != nil {
			t.Fatal(err)
		}
		c := r.Clone()
		if !bytes.Equal(r.RawFacts(), raw) || c.Version != v || !reflect.DeepEqual(c.Facts, f) {
			t.Errorf("%s: got %+v", name, c)
		}
		for n := range b {
			if err := r.Read(b[:n], dict); err == nil {
				t.Errorf("%s: %d of %d bytes were read as a row", name, n, len(b))
			}
		}
	}
}

// FuzzRows: damaged rows give errors, never panics or endless memory.
func FuzzRows(f *testing.F) {
	dict := &table{names: []string{"Patient", "\x01s"}}
	raw, _ := AppendFacts(nil, dict, &fhir.Facts{Custodian: "c", Patients: []fhir.Key{{Type: "Patient", ID: "p"}}})
	f.Add(AppendRow(nil, 1, &fhir.Version{VersionID: 1, T: 2, Key: fhir.Key{ID: "x"}}, raw))
	f.Add(AppendCommit(nil, &Commit{NextSeq: 3, Made: []Made{{1, 2}}}))
	f.Fuzz(func(_ *testing.T, b []byte) {
		var r Row
		if r.Read(b, dict) == nil {
			_ = r.Clone()
		}
		var c Commit
		_ = c.Read(b)
		_, _ = BodyOf(b)
		_, _, _, _ = CutString(b)
		_, _, _, _ = TokenOf(b)
		_, _, _ = PeriodOf(b)
		_, _, _ = RangeOf(b)
	})
}

func TestCommit(t *testing.T) {
	t.Parallel()
	want := Commit{NextSeq: 1 << 39, High: -5, Made: []Made{{RID: 1 << 63, Ver: 1}, {RID: 2, Ver: 1 << 40}}}
	var got Commit
	if err := got.Read(AppendCommit(nil, &want)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestRIDs: unique by sequence, one patient's together.
func TestRIDs(t *testing.T) {
	t.Parallel()
	seen := map[RID]bool{}
	buckets := map[RID]int{}
	for i := range uint64(20000) {
		r := NewRID(fmt.Sprintf("p%d", i%2000), i)
		if seen[r] {
			t.Fatal("a rid came twice")
		}
		seen[r] = true
		buckets[r>>40]++
	}
	if len(buckets) < 1900 {
		t.Errorf("2000 patients share %d buckets", len(buckets))
	}
}

// TestPostings: a resource has each posting once, in order, and Has knows them.
func TestPostings(t *testing.T) {
	t.Parallel()
	dict := &table{}
	code := &definition.SearchParam{Code: "code", Type: definition.Token}
	patient := &definition.SearchParam{Code: "patient", Type: definition.Reference}
	date := &definition.SearchParam{Code: "date", Type: definition.Date}
	entries := []search.Entry{
		{Param: code, System: "s", Code: "A"}, {Param: code, System: "s", Code: "A"}, {Param: code, Code: "a"},
		{Param: patient, System: "Patient", Code: "p"}, {Param: date, Lo: 5, Hi: 9},
	}
	rand.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
	var p Postings
	if err := p.Build(dict, definition.R4(), fhir.Key{Type: "Observation", ID: "o"}, entries, &fhir.Facts{}); err != nil {
		t.Fatal(err)
	}
	// all, 2 codes, patient, date, patient with each of 2 codes
	if len(p.Keys()) != 7 {
		t.Errorf("%d postings", len(p.Keys()))
	}
	for i, k := range p.Keys() {
		if !p.Has(k) || i > 0 && bytes.Compare(p.Keys()[i-1], k) >= 0 {
			t.Errorf("posting %d is out of order", i)
		}
	}
	if p.Has([]byte{0, 0, 0, 9}) {
		t.Error("Has knows what is not there")
	}
}
