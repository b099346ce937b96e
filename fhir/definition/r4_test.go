package definition_test

import (
	"slices"
	"strings"
	"testing"

	"hutong/fhir"
	"hutong/fhir/definition"
)

func TestR4Counts(t *testing.T) {
	t.Parallel()
	s := definition.R4()
	if n := len(s.Types()); n != 146 {
		t.Errorf("%d resource types, want 146", n)
	}
	if !slices.IsSorted(s.Types()) {
		t.Error("types are not sorted")
	}
	urls := map[string]bool{}
	for _, typ := range s.Types() {
		for _, p := range s.Params(typ) {
			urls[p.URL] = true
			if s.Param(typ, p.Code) != p || s.ParamByURL(p.URL) != p {
				t.Errorf("%s.%s: look-ups disagree", typ, p.Code)
			}
		}
	}
	if len(urls) != 1373 {
		t.Errorf("%d search parameters with an expression, want 1373", len(urls))
	}
}

func TestR4Params(t *testing.T) {
	t.Parallel()
	s := definition.R4()
	for _, c := range []struct {
		base fhir.Type
		code string
		want definition.ParamType
	}{
		{"Patient", "birthdate", definition.Date},
		{"Patient", "_id", definition.Token},
		{"Bundle", "_lastUpdated", definition.Date},
		{"", "_profile", definition.URI},
		{"Observation", "code-value-quantity", definition.Composite},
		{"Observation", "patient", definition.Reference},
		{"RiskAssessment", "probability", definition.Number},
		{"Location", "near", definition.Special},
	} {
		if p := s.Param(c.base, c.code); p == nil || p.Type != c.want {
			t.Errorf("Param(%q, %q) = %+v, want type %d", c.base, c.code, p, c.want)
		}
	}
	for _, unknown := range [][2]string{{"Patient", "nope"}, {"Nope", "_id"}, {"", "birthdate"}, {"Patient", "_text"}} {
		if p := s.Param(fhir.Type(unknown[0]), unknown[1]); p != nil {
			t.Errorf("Param(%q) = %v, want nil", unknown, p.URL)
		}
	}
	if p := s.Param("Observation", "focus"); len(p.Targets) != 0 {
		t.Errorf("focus may point to anything, got %d targets", len(p.Targets))
	}
	if a, b := definition.R4(), definition.R4(); a.Param("Patient", "name") != b.Param("Patient", "name") {
		t.Error("two Sets disagree on a parameter's identity")
	}
}

func TestR4Structures(t *testing.T) {
	t.Parallel()
	s := definition.R4()
	value := s.Structure("Observation").Element("value")
	if !value.Choice || value.Key("dateTime") != "valueDateTime" || !slices.Contains(value.Types, "SampledData") {
		t.Errorf("Observation.value = %+v", value)
	}
	if e := s.Structure("Patient").Element("gender"); e.System != "http://hl7.org/fhir/administrative-gender" || e.List {
		t.Errorf("Patient.gender = %+v", e)
	}
	if e := s.Structure("Observation.component").Element("referenceRange"); e.Types[0] != "Observation.referenceRange" || !e.List {
		t.Errorf("Observation.component.referenceRange = %+v", e)
	}
	if e := s.Structure("Patient").Element("id"); e.Types[0] != "string" && e.Types[0] != "id" {
		t.Errorf("Patient.id = %+v", e)
	}
	if s.Structure("Bundle.entry").Element("resource").Types[0] != "Resource" {
		t.Error("Bundle.entry.resource is not a Resource")
	}
}

func TestR4Compartments(t *testing.T) {
	t.Parallel()
	s := definition.R4()
	if got := s.Compartment("Patient", "AllergyIntolerance"); !slices.Equal(got, []string{"patient", "recorder", "asserter"}) {
		t.Errorf("Patient compartment of AllergyIntolerance = %v", got)
	}
	if got := s.Compartment("Patient", "Organization"); got != nil {
		t.Errorf("Organization is in no patient's compartment, got %v", got)
	}
	// A parameter that the compartment names and the type lacks would leave
	// resources out of their patient's record.
	for _, name := range []string{"Patient", "Practitioner", "Encounter", "Device", "RelatedPerson"} {
		for _, typ := range s.Types() {
			for _, code := range s.Compartment(name, typ) {
				if p := s.Param(typ, code); p == nil || p.Type != definition.Reference {
					t.Errorf("%s compartment: %s.%s is no reference parameter", name, typ, code)
				}
			}
		}
	}
}

func BenchmarkR4(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		definition.R4()
	}
}

// TestSource: whose values the index of others holds.
func TestSource(t *testing.T) {
	t.Parallel()
	s := definition.R4()
	for _, c := range []struct {
		base       fhir.Type
		code, want string
	}{
		{"Observation", "patient", "subject to Patient"}, {"Encounter", "practitioner", "participant to Practitioner"},
		{"Observation", "combo-code", "code component-code"}, {"Observation", "combo-value-quantity", "component-value-quantity value-quantity"},
		{"Observation", "code-value-date", "code"}, {"Observation", "combo-code-value-concept", "code component-code"},
		{"Observation", "code", ""}, {"Observation", "subject", ""}, {"Immunization", "patient", ""}, {"Condition", "onset-date", ""},
		{"Patient", "phone", ""}, {"Nope", "code", ""},
	} {
		got := ""
		if src := s.Source(c.base, s.Param(c.base, c.code)); src != nil {
			for _, p := range src.Params {
				got += " " + p.Code
			}
			if src.Target != "" {
				got += " to " + string(src.Target)
			}
		}
		if strings.TrimSpace(got) != c.want {
			t.Errorf("%s.%s has its values from %q, want %q", c.base, c.code, got, c.want)
		}
	}
}

// TestSole: dates of which a resource has one value at most.
func TestSole(t *testing.T) {
	t.Parallel()
	s := definition.R4()
	for _, c := range []struct {
		base fhir.Type
		code string
		want bool
	}{
		{"Observation", "date", true}, {"Encounter", "date", true}, {"Patient", "birthdate", true}, {"Condition", "recorded-date", true},
		{"MedicationRequest", "date", false}, {"CarePlan", "activity-date", false}, {"Composition", "period", false},
		{"Observation", "code", false}, {"Nope", "date", false},
	} {
		if got := s.Sole(c.base, s.Param(c.base, c.code)); got != c.want {
			t.Errorf("%s.%s: %v", c.base, c.code, got)
		}
	}
}
