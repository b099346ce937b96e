package search_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/definition"
	"hutong/fhir/search"
	"hutong/fhir/search/path"
	"hutong/testdata/sharedata"
)

// show writes the entries of one parameter in a short form.
func show(entries []search.Entry, code string) []string {
	var out []string
	for i := range entries {
		if e := &entries[i]; e.Param.Code == code && !e.Derived {
			out = append(out, showEntry(e))
		}
	}
	return out
}

func showEntry(e *search.Entry) string {
	switch e.Param.Type {
	case definition.Date:
		return moment(e.Lo) + ".." + moment(e.Hi)
	case definition.Number, definition.Quantity:
		return fmt.Sprintf("%g..%g %s|%s %s", e.Num, e.NumHi, e.System, e.Code, e.Text)
	case definition.Composite:
		var parts []string
		for i := range e.Parts {
			parts = append(parts, showEntry(&e.Parts[i]))
		}
		return strings.Join(parts, " $ ")
	case definition.Reference:
		s := e.System + "/" + e.Code + "/" + e.Version
		if e.Ident != nil {
			s += "(" + e.Ident.System + "|" + e.Ident.Value + ")"
		}
		return s
	case definition.Token:
		return e.System + "|" + e.Code + "^" + e.Text
	}
	return e.Code
}

func moment(us int64) string {
	switch us {
	case search.MinDate:
		return "-"
	case search.MaxDate:
		return "+"
	}
	return time.UnixMicro(us).In(cst).Format("20060102T150405.999999")
}

func TestExtract(t *testing.T) {
	t.Parallel()
	k := newKit(search.Options{})
	for _, c := range []struct {
		json, code string
		want       []string
	}{
		// tokens
		{`{"resourceType":"Condition","code":{"coding":[{"system":"s","code":"a","display":"A"},{"code":"b"}],"text":"T"}}`, "code", []string{"s|a^A", "|b^T"}},
		{`{"resourceType":"Condition","code":{"coding":[{"system":"s","code":"a","display":"A"}],"text":"T"}}`, "code", []string{"s|a^A", "|^T"}},
		{`{"resourceType":"Condition","code":{"text":"T"}}`, "code", []string{"|^T"}},
		{`{"resourceType":"Condition","code":{"coding":[{}]}}`, "code", nil},
		{`{"resourceType":"Encounter","class":{"system":"s","code":"AMB","display":"x"},"status":"finished"}`, "class", []string{"s|AMB^x"}},
		{`{"resourceType":"Encounter","status":"finished"}`, "status", []string{"http://hl7.org/fhir/encounter-status|finished^"}},
		{`{"resourceType":"Patient"}`, "deceased", []string{"|false^"}},
		{`{"resourceType":"Patient","deceasedBoolean":false}`, "deceased", []string{"|false^"}},
		{`{"resourceType":"Patient","deceasedBoolean":true}`, "deceased", []string{"|true^"}},
		{`{"resourceType":"Patient","deceasedDateTime":"2020"}`, "deceased", []string{"|true^"}},
		{`{"resourceType":"Patient","identifier":[{"system":"s","value":"1","type":{"text":"T"}},{"value":"2"}]}`, "identifier", []string{"s|1^T", "|2^"}},
		{`{"resourceType":"Patient","telecom":[{"system":"phone","value":"1"},{"system":"email","value":"2"},{"value":"3"}]}`, "phone", []string{"|1^"}},
		{`{"resourceType":"Patient","telecom":[{"system":"phone","value":"1"},{"value":"3"}]}`, "telecom", []string{"|1^", "|3^"}},
		// references
		{`{"resourceType":"Observation","subject":{"reference":"Patient/1"}}`, "subject", []string{"Patient/1/"}},
		{`{"resourceType":"Observation","subject":{"reference":"` + base + `/Patient/1/_history/4"}}`, "subject", []string{"Patient/1/4"}},
		{`{"resourceType":"Observation","subject":{"reference":"http://x/fhir/Patient/1"}}`, "patient", []string{"/http://x/fhir/Patient/1/"}},
		{`{"resourceType":"Observation","subject":{"reference":"Group/1"}}`, "patient", nil},
		{`{"resourceType":"Observation","subject":{"reference":"urn:uuid:1","type":"Patient"}}`, "patient", []string{"/urn:uuid:1/"}},
		{`{"resourceType":"Observation","subject":{"identifier":{"system":"s","value":"1"}}}`, "subject", []string{"//(s|1)"}},
		{`{"resourceType":"Observation","subject":{"identifier":{"system":"s","value":"1"},"type":"Patient"}}`, "patient", []string{"//(s|1)"}},
		{`{"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"p"}],"subject":{"reference":"#p"}}`, "patient", []string{"/#p/"}},
		{`{"resourceType":"Observation","contained":[{"resourceType":"Group","id":"p"}],"subject":{"reference":"#p"}}`, "patient", nil},
		{`{"resourceType":"Observation","subject":{"display":"somebody"}}`, "subject", nil},
		{`{"resourceType":"MeasureReport","measure":"http://m|1.0"}`, "measure", []string{"/http://m/1.0"}},
		{`{"resourceType":"MeasureReport","measure":"` + base + `/Measure/m|1.0"}`, "measure", []string{"Measure/m/1.0"}},
		{`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Composition","id":"c"}},{"resource":{"resourceType":"Composition","id":"d"}}]}`, "composition", []string{"Composition/c/"}},
		{`{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Patient","id":"c"}}]}`, "composition", nil},
		// strings and uris
		{`{"resourceType":"Patient","name":[{"family":"A","given":["B","C"],"suffix":["D"],"text":"E"}]}`, "name", []string{"E", "A", "B", "C", "D"}},
		{`{"resourceType":"Patient","address":[{"line":["L1","L2"],"city":"C","country":"N"}]}`, "address", []string{"L1", "L2", "C", "N"}},
		{`{"resourceType":"Patient","extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName","valueString":"诸葛"},{"url":"http://x","valueString":"y"}]}`, "mothersMaidenName", []string{"诸葛"}},
		{`{"resourceType":"Observation","valueCodeableConcept":{"text":"T"}}`, "value-string", []string{"T"}},
		{`{"resourceType":"ValueSet","url":"http://v"}`, "url", []string{"http://v"}},
		{`{"resourceType":"ValueSet","meta":{"profile":["http://p|2"]}}`, "_profile", []string{"http://p"}},
		{`{"resourceType":"ActivityDefinition","relatedArtifact":[{"type":"depends-on","resource":"http://a"},{"type":"composed-of","resource":"http://b"}]}`, "depends-on", []string{"/http://a/"}},
		// dates
		{`{"resourceType":"Patient","birthDate":"2000"}`, "birthdate", []string{"20000101T000000..20010101T000000"}},
		{`{"resourceType":"Encounter","period":{"start":"2024-02"}}`, "date", []string{"20240201T000000..+"}},
		{`{"resourceType":"Encounter","period":{"end":"2024-02-29"}}`, "date", []string{"-..20240301T000000"}},
		{`{"resourceType":"Encounter","period":{}}`, "date", nil},
		{`{"resourceType":"Observation","effectiveInstant":"2024-01-01T00:00:00.25Z"}`, "date", []string{"20240101T080000.25..20240101T080000.26"}},
		{`{"resourceType":"Observation","effectiveTiming":{"event":["2024-01-02","2024-01-01"],"repeat":{"boundsPeriod":{"end":"2024-02-01"}}}}`, "date", []string{"-..20240202T000000"}},
		{`{"resourceType":"Observation","effectiveTiming":{"event":["2024-01-02","2024-01-01"]}}`, "date", []string{"20240101T000000..20240103T000000"}},
		{`{"resourceType":"Observation","effectiveTiming":{"code":{"text":"BID"}}}`, "date", nil},
		{`{"resourceType":"Procedure","performedString":"last year"}`, "date", nil},
		// numbers and quantities
		{`{"resourceType":"RiskAssessment","prediction":[{"probabilityDecimal":0.5},{"probabilityRange":{"low":{"value":1},"high":{"value":2}}}]}`, "probability", []string{"0.5..0.5 | ", "1..2 | "}},
		{`{"resourceType":"Observation","valueQuantity":{"value":1,"comparator":">","unit":"mg","system":"u","code":"mg"}}`, "value-quantity", []string{"1..+Inf u|mg mg"}},
		{`{"resourceType":"Observation","valueQuantity":{"unit":"mg"}}`, "value-quantity", nil},
		{`{"resourceType":"Observation","valueSampledData":{"origin":{"value":10,"unit":"V"},"factor":2,"data":"1 E -3 2"}}`, "value-quantity", []string{"4..14 | V"}},
		{`{"resourceType":"Invoice","totalNet":{"value":3.5,"currency":"CNY"}}`, "totalnet", []string{"3.5..3.5 urn:iso:std:iso:4217|CNY "}},
		{`{"resourceType":"Condition","onsetAge":{"value":40,"unit":"a"}}`, "onset-age", []string{"40..40 | a"}},
		{`{"resourceType":"Condition","onsetRange":{"low":{"value":40,"unit":"a"}}}`, "onset-age", []string{"40..+Inf | a"}},
		// composites
		{`{"resourceType":"Observation","code":{"coding":[{"code":"a"},{"code":"b"}]},"valueQuantity":{"value":1}}`, "code-value-quantity", []string{"|a^ $ 1..1 | ", "|b^ $ 1..1 | "}},
		{`{"resourceType":"Observation","code":{"coding":[{"code":"a"}]}}`, "code-value-quantity", nil},
		{`{"resourceType":"Observation","component":[{"code":{"coding":[{"code":"a"}]},"valueQuantity":{"value":1}},{"code":{"coding":[{"code":"b"}]},"valueQuantity":{"value":2}}]}`,
			"component-code-value-quantity", []string{"|a^ $ 1..1 | ", "|b^ $ 2..2 | "}},
		{`{"resourceType":"Observation","code":{"coding":[{"code":"a"}]},"valueDateTime":"2000"}`, "code-value-date", []string{"|a^ $ 20000101T000000..20010101T000000"}},
		{`{"resourceType":"DocumentReference","relatesTo":[{"code":"replaces","target":{"reference":"DocumentReference/1"}}]}`, "relationship",
			[]string{"http://hl7.org/fhir/document-relationship-type|replaces^ $ DocumentReference/1/"}},
		{`{"resourceType":"MolecularSequence","referenceSeq":{"chromosome":{"coding":[{"code":"1"}]}},"variant":[{"start":5,"end":9}]}`, "chromosome-variant-coordinate", []string{"|1^ $ 5..5 |  $ 9..9 | "}},
	} {
		entries, _ := k.extract(t, c.json)
		if got := show(entries, c.code); !slices.Equal(got, c.want) {
			t.Errorf("%s of %s\n  got  %q\n  want %q", c.code, c.json, got, c.want)
		}
	}
}

func TestExtractRewritesReferences(t *testing.T) {
	t.Parallel()
	k := newKit(search.Options{})
	d, err := codec.Parse([]byte(`{"resourceType":"Observation","subject":{"reference":"urn:uuid:1"},"performer":[{"reference":"urn:uuid:2"}]}`), codec.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	rw := func(ref []byte) ([]byte, bool) { return []byte("Patient/new"), string(ref) == "urn:uuid:1" }
	entries, facts, err := k.x.Extract(nil, d, 0, rw)
	if err != nil {
		t.Fatal(err)
	}
	if got := show(entries, "patient"); !slices.Equal(got, []string{"Patient/new/"}) {
		t.Errorf("patient = %q", got)
	}
	if len(facts.Patients) != 1 || facts.Patients[0].String() != "Patient/new" {
		t.Errorf("facts = %+v", facts)
	}
}

func TestFacts(t *testing.T) {
	t.Parallel()
	k := newKit(search.Options{})
	_, f := k.extract(t, observation)
	want := fhir.Facts{
		Patients: []fhir.Key{{Type: "Patient", ID: "p1"}}, Categories: []fhir.Coding{{System: "http://cat", Code: "laboratory"}},
		Codes:   []fhir.Coding{{System: "http://loinc.org", Code: "718-7"}, {System: "http://local", Code: "HGB"}},
		Authors: []fhir.Key{{Type: "Practitioner", ID: "d1"}}, Clinical: time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC),
	}
	if fmt.Sprintf("%+v", f) != fmt.Sprintf("%+v", want) {
		t.Errorf("observation\n  got  %+v\n  want %+v", f, want)
	}
	_, f = k.extract(t, patient)
	if fmt.Sprint(f.Patients) != "[Patient/p1 Patient/p2]" || fmt.Sprint(f.Labels) != "[{http://s R}]" || !f.Clinical.IsZero() {
		t.Errorf("patient = %+v", f)
	}
	for _, c := range []struct {
		json, patients string
		clinical       time.Time
	}{
		{`{"resourceType":"Appointment","participant":[{"actor":{"reference":"Patient/1"}},{"actor":{"reference":"Practitioner/1"}},{"actor":{"reference":"Patient/2"}}],"start":"2024-01-01T00:00:00Z"}`,
			"[Patient/1 Patient/2]", time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)},
		{`{"resourceType":"AuditEvent","entity":[{"what":{"reference":"Patient/1"}}],"recorded":"2024-01-01T00:00:00Z"}`, "[Patient/1]", time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)},
		{`{"resourceType":"Task","for":{"reference":"Patient/1"},"focus":{"reference":"Patient/2"}}`, "[Patient/1]", time.Time{}},
		{`{"resourceType":"Contract","subject":[{"reference":"Patient/1"}]}`, "[Patient/1]", time.Time{}},
		{`{"resourceType":"Organization","id":"o"}`, "[]", time.Time{}},
		{`{"resourceType":"Condition","subject":{"reference":"Patient/1"},"recordedDate":"2024-01-02","onsetDateTime":"2023-01-01"}`, "[Patient/1]", time.Date(2023, 1, 1, 0, 0, 0, 0, cst)},
		{`{"resourceType":"Condition","subject":{"reference":"Patient/1"},"recordedDate":"2024-01-02","onsetString":"long ago"}`, "[Patient/1]", time.Date(2024, 1, 2, 0, 0, 0, 0, cst)},
		{`{"resourceType":"Encounter","subject":{"reference":"Patient/1"},"period":{"end":"2024-01-01"}}`, "[Patient/1]", time.Date(2024, 1, 2, 0, 0, 0, 0, cst)},
		{`{"resourceType":"MedicationRequest","subject":{"reference":"Patient/1"},"authoredOn":"2024"}`, "[Patient/1]", time.Date(2024, 1, 1, 0, 0, 0, 0, cst)},
		{`{"resourceType":"Observation","subject":{"reference":"http://other/fhir/Patient/1"}}`, "[]", time.Time{}},
	} {
		_, f := k.extract(t, c.json)
		if fmt.Sprint(f.Patients) != c.patients || !f.Clinical.Equal(c.clinical) {
			t.Errorf("%s\n  patients %v, want %s\n  clinical %v, want %v", c.json, f.Patients, c.patients, f.Clinical, c.clinical)
		}
	}
}

// TestEveryReachableTypeIsRead names the data types that an expression reaches
// and that have no meaning under the parameter's type. Any other must give an
// entry: a type that the code forgets fails here.
func TestEveryReachableTypeIsRead(t *testing.T) {
	t.Parallel()
	meaningless := map[string]string{
		"2 Age": "an age is no date", "2 Range": "a range of ages is no date", "2 string": "free text is no date",
		"4 Quantity": "Group.characteristic.value reaches all its types", "4 Range": "as above", "4 Reference": "as above",
		"5 Attachment": "Consent.source[x] as an attachment is no reference", "9 Location.position": "near is not supported",
	}
	samples := map[string]string{
		"Age": `{"value":1}`, "Quantity": `{"value":1}`, "Duration": `{"value":1}`, "Money": `{"value":1}`, "Range": `{"low":{"value":1}}`,
		"SampledData": `{"origin":{"value":0},"data":"1"}`, "decimal": `1`, "integer": `1`, "Period": `{"start":"2000"}`, "Timing": `{"event":["2000"]}`,
		"date": `"2000"`, "dateTime": `"2000"`, "instant": `"2000-01-01T00:00:00Z"`, "HumanName": `{"family":"x"}`, "Address": `{"city":"x"}`,
		"CodeableConcept": `{"text":"x"}`, "Coding": `{"code":"x"}`, "Identifier": `{"value":"x"}`, "ContactPoint": `{"value":"x"}`,
		"Reference": `{"reference":"Patient/1"}`, "boolean": `true`, "Resource": `{"resourceType":"Patient","id":"x"}`,
	}
	defs, seen := definition.R4(), map[string]bool{}
	check := func(typ fhir.Type, p *definition.SearchParam, reached string) {
		key := fmt.Sprint(p.Type, " ", reached)
		if seen[key] || p.Type == definition.Composite {
			return
		}
		seen[key] = true
		sample := samples[reached]
		if sample == "" {
			sample = `"x"`
		}
		if search.Reads(p, reached, sample) == (meaningless[key] != "") {
			t.Errorf("%s.%s: parameter type and data type %q, read: %v", typ, p.Code, key, meaningless[key] != "")
		}
	}
	for _, typ := range defs.Types() {
		for _, p := range defs.Params(typ) {
			e, err := path.Compile(defs, p.Expression, string(typ), string(typ))
			if err != nil {
				t.Fatal(err)
			}
			for _, reached := range e.Types() {
				check(typ, p, reached)
				for _, c := range p.Components {
					part, err := path.Compile(defs, c.Expression, string(typ), reached)
					if err != nil {
						t.Fatal(err)
					}
					for _, r := range part.Types() {
						check(typ, c.Param, r)
					}
				}
			}
		}
	}
	for key := range meaningless {
		if !seen[key] {
			t.Errorf("%q is reached by no expression any more", key)
		}
	}
}

// TestExtractEverySharedResource: no official example and no Synthea resource
// fails, and each is findable by something.
func TestExtractEverySharedResource(t *testing.T) {
	t.Parallel()
	dir := sharedata.Dir(t)
	k := newKit(search.Options{})
	files, _ := filepath.Glob(filepath.Join(dir, "examples", "*.json"))
	bundles, _ := filepath.Glob(filepath.Join(dir, "synthea-train", "*.json"))
	resources, entries := 0, 0
	for n, f := range append(files, bundles[:min(10, len(bundles))]...) {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		d, err := codec.Parse(src, codec.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		roots := []uint32{0}
		if n >= len(files) {
			roots = nil
			for e := range d.Children(d.Child(0, "entry")) {
				roots = append(roots, d.Child(e, "resource"))
			}
		}
		for _, i := range roots {
			got, _, err := k.x.Extract(nil, d, i, nil)
			if err != nil {
				t.Errorf("%s: %v", filepath.Base(f), err)
			}
			resources++
			entries += len(got)
			checkEntries(t, filepath.Base(f), got)
			checkReferences(t, k, d, i, got)
		}
	}
	t.Logf("%d entries of %d resources", entries, resources)
}

// checkReferences: References gives what the whole extraction gives of them.
func checkReferences(t *testing.T, k kit, d *codec.Doc, i uint32, entries []search.Entry) {
	t.Helper()
	body, err := codec.NewBody(d, i, codec.BodyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := k.x.References(body)
	if err != nil {
		t.Fatal(err)
	}
	want := slices.DeleteFunc(slices.Clone(entries), func(e search.Entry) bool { return e.Param.Type != definition.Reference })
	if !slices.EqualFunc(got, want, func(a, b search.Entry) bool { return a.Param == b.Param && showEntry(&a) == showEntry(&b) }) {
		t.Errorf("%s: %d references, want %d", d.ResourceType(i), len(got), len(want))
	}
}

func checkEntries(t *testing.T, name string, entries []search.Entry) {
	for i := range entries {
		e := &entries[i]
		bad := e.Lo > e.Hi || e.Num > e.NumHi || math.IsNaN(e.Num) ||
			e.Param.Type == definition.Composite && len(e.Parts) != len(e.Param.Components) ||
			e.Param.Type == definition.Reference && e.Code == "" && e.Ident == nil
		if bad {
			t.Errorf("%s: %s has a senseless entry %+v", name, e.Param.Code, e)
		}
	}
}
