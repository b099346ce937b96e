package search_test

import (
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
)

func (k kit) parse(t testing.TB, typ fhir.Type, query string) *search.Request {
	t.Helper()
	r, err := k.p.Parse(typ, query)
	if err != nil {
		t.Fatalf("%s?%s: %v", typ, query, err)
	}
	return r
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	k := newKit(search.Options{})
	for _, c := range []struct {
		typ   fhir.Type
		query string
		kind  fhir.Kind
		says  string // the parameter, and what is allowed
	}{
		{"Patient", "nope=1", fhir.NotSupported, "nope of Patient; there are _id"},
		{"Patient", "n%20o%3Cscript%3E=1", fhir.NotSupported, "(of that name)"},
		{"Nope", "", fhir.NotFound, "no R4 resource type"},
		{"", "birthdate=2000", fhir.NotSupported, "_type"},
		{"", "_type=Patient,Condition&birthdate=2000", fhir.NotSupported, "birthdate"},
		{"", "_type=Foo", fhir.Invalid, "_type"},
		{"Patient", "_type=Patient", fhir.Invalid, "_type"},
		{"Patient", "birthdate=2000-13", fhir.Invalid, "birthdate: a date is written"},
		{"Patient", "birthdate=2000-02-30", fhir.Invalid, "birthdate"},
		{"Patient", "birthdate=20000101", fhir.Invalid, "birthdate"},
		{"Patient", "birthdate:exact=2000", fhir.NotSupported, "birthdate has no modifier :exact; it has :missing"},
		{"Patient", "name:not=x", fhir.NotSupported, "name has no modifier :not; it has :missing, :exact, :contains"},
		{"Patient", "name=", fhir.Invalid, "name: the value is empty"},
		{"Patient", "name=%20", fhir.Invalid, "name"},
		{"Patient", "name=%ZZ", fhir.Invalid, "escape"},
		{"Patient", "name=%FF", fhir.Invalid, "name: the value is not UTF-8"},
		{"Patient", "gender:missing=yes", fhir.Invalid, "gender:missing: the value is true or false"},
		{"Patient", "gender:in=http://vs", fhir.NotSupported, "terminology"},
		{"Patient", "identifier=a|b|c", fhir.Invalid, "identifier"},
		{"Patient", "identifier=|", fhir.Invalid, "identifier"},
		{"Patient", "identifier:of-type=a|b", fhir.Invalid, "identifier:of-type: the value is written type-system"},
		{"Patient", "general-practitioner=Patient/1", fhir.Invalid, "general-practitioner: it does not point to Patient; it points to Organization, Practitioner"},
		{"Patient", "general-practitioner=Foo/1", fhir.Invalid, "general-practitioner"},
		{"Patient", "general-practitioner=a b", fhir.Invalid, "general-practitioner"},
		{"Patient", "general-practitioner:Patient=1", fhir.Invalid, "general-practitioner"},
		{"Patient", "general-practitioner:Organization=Practitioner/1", fhir.Invalid, "different types"},
		{"Observation", "value-quantity=x", fhir.Invalid, "value-quantity: a number is written"},
		{"Observation", "value-quantity=1|mg", fhir.Invalid, "value-quantity"},
		{"Observation", "code-value-quantity=718-7", fhir.Invalid, "code-value-quantity: the value is written as part$part"},
		{"Observation", "code-value-quantity=718-7$x", fhir.Invalid, "value-quantity"},
		{"Observation", "subject.name.family=x", fhir.Invalid, "name is no reference"},
		{"Observation", "subject:Practitioner.name=x", fhir.Invalid, "subject"},
		{"Observation", "subject.nope=x", fhir.NotSupported, "nope"},
		{"Observation", "code.name=x", fhir.Invalid, "code is no reference"},
		{"Patient", "_has:Observation:code=x", fhir.Invalid, "_has is written"},
		{"Patient", "_has:Observation:code:status=x", fhir.Invalid, "code is no reference parameter of Observation"},
		{"Patient", "_has:Encounter:location:status=x", fhir.Invalid, "does not point to Patient"},
		{"Patient", "_has:Observation:patient:nope=x", fhir.NotSupported, "nope of Observation"},
		{"Patient", "_sort=nope", fhir.NotSupported, "nope"},
		{"Observation", "_sort=code-value-quantity", fhir.NotSupported, "_sort"},
		{"Patient", "_sort=name&_sort=family", fhir.Invalid, "_sort stands twice"},
		{"Patient", "_count=-1", fhir.Invalid, "_count"}, {"Patient", "_count=x", fhir.Invalid, "_count"},
		{"Patient", "_total=maybe", fhir.Invalid, "none, estimate or accurate"},
		{"Patient", "_summary=some", fhir.Invalid, "true, text, data, count or false"},
		{"Patient", "_elements=nope", fhir.Invalid, "nope is no element of Patient"},
		{"Patient", "_contained=true", fhir.NotSupported, "_contained"},
		{"Patient", "_text=x", fhir.NotSupported, "_text"}, {"Patient", "_filter=x", fhir.NotSupported, "_filter"},
		{"Patient", "_include=Patient:nope", fhir.Invalid, "these are general-practitioner, link, organization"},
		{"Patient", "_include=Patient:name", fhir.Invalid, "name is no reference"},
		{"Patient", "_include=Observation:subject", fhir.Invalid, "_include:iterate"},
		{"Patient", "_include:sometimes=Patient:link", fhir.NotSupported, "_include has no modifier"},
		{"Patient", "_include=Patient:organization:Practitioner", fhir.Invalid, "_include"},
		{"Patient", "_revinclude=*", fhir.Invalid, "_revinclude"},
		{"Patient", "_revinclude=Encounter:location", fhir.Invalid, "does not point to Patient"},
		{"Location", "near=1|2", fhir.NotSupported, "near"},
		{"Observation", strings.Repeat("encounter.part-of.", 1) + strings.Repeat("part-of.", 12) + "status=x", fhir.TooCostly, "links"},
		{"Patient", "name=" + strings.Repeat("a,", 1001) + "a", fhir.TooCostly, "name"},
		{"Patient", strings.Repeat("name=a&", 201), fhir.TooCostly, "parameters"},
		{"Patient", "name=" + strings.Repeat("a", 70000), fhir.TooCostly, "bytes"},
	} {
		_, err := k.p.Parse(c.typ, c.query)
		if fhir.KindOf(err) != c.kind || err == nil {
			t.Errorf("%s?%.80s: %v, want kind %d", c.typ, c.query, err, c.kind)
			continue
		}
		if !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s?%.80s: %q does not say %q", c.typ, c.query, err, c.says)
		}
	}
}

// TestErrorsHoldNoValue: what a client searches for may be PHI.
func TestErrorsHoldNoValue(t *testing.T) {
	t.Parallel()
	k := newKit(search.Options{})
	for _, q := range []string{"birthdate=SECRET", "identifier=SECRET|SECRET|SECRET", "general-practitioner=SECRET SECRET", "name:SECRET SECRET=x",
		"gender:missing=SECRET", "SECRET SECRET=x", "_count=SECRET", "_elements=SECRET SECRET", "_sort=SECRET SECRET", "_type=SECRET", "_include=SECRET SECRET:x"} {
		if _, err := k.p.Parse("Patient", q); err == nil || strings.Contains(err.Error(), "SECRET") {
			t.Errorf("%s: %v", q, err)
		}
	}
}

func TestParseControls(t *testing.T) {
	t.Parallel()
	k := newKit(search.Options{MaxCount: 50})
	r := k.parse(t, "Observation", "_sort=-date,_id&_count=500&_total=none&_summary=data&_elements=code,value&_format=json&_pretty=true&_page=abc"+
		"&_include=Observation:subject:Patient&_include:iterate=Patient:organization&_revinclude=Provenance:target&_contained=false&status=final")
	q := r.Query
	if q.Count != 50 || q.Total || r.Total != search.TotalNone || r.Summary != search.SummaryData || r.Page != "abc" {
		t.Errorf("controls read as %+v", r)
	}
	if len(q.Sort) != 2 || q.Sort[0].Param.Code != "date" || !q.Sort[0].Desc || q.Sort[1].Param.Code != "_id" || q.Sort[1].Desc {
		t.Errorf("sort = %+v", q.Sort)
	}
	if len(r.Includes) != 2 || r.Includes[0].Target != "Patient" || r.Includes[0].Iterate || !r.Includes[1].Iterate || r.Includes[1].Source != "Patient" {
		t.Errorf("includes = %+v", r.Includes)
	}
	if len(r.RevIncludes) != 1 || r.RevIncludes[0].Param.Code != "target" || len(r.Elements) != 2 {
		t.Errorf("revincludes = %+v, elements = %v", r.RevIncludes, r.Elements)
	}
	want := "status=final&_contained=false&_count=50&_elements=code,value&_include:iterate=Patient:organization&_include=Observation:subject:Patient" +
		"&_revinclude=Provenance:target&_sort=-date,_id&_summary=data&_total=none"
	if r.Self != want {
		t.Errorf("self\n  %s\nwant\n  %s", r.Self, want)
	}
	if r.Claim() != "Observation?status=final" {
		t.Errorf("claim = %s", r.Claim())
	}

	if r := k.parse(t, "Patient", ""); r.Query.Count != 20 || !r.Query.Total || r.Summary != search.SummaryFalse || r.Self != "" {
		t.Errorf("defaults = %+v", r)
	}
	for text, want := range map[string]struct {
		total  bool
		within int
	}{"": {true, search.TotalWithin}, "_total=estimate": {true, search.TotalWithin}, "_total=accurate": {true, 0}, "_total=none": {}, "_count=0": {true, 0}, "_summary=count": {true, 0}} {
		if q := k.parse(t, "Patient", text).Query; q.Total != want.total || q.Total && q.TotalWithin != want.within {
			t.Errorf("%q: total %v within %d", text, q.Total, q.TotalWithin)
		}
	}
	for text, want := range map[string]bool{"Observation?date=2020": true, "Encounter?date=2020": true, "Patient?birthdate=2020": false, "Condition?recorded-date=2020": false, "Observation?code=a": false} {
		typ, params, _ := strings.Cut(text, "?")
		if q := k.parse(t, fhir.Type(typ), params).Query; q.Filter[0].Orders != want {
			t.Errorf("%s: by the default order %v", text, !want)
		}
	}
	if r := k.parse(t, "Patient", "_summary=count"); r.Query.Count != 0 || !r.Query.Total {
		t.Errorf("_summary=count = %+v", r.Query)
	}
	if r := k.parse(t, "Patient", "_include=*&_revinclude=Observation:*"); r.Includes[0].Source != "Patient" || r.Includes[0].Param != nil || r.RevIncludes[0].Param != nil {
		t.Errorf("wildcards = %+v %+v", r.Includes, r.RevIncludes)
	}
	if r := k.parse(t, "", "code=x&_type=Condition,Observation"); len(r.Query.Types) != 2 || r.Query.Filter[0].Param.URL != "http://hl7.org/fhir/SearchParameter/clinical-code" {
		t.Errorf("across types = %+v", r.Query)
	}
}

func TestParseValues(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	k := newKit(search.Options{Now: func() time.Time { return now }})
	day := func(y, m, d int) int64 { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, cst).UnixMicro() }
	for _, c := range []struct {
		typ   fhir.Type
		query string
		want  []search.Value
	}{
		{"Patient", `name=a\,b,c`, []search.Value{{Prefix: "eq", Code: "a,b"}, {Prefix: "eq", Code: "c"}}},
		{"Patient", `identifier=s\|x|c\\d`, []search.Value{{Prefix: "eq", System: "s|x", HasSystem: true, Code: `c\d`}}},
		{"Patient", `identifier=s|`, []search.Value{{Prefix: "eq", System: "s", HasSystem: true, AnyCode: true}}},
		{"Patient", `identifier=|c`, []search.Value{{Prefix: "eq", HasSystem: true, Code: "c"}}},
		{"Patient", `identifier=lt`, []search.Value{{Prefix: "eq", Code: "lt"}}},
		{"Patient", "birthdate=ge2000-02", []search.Value{{Prefix: "ge", Lo: day(2000, 2, 1), Hi: day(2000, 3, 1)}}},
		{"Patient", "_lastUpdated=2024-05-01T00:00:00+08:00", []search.Value{{Prefix: "eq", Lo: day(2024, 5, 1), Hi: day(2024, 5, 1) + 1e6}}},
		{"Patient", "_lastUpdated=2024-04-30T16:00Z", []search.Value{{Prefix: "eq", Lo: day(2024, 5, 1), Hi: day(2024, 5, 1) + 60e6}}},
		{"RiskAssessment", "probability=gt0.30", []search.Value{{Prefix: "gt", Num: 0.3, NumLo: 0.295, NumHi: 0.305}}},
		{"RiskAssessment", "probability=100", []search.Value{{Prefix: "eq", Num: 100, NumLo: 99.5, NumHi: 100.5}}},
		{"RiskAssessment", "probability=ap100", []search.Value{{Prefix: "ap", Num: 100, NumLo: 90, NumHi: 110}}},
		{"RiskAssessment", "probability=-5.40e-3", []search.Value{{Prefix: "eq", Num: -0.0054, NumLo: -0.005405, NumHi: -0.005395}}},
		{"Observation", "value-quantity=le5.4||mg", []search.Value{{Prefix: "le", Num: 5.4, NumLo: 5.35, NumHi: 5.45, Code: "mg"}}},
		{"Observation", "value-quantity=5|http://u|mg", []search.Value{{Prefix: "eq", Num: 5, NumLo: 4.5, NumHi: 5.5, System: "http://u", HasSystem: true, Code: "mg"}}},
		{"Observation", "patient=1", []search.Value{{Prefix: "eq", RefType: "Patient", Code: "1"}}},
		{"Observation", "subject=1", []search.Value{{Prefix: "eq", Code: "1"}}},
		{"Observation", "subject:Patient=1", []search.Value{{Prefix: "eq", RefType: "Patient", Code: "1"}}},
		{"Observation", "subject=" + base + "/Patient/1/_history/2", []search.Value{{Prefix: "eq", RefType: "Patient", Code: "1", Version: "2"}}},
		{"Observation", "subject=http://x.example/fhir/Patient/1", []search.Value{{Prefix: "eq", Code: "http://x.example/fhir/Patient/1"}}},
		{"Observation", "subject:identifier=s|1", []search.Value{{Prefix: "eq", System: "s", HasSystem: true, Code: "1"}}},
		{"MeasureReport", "measure=http://m|1.0", []search.Value{{Prefix: "eq", Code: "http://m", Version: "1.0"}}},
		{"MeasureReport", "measure=" + base + "/Measure/m|1.0", []search.Value{{Prefix: "eq", RefType: "Measure", Code: "m", Version: "1.0"}}},
		{"Observation", "subject=http://x.example/fhir/Patient/1/_history/2", []search.Value{{Prefix: "eq", Code: "http://x.example/fhir/Patient/1", Version: "2"}}},
		{"Observation", `code-value-string=a|b$x\$y`, []search.Value{{Prefix: "eq", Parts: []search.Value{
			{Prefix: "eq", System: "a", HasSystem: true, Code: "b"}, {Prefix: "eq", Code: "x$y"}}}}},
		{"Patient", "gender:missing=true", []search.Value{{Prefix: "eq", Missing: true}}},
		{"Patient", "identifier:of-type=t|MR|12", []search.Value{{Prefix: "eq", OfType: fhir.Coding{System: "t", Code: "MR"}, Code: "12"}}},
		{"Patient", "_id=a,b", []search.Value{{Prefix: "eq", Code: "a"}, {Prefix: "eq", Code: "b"}}},
		// A tenth of the ten years to now, 2016-01-01 to 2026-01-01: a year.
		{"Patient", "_lastUpdated=ap2015-12-31T23:59:59Z", []search.Value{{Prefix: "ap",
			Lo: time.Date(2015, 12, 31, 23, 59, 59, 0, time.UTC).UnixMicro() - 3653*86400e6/10, Hi: time.Date(2016, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro() + 3653*86400e6/10}}},
	} {
		r := k.parse(t, c.typ, c.query)
		if got := r.Query.Filter[0].Values; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s?%s\n  got  %+v\n  want %+v", c.typ, c.query, got, c.want)
		}
	}
}

func TestParseChains(t *testing.T) {
	t.Parallel()
	k := newKit(search.Options{})
	f := k.parse(t, "Observation", "subject:Patient.general-practitioner.name:exact=x").Query.Filter[0]
	gp := f.Chain[0].Filter[0]
	if f.Param.Code != "subject" || len(f.Chain) != 1 || f.Chain[0].Type != "Patient" || gp.Param.Code != "general-practitioner" {
		t.Errorf("chain = %+v", f)
	}
	// Organization and Practitioner have a name, PractitionerRole has none.
	if len(gp.Chain) != 2 || gp.Chain[0].Filter[0].Modifier != search.Exact {
		t.Errorf("second link = %+v", gp)
	}
	f = k.parse(t, "Patient", "_has:Observation:patient:_has:AuditEvent:entity:agent=x").Query.Filter[0]
	inner := f.Has.Filter[0]
	if f.HasParam.Code != "patient" || f.Has.Type != "Observation" || inner.HasParam.Code != "entity" || inner.Has.Filter[0].Param.Code != "agent" {
		t.Errorf("_has = %+v", f)
	}
	f = k.parse(t, "Encounter", "subject._has:Group:member:_id=g1").Query.Filter[0]
	if len(f.Chain) != 2 || f.Chain[1].Type != "Patient" || f.Chain[1].Filter[0].HasParam.Code != "member" {
		t.Errorf("_has behind a chain = %+v", f)
	}
	if f = k.parse(t, "Patient", "_has:Observation:patient:code:not=x").Query.Filter[0]; f.Has.Filter[0].Modifier != search.Not {
		t.Errorf("modifier behind _has = %+v", f)
	}
	if search.Matches(&f, nil) {
		t.Error("a chain is the engine's: Matches must not claim it")
	}
}

func TestParseLenient(t *testing.T) {
	t.Parallel()
	k := newKit(search.Options{})
	r, err := k.p.ParseLenient("Patient", "nope=1&gender=male&_text=x&_sort=nope,-birthdate&other=2")
	if err != nil {
		t.Fatal(err)
	}
	if r.Self != "gender=male&_sort=-birthdate" || len(r.Issues) != 4 || r.Issues[0].Severity != fhir.Warning {
		t.Errorf("self %q, issues %+v", r.Self, r.Issues)
	}
	if _, err := k.p.ParseLenient("Patient", "gender:nope=1"); fhir.KindOf(err) != fhir.NotSupported {
		t.Errorf("a modifier that is not known changes the meaning: %v", err)
	}
}

func TestParseCriteria(t *testing.T) {
	t.Parallel()
	k := newKit(search.Options{})
	a, err1 := k.p.ParseCriteria("Patient", "?identifier=s%7C1&name=b,a&_format=json")
	b, err2 := k.p.ParseCriteria("Patient", "name=a,b&identifier=s|1")
	if err1 != nil || err2 != nil || a.Claim() != b.Claim() {
		t.Errorf("claims %q and %q, %v, %v", a.Claim(), b.Claim(), err1, err2)
	}
	for _, q := range []string{"", "_format=json", "identifier=1&_count=1", "identifier=1&_sort=name"} {
		if _, err := k.p.ParseCriteria("Patient", q); fhir.KindOf(err) != fhir.Invalid {
			t.Errorf("criteria %q: %v", q, err)
		}
	}
}

// codes is an Expander over a fixed hierarchy: a > b > c.
type codes struct{}

func (codes) Expand(vs string) ([]fhir.Coding, error) {
	switch vs {
	case "http://vs/ab":
		return []fhir.Coding{{System: "s", Code: "a"}, {System: "s", Code: "b"}}, nil
	case "http://vs/empty":
		return nil, nil
	}
	return nil, fhir.Errorf(fhir.NotFound, "there is no such value set")
}
func (codes) Below(c fhir.Coding) ([]fhir.Coding, error) {
	return []fhir.Coding{c, {System: "s", Code: "c"}}, nil
}
func (codes) Above(c fhir.Coding) ([]fhir.Coding, error) {
	return []fhir.Coding{c, {System: "s", Code: "a"}}, nil
}

func TestExpander(t *testing.T) {
	t.Parallel()
	k := newKit(search.Options{Expander: codes{}})
	obs := func(code string) string {
		return `{"resourceType":"Observation","code":{"coding":[{"system":"s","code":"` + code + `"}]}}`
	}
	for _, c := range []struct {
		query, code string
		want        bool
	}{
		{"code:in=http://vs/ab", "a", true}, {"code:in=http://vs/ab", "c", false}, {"code:not-in=http://vs/ab", "c", true}, {"code:not-in=http://vs/ab", "b", false},
		{"code:below=s|b", "c", true}, {"code:below=s|b", "a", false}, {"code:above=s|b", "a", true}, {"code:above=s|b", "c", false},
		{"code:in=http://vs/empty", "a", false}, {"code:not-in=http://vs/empty", "a", true},
	} {
		if got := k.matches(t, obs(c.code), c.query); got != c.want {
			t.Errorf("%s of %s: %v", c.query, c.code, got)
		}
	}
	var e *fhir.Error
	if _, err := k.p.Parse("Observation", "code:in=http://vs/none"); !errors.As(err, &e) || e.Kind != fhir.Invalid || !strings.Contains(err.Error(), "code:in") {
		t.Errorf("unknown value set: %v", err)
	}
}

// TestSelfIsCanonical: whatever the order and the escapes, equal requests have
// one Self, and Self means the same as the request.
func TestSelfIsCanonical(t *testing.T) {
	t.Parallel()
	k := newKit(search.Options{})
	a := k.parse(t, "Observation", "code=http://l|1,b&date=ge2024-01-01T00:00:00%2B08:00&_sort=-date&value-string:contains=a%26b%3D%20c")
	b := k.parse(t, "Observation", "value-string:contains="+url.QueryEscape("a&b= c")+"&_sort=-date&date=ge2024-01-01T00:00:00%2B08:00&code="+url.QueryEscape("b,http://l|1"))
	if a.Self != b.Self {
		t.Errorf("%s\n%s", a.Self, b.Self)
	}
	again := k.parse(t, "Observation", a.Self)
	if again.Self != a.Self || !reflect.DeepEqual(again.Query, b.Query) && !sameFilters(again.Query, a.Query) {
		t.Errorf("self %s reads as %+v", a.Self, again.Query)
	}
}

func sameFilters(a, b search.Query) bool {
	find := func(q search.Query, p *definition.SearchParam) int {
		for i := range q.Filter {
			if q.Filter[i].Param == p {
				return len(q.Filter[i].Values)
			}
		}
		return -1
	}
	for i := range a.Filter {
		if find(b, a.Filter[i].Param) != len(a.Filter[i].Values) {
			return false
		}
	}
	return len(a.Filter) == len(b.Filter)
}
