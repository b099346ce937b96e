package schema_test

import (
	"slices"
	"testing"

	"hutong/fhir/internal/schema"
)

// TestPatient pins what the descriptors say of well-known elements.
func TestPatient(t *testing.T) {
	t.Parallel()
	s := schema.R4()
	if n := len(s.Resources); n != 146 {
		t.Errorf("%d resource types, R4 has 146 concrete ones", n)
	}
	patient := s.Resources["Patient"]
	if f := patient.Fields["gender"]; f == nil || f.List || len(f.Type.Codes) != 4 {
		t.Errorf("gender is %+v", f)
	}
	if f := patient.Fields["deceasedDateTime"]; f == nil || f.Element != "deceased" || f.Group != patient.Fields["deceasedBoolean"].Group {
		t.Errorf("deceasedDateTime is %+v", f)
	}
	if f := patient.Fields["generalPractitioner"]; f == nil || !f.List || f.Type.Ref == nil || !slices.Contains(f.Targets, "PractitionerRole") {
		t.Errorf("generalPractitioner is %+v", f)
	}
	if link := s.Types["Patient.Link"]; link == nil || !link.Groups[link.Fields["type"].Group].Required {
		t.Error("Patient.link.type is not required")
	}
	for name, typ := range s.Types {
		if len(typ.Groups) > 64 {
			t.Errorf("%s has %d elements: more than the bits of a set", name, len(typ.Groups))
		}
	}
}
