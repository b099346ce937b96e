package consent_test

import (
	"testing"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/gateway/principal"
)

// BenchmarkRestrict is one decision: gathered from the store and compiled.
func BenchmarkRestrict(b *testing.B) {
	w := newWorld(b)
	about := []fhir.Key{{Type: "Patient", ID: "muni-1"}, {Type: "Patient", ID: "dist-1"}}
	for name, c := range map[string]struct {
		who   principal.Principal
		about []fhir.Key
	}{"clinician": {drZhou, about}, "clinician, nobody named": {drZhou, nil}, "resident": {resident, about}, "his": {his("muni"), nil}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				caller, err := w.policy.Caller(&c.who, "")
				must(b, err)
				_, err = caller.Restrict(b.Context(), interact.Op{Interaction: "search-type", Type: "Observation"}, c.about)
				must(b, err)
			}
		})
	}
}
