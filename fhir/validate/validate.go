// Package validate holds the rules of FHIR R4: those that the published
// definitions state (names, cardinality, types, value sets, reference
// targets), the invariants that need code, and the regional profiles that a
// resource claims. It reads the tape of fhir/codec and never copies it.
package validate

import (
	"sync"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/internal/schema"
)

// Options say what a Validator knows beyond the base specification.
type Options struct {
	// Profiles are StructureDefinitions in JSON, each with its differential.
	Profiles [][]byte
	// ValueSets gives the codes of the value sets that profiles bind with
	// strength required: canonical of the value set -> permitted codings. A
	// coding without system permits the code in any system.
	ValueSets map[string][]fhir.Coding
}

// Validator checks resources. It is safe for concurrent use.
type Validator struct {
	schema   *schema.Schema
	rules    [][]rule // invariants by Type.Index
	profiles map[string]*profile
	runs     sync.Pool // of *run
}

// MaxIssues is the most that one call reports.
const MaxIssues = 100

// New compiles the rules. It fails if a profile cannot be read or names what
// R4 does not have.
func New(o Options) (*Validator, error) {
	s := schema.R4()
	v := &Validator{schema: s}
	var err error
	if v.rules, err = compileInvariants(s); err != nil {
		return nil, err
	}
	if v.profiles, err = compileProfiles(s, o); err != nil {
		return nil, err
	}
	return v, nil
}

// Resource checks the resource i of d and gives what is wrong with it, in
// document order, at most MaxIssues. path is the expression of the resource
// ("Bundle.entry[0].resource"); "" takes the resource type. No issue of
// severity error means that the resource is valid.
func (v *Validator) Resource(d *codec.Doc, i uint32, path string) []fhir.Issue {
	r, _ := v.runs.Get().(*run)
	if r == nil {
		r = new(run)
	}
	*r = run{Validator: v, d: d, base: path, path: r.path[:0]}
	r.resource(i)
	issues := r.issues
	*r = run{path: r.path}
	v.runs.Put(r)
	return issues
}

// HasErrors reports whether any issue makes the resource invalid.
func HasErrors(issues []fhir.Issue) bool {
	for _, is := range issues {
		if is.Severity == fhir.ErrorLevel || is.Severity == fhir.Fatal {
			return true
		}
	}
	return false
}
