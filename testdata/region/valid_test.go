package region_test

import (
	"testing"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/validate"
	"hutong/profiles"
	"hutong/testdata/region"
)

// Every resource holds the rules of base R4 and of the regional profile that
// it claims.
func TestResourcesAreValid(t *testing.T) {
	t.Parallel()
	v, err := validate.New(validate.Options{Profiles: profiles.StructureDefinitions()})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for p := range region.Generate(region.Options{People: 120, Seed: 11}) {
		d, err := codec.Parse(p.Bundle, codec.DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		for _, is := range v.Resource(d, 0, "") {
			if is.Severity == fhir.ErrorLevel || is.Severity == fhir.Fatal {
				t.Errorf("person %d at %s: %s: %s", p.Person, p.Org, is.Expression, is.Text)
				if n++; n > 20 {
					t.FailNow()
				}
			}
		}
	}
}
