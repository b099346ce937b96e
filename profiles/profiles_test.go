package profiles_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/validate"
	"hutong/profiles"
)

type resource struct {
	ResourceType, ID, URL, Version, Name string
	Extension                            []struct {
		URL         string
		ValuePeriod struct{ Start string }
	}
	Property []struct{ Code, Type string }
	Concept  []struct {
		Code, Display string
		Property      []map[string]any
	}
	Group []struct {
		Source, Target string
		Element        []struct {
			Code   string
			Target []struct{ Code, Equivalence string }
		}
	}
}

func read(t *testing.T, bodies [][]byte) []resource {
	t.Helper()
	var out []resource
	for _, b := range bodies {
		var r resource
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

func TestResourcesAreValidR4(t *testing.T) {
	t.Parallel()
	v, err := validate.New(validate.Options{Profiles: profiles.StructureDefinitions()})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i, b := range profiles.Resources() {
		d, err := codec.Parse(b, codec.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		r := read(t, profiles.Resources()[i:i+1])[0]
		if seen[r.URL] || r.URL == "" {
			t.Errorf("url %q twice or empty", r.URL)
		}
		seen[r.URL] = true
		for _, is := range v.Resource(d, 0, r.ID) {
			if is.Severity == fhir.ErrorLevel {
				t.Errorf("%s: %s: %s", r.ID, is.Expression, is.Text)
			}
		}
	}
	if len(seen) < 25 {
		t.Errorf("only %d resources", len(seen))
	}
}

// Codes are unique, their properties declared, and each system says from when
// it holds.
func TestCodeSystems(t *testing.T) {
	t.Parallel()
	for _, cs := range read(t, profiles.CodeSystems()) {
		if len(cs.Extension) != 1 || !strings.HasSuffix(cs.Extension[0].URL, "resource-effectivePeriod") || cs.Extension[0].ValuePeriod.Start == "" {
			t.Errorf("%s: no period of validity", cs.ID)
		}
		codes, declared := map[string]bool{}, map[string]string{}
		for _, p := range cs.Property {
			declared[p.Code] = p.Type
		}
		for _, c := range cs.Concept {
			if codes[c.Code] || c.Code == "" || c.Display == "" {
				t.Errorf("%s: code %q twice, or empty, or without display", cs.ID, c.Code)
			}
			codes[c.Code] = true
			for _, p := range c.Property {
				typ, ok := declared[p["code"].(string)]
				if _, value := p["value"+strings.ToUpper(typ[:min(1, len(typ))])+typ[min(1, len(typ)):]]; !ok || !value {
					t.Errorf("%s %s: property %v is undeclared or of another type", cs.ID, c.Code, p)
				}
			}
		}
	}
}

// A map leads from codes that exist to codes that exist, where we have the system.
func TestConceptMaps(t *testing.T) {
	t.Parallel()
	known := map[string][]string{}
	for _, cs := range read(t, profiles.CodeSystems()) {
		for _, c := range cs.Concept {
			known[cs.URL] = append(known[cs.URL], c.Code)
		}
	}
	for _, m := range read(t, profiles.ConceptMaps()) {
		for _, g := range m.Group {
			seen := map[string]bool{}
			for _, e := range g.Element {
				if seen[e.Code] || known[g.Source] != nil && !slices.Contains(known[g.Source], e.Code) {
					t.Errorf("%s: source %q twice or unknown", m.ID, e.Code)
				}
				seen[e.Code] = true
				for _, x := range e.Target {
					if known[g.Target] != nil && !slices.Contains(known[g.Target], x.Code) {
						t.Errorf("%s: target %q unknown", m.ID, x.Code)
					}
				}
			}
		}
	}
}

func TestCatalogue(t *testing.T) {
	t.Parallel()
	c, err := profiles.NewCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	if n := len(c.Items(now)); n != 58 {
		t.Errorf("%d items in force, want 48 tests, 5 panels, 5 imaging", n)
	}
	if n := len(c.Items(now.AddDate(-10, 0, 0))); n != 0 {
		t.Errorf("%d items in force before the catalogue began", n)
	}
	k, ok := c.ByLOINC("2823-3")
	if !ok || k.Code != "K" || k.Window != 7*24*time.Hour || k.UCUM != "mmol/L" || k.Specimen != "SER" || k.StartFrom != "specimen" {
		t.Errorf("potassium: %+v", k)
	}
	for _, tt := range []struct{ system, code, want string }{
		{profiles.HRItem, "K", "K"},
		{profiles.LOINC, "718-7", "Hb"},
		{profiles.LOINC, "58410-2", "CBC"},
		{profiles.LabSystem("125001034501000106"), "LIS1001", "K"},
		{profiles.LabSystem("12500233450100030U"), "WBC", "WBC"},
		{profiles.LOINC, "14743-9", ""},                           // inexact: a glucometer
		{profiles.LabSystem("125001124501000208"), "SH-90", ""},   // the same by its local code
		{profiles.LabSystem("125001034501000106"), "LIS9999", ""}, // unknown
		{"http://loinc.example", "2823-3", ""},                    // unknown system
		{profiles.LabSystem("125001034501000106"), "718-7", ""},   // right code, wrong system
	} {
		if got, _ := c.ByCoding(tt.system, tt.code); got.Code != tt.want {
			t.Errorf("ByCoding(%s, %s) = %q, want %q", tt.system, tt.code, got.Code, tt.want)
		}
	}
	cbc, _ := c.Item("CBC")
	if len(cbc.Members) != 5 {
		t.Errorf("blood count: %+v", cbc)
	}
	for _, it := range c.Items(now) {
		if it.Window <= 0 || it.LOINC == "" || it.Category == "" || it.NameEN == "" || it.Imaging != (it.Category == "imaging") {
			t.Errorf("item lacks something: %+v", it)
		}
		for _, m := range it.Members {
			if _, ok := c.Item(m); !ok {
				t.Errorf("%s: no member %s", it.Code, m)
			}
		}
	}
	if a, ok := c.Alliance("chuanyu"); !ok || !slices.Contains(a.Areas, "500000") {
		t.Errorf("alliance: %+v", a)
	}
}

// The six national reasons, of which only the last asks for text.
func TestDeclineReasons(t *testing.T) {
	t.Parallel()
	reasons, err := profiles.DeclineReasons()
	if err != nil {
		t.Fatal(err)
	}
	national := 0
	for _, r := range reasons {
		if r.Set == "national" {
			national++
			if r.TextRequired != (r.Code == "other") || !r.Counts {
				t.Errorf("%+v", r)
			}
		}
	}
	if national != 6 || len(reasons) != 13 {
		t.Errorf("%d reasons, %d national", len(reasons), national)
	}
}

// The FHIRPath library's pattern cache is not safe for concurrent use, so no
// constraint of ours may lean on it.
func TestConstraintsAvoidPatterns(t *testing.T) {
	t.Parallel()
	for _, b := range profiles.StructureDefinitions() {
		if strings.Contains(string(b), "matches(") || strings.Contains(string(b), "replaceMatches(") {
			t.Errorf("a constraint uses a regular expression: %.120s", b)
		}
	}
}
