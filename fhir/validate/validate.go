// Package validate holds the rules of FHIR R4: those that the published
// definitions state (names, cardinality, types, value sets, reference
// targets), the invariants that need code, and the regional profiles that a
// resource claims. It reads the tape of fhir/codec and never copies it.
package validate

import (
	"hutong/fhir"
	"hutong/fhir/codec"
)

// Options say what a Validator knows beyond the base specification.
type Options struct {
	// Profiles are StructureDefinitions in JSON, each with its differential.
	Profiles [][]byte
	// ValueSets gives the codes of the value sets that profiles bind with
	// strength required: value set canonical -> permitted codings.
	ValueSets map[string][]fhir.Coding
}

// Validator checks resources. It is immutable and safe for concurrent use.
type Validator struct{}

// MaxIssues is the most that one call reports.
const MaxIssues = 100

// New compiles the rules. It fails if a profile cannot be read.
func New(o Options) (*Validator, error) { return &Validator{}, nil }

// Resource checks the resource i of d and gives what is wrong with it, in
// document order, at most MaxIssues. path is the expression of the resource
// ("Bundle.entry[0].resource"); "" takes the resource type. No issue of
// severity error or fatal means that the resource is valid.
func (v *Validator) Resource(d *codec.Doc, i uint32, path string) []fhir.Issue { return nil }
