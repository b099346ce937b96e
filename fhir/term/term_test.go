package term

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/profiles"
	"hutong/testdata/sharedata"
)

// embedded is one service over all definitions: reading them is the slow part.
var embedded = sync.OnceValue(func() *Service { return New(Options{}) })

func date(s string) time.Time {
	t, _ := time.ParseInLocation(time.DateOnly, s, china)
	return t
}

func TestLookup(t *testing.T) {
	t.Parallel()
	s := embedded()
	c, err := s.Lookup(profiles.HRItem, "K", time.Time{})
	if err != nil || c.Display != "钾" || c.Designations["en"] != "Potassium" || !slices.Equal(c.Properties["windowHours"], []string{"168"}) || !slices.Equal(c.Properties["imaging"], []string{"false"}) {
		t.Errorf("%+v, %v", c, err)
	}
	for _, tt := range []struct {
		system, code, at string
		want             error
	}{
		{"http://hl7.org/fhir/administrative-gender", "male", "", nil},
		{"http://hl7.org/fhir/administrative-gender", "Male", "", fhir.E(fhir.NotFound)},
		{"http://terminology.hl7.org/CodeSystem/v3-RoleCode", "MTH", "", nil},
		{"http://snomed.info/sct", "22298006", "", fhir.E(fhir.NotSupported)},
		{"http://loinc.org", "2823-3", "", fhir.E(fhir.NotSupported)},
		{profiles.Area, "500105", "", nil},
		{profiles.Area, "500105", "2025-11-05", nil},
		{profiles.Area, "500105", "2025-11-06", fhir.E(fhir.Unprocessable)},
		{profiles.HRItem, "K", "2023-10-31", fhir.E(fhir.Unprocessable)},
		{profiles.HRItem, "K", "2023-11-01", nil},
		{profiles.Sex, "1", "2026-01-01", nil},
	} {
		at := time.Time{}
		if tt.at != "" {
			at = date(tt.at)
		}
		if _, err := s.Lookup(tt.system, tt.code, at); !errors.Is(err, tt.want) {
			t.Errorf("%s|%s at %q: %v, want %v", tt.system, tt.code, tt.at, err, tt.want)
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	s := embedded()
	national := profiles.Canonical + "/ValueSet/hr-decline-national"
	for _, tt := range []struct {
		set  string
		c    fhir.Coding
		want error
	}{
		{national, fhir.Coding{System: profiles.HRDecline, Code: "emergency"}, nil},
		{national, fhir.Coding{Code: "emergency"}, nil},
		{national, fhir.Coding{System: profiles.HRDecline, Code: "out-of-window"}, fhir.E(fhir.Unprocessable)},
		{national, fhir.Coding{System: "http://other", Code: "emergency"}, fhir.E(fhir.Unprocessable)},
		{"http://hl7.org/fhir/ValueSet/observation-status|4.0.1", fhir.Coding{Code: "final"}, nil},
		{"http://hl7.org/fhir/ValueSet/item-type", fhir.Coding{Code: "group"}, nil},
		{"http://hl7.org/fhir/ValueSet/item-type", fhir.Coding{Code: "question"}, fhir.E(fhir.Unprocessable)},
		{"http://hl7.org/fhir/ValueSet/no-such", fhir.Coding{Code: "x"}, fhir.E(fhir.NotFound)},
		{"http://hl7.org/fhir/ValueSet/condition-code", fhir.Coding{Code: "x"}, fhir.E(fhir.NotSupported)},
	} {
		if _, err := s.Validate(tt.set, tt.c, time.Time{}); !errors.Is(err, tt.want) {
			t.Errorf("%v in %s: %v, want %v", tt.c, tt.set, err, tt.want)
		}
	}
	all, err := s.Expand(national)
	if err != nil || len(all) != 6 {
		t.Errorf("national reasons: %v, %v", all, err)
	}
}

func TestHierarchy(t *testing.T) {
	t.Parallel()
	s := embedded()
	const roles = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
	mth, parent := fhir.Coding{System: roles, Code: "MTH"}, fhir.Coding{System: roles, Code: "PRN"}
	below, err := s.Below(parent)
	if err != nil || !slices.Contains(below, mth) || !slices.Contains(below, parent) {
		t.Errorf("below PRN: %v, %v", below, err)
	}
	above, err := s.Above(mth)
	if err != nil || !slices.Contains(above, parent) || slices.Contains(above, fhir.Coding{System: roles, Code: "FTH"}) {
		t.Errorf("above MTH: %v, %v", above, err)
	}
	if none, err := s.Below(fhir.Coding{System: roles, Code: "no-such"}); err != nil || len(none) != 0 {
		t.Errorf("below nothing: %v, %v", none, err)
	}
}

func TestTranslate(t *testing.T) {
	t.Parallel()
	s := embedded()
	const gender = "http://hl7.org/fhir/administrative-gender"
	for _, tt := range []struct {
		mapID string
		in    fhir.Coding
		want  string
		good  bool
	}{
		{"gb-sex-to-fhir", fhir.Coding{System: profiles.Sex, Code: "2"}, "female", true},
		{"gb-sex-to-fhir", fhir.Coding{System: profiles.Sex, Code: "9"}, "unknown", false},
		{"fhir-to-gb-sex", fhir.Coding{System: gender, Code: "other"}, "9", false},
		{"lab-local-to-loinc", fhir.Coding{System: profiles.LabSystem("125001034501000106"), Code: "LIS1001"}, "2823-3", true},
		{"loinc-to-hr-item", fhir.Coding{System: profiles.LOINC, Code: "14743-9"}, "Glu", false},
		{"gb-sex-to-fhir", fhir.Coding{System: profiles.Sex, Code: "7"}, "", false},
		{"gb-sex-to-fhir", fhir.Coding{System: "http://other", Code: "1"}, "", false},
	} {
		got, err := s.Translate(profiles.Canonical+"/ConceptMap/"+tt.mapID, tt.in, "")
		if err != nil || len(got) > 1 || (len(got) == 1) != (tt.want != "") {
			t.Errorf("%s %v: %v, %v", tt.mapID, tt.in, got, err)
			continue
		}
		if len(got) == 1 && (got[0].Concept.Code != tt.want || got[0].Good() != tt.good) {
			t.Errorf("%s %v: %+v, want %s", tt.mapID, tt.in, got[0], tt.want)
		}
	}
	if _, err := s.Translate("http://no.such/map", fhir.Coding{}, ""); !errors.Is(err, fhir.E(fhir.NotFound)) {
		t.Errorf("no map: %v", err)
	}
}

// Filters against a system written for the purpose.
func TestFilters(t *testing.T) {
	t.Parallel()
	system := []byte(`{"resourceType":"CodeSystem","url":"urn:x","content":"complete","concept":[
		{"code":"a","concept":[{"code":"a1","property":[{"code":"k","valueCode":"v"}]},{"code":"a2","concept":[{"code":"a21"}]}]},
		{"code":"b","property":[{"code":"k","valueCode":"w"},{"code":"child","valueCode":"a2"}]}]}`)
	for compose, want := range map[string][]string{
		`{"system":"urn:x"}`: {"a", "a1", "a2", "a21", "b"},
		`{"system":"urn:x","filter":[{"property":"concept","op":"is-a","value":"a"}]}`:                                            {"a", "a1", "a2", "a21"},
		`{"system":"urn:x","filter":[{"property":"concept","op":"descendent-of","value":"b"}]}`:                                   {"a2", "a21"},
		`{"system":"urn:x","filter":[{"property":"concept","op":"is-not-a","value":"a"}]}`:                                        {"b"},
		`{"system":"urn:x","filter":[{"property":"concept","op":"generalizes","value":"a21"}]}`:                                   {"a", "a2", "a21", "b"},
		`{"system":"urn:x","filter":[{"property":"k","op":"=","value":"v"}]}`:                                                     {"a1"},
		`{"system":"urn:x","filter":[{"property":"k","op":"in","value":"v,w"}]}`:                                                  {"a1", "b"},
		`{"system":"urn:x","filter":[{"property":"k","op":"not-in","value":"v"}]}`:                                                {"a", "a2", "a21", "b"},
		`{"system":"urn:x","filter":[{"property":"k","op":"exists","value":"true"}]}`:                                             {"a1", "b"},
		`{"system":"urn:x","filter":[{"property":"code","op":"regex","value":"a."}]}`:                                             {"a1", "a2"},
		`{"system":"urn:x","filter":[{"property":"parent","op":"=","value":"a"},{"property":"k","op":"exists","value":"false"}]}`: {"a2"},
		`{"system":"urn:x","concept":[{"code":"b"},{"code":"zz","display":"unlisted"}]}`:                                          {"b", "zz"},
	} {
		set := []byte(`{"resourceType":"ValueSet","url":"urn:vs","compose":{"include":[` + compose + `]}}`)
		s := New(Options{CodeSystems: []Source{each([][]byte{system})}, ValueSets: []Source{each([][]byte{set})}, ConceptMaps: []Source{}})
		all, err := s.Expand("urn:vs")
		var got []string
		for _, c := range all {
			got = append(got, c.Code)
		}
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v; want %v", compose, got, err, want)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	sets := [][]byte{
		[]byte(`{"url":"urn:loop","compose":{"include":[{"valueSet":["urn:loop"]}]}}`),
		[]byte(`{"url":"urn:odd","compose":{"include":[{"system":"urn:oid:2.16.156.10011.2.3.3.4","filter":[{"property":"code","op":"like","value":"1"}]}]}}`),
		[]byte(`{"url":"urn:regex","compose":{"include":[{"system":"urn:oid:2.16.156.10011.2.3.3.4","filter":[{"property":"code","op":"regex","value":"("}]}]}}`),
	}
	s := New(Options{ValueSets: []Source{each(sets)}})
	for _, url := range []string{"urn:loop", "urn:odd", "urn:regex"} {
		if _, err := s.Expand(url); !errors.Is(err, fhir.E(fhir.NotSupported)) {
			t.Errorf("%s: %v", url, err)
		}
	}
	broken := New(Options{CodeSystems: []Source{each([][]byte{[]byte(`{"url":"urn:twice","content":"complete","concept":[{"code":"a"},{"code":"a"}]}`)})}})
	if _, err := broken.Lookup("urn:twice", "a", time.Time{}); !errors.Is(err, fhir.E(fhir.Internal)) {
		t.Errorf("a code twice: %v", err)
	}
}

// The expansions of the 220 value sets that R4 binds as required, computed
// elsewhere from the same code systems, agree with ours, code by code.
func TestRequiredExpansions(t *testing.T) {
	t.Parallel()
	s := embedded()
	lines := bufio.NewScanner(bytes.NewReader(sharedata.Read(t, "definitions/expansions-required.ndjson")))
	lines.Buffer(nil, 1<<20)
	agree, total := 0, 0
	for lines.Scan() {
		var want struct {
			URL       string
			Expansion struct{ Contains []fhir.Coding }
		}
		if err := json.Unmarshal(lines.Bytes(), &want); err != nil {
			t.Fatal(err)
		}
		total++
		got, err := s.Expand(want.URL)
		if err != nil {
			t.Errorf("%s: %v", want.URL, err)
			continue
		}
		order := func(a, b fhir.Coding) int { return strings.Compare(a.System+"|"+a.Code, b.System+"|"+b.Code) }
		got = slices.Clone(got)
		slices.SortFunc(got, order)
		slices.SortFunc(want.Expansion.Contains, order)
		if !slices.Equal(got, want.Expansion.Contains) {
			t.Errorf("%s: %d codes, want %d", want.URL, len(got), len(want.Expansion.Contains))
			continue
		}
		agree++
	}
	t.Logf("%d of %d agree", agree, total)
	if total != 220 {
		t.Errorf("%d expansions to compare with", total)
	}
}

// How many of all value sets expand, so that a change is seen.
func TestAllValueSets(t *testing.T) {
	t.Parallel()
	s := embedded()
	if err := s.sets.load(); err != nil {
		t.Fatal(err)
	}
	expanded, refused := 0, 0
	for url := range s.sets.raw {
		_, err := s.Expand(url)
		switch {
		case err == nil:
			expanded++
		case errors.Is(err, fhir.E(fhir.NotSupported)), errors.Is(err, fhir.E(fhir.NotFound)):
			refused++
		default:
			t.Errorf("%s: %v", url, err)
		}
	}
	t.Logf("%d expand, %d refused", expanded, refused)
	if expanded < 1210 {
		t.Errorf("only %d value sets expand", expanded)
	}
}
