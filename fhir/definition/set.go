package definition

import (
	"hutong/fhir"
)

// Set is the definitions in force: immutable, safe for concurrent use, built
// once by R4 and passed down.
type Set struct {
	types        []fhir.Type
	byType       map[fhir.Type]*typeDef
	byURL        map[string]*SearchParam
	elements     map[string]*Structure
	compartments map[string]map[fhir.Type][]string
}

type typeDef struct {
	params  []*SearchParam // by code
	byCode  map[string]*SearchParam
	sole    map[*SearchParam]bool    // see Sole
	sources map[*SearchParam]*Source // see Source
}

// Param gives the search parameter of that code for resources of type t, the
// parameters of Resource and DomainResource included; nil if there is none.
// For t == "" only the parameters that every type has.
func (s *Set) Param(t fhir.Type, code string) *SearchParam {
	if d := s.byType[t]; d != nil {
		return d.byCode[code]
	}
	return nil
}

// Params lists the search parameters of t by code, those of Resource and
// DomainResource included. Callers do not write to the slice.
func (s *Set) Params(t fhir.Type) []*SearchParam {
	if d := s.byType[t]; d != nil {
		return d.params
	}
	return nil
}

// ParamByURL gives the search parameter with that canonical; nil if none.
func (s *Set) ParamByURL(url string) *SearchParam { return s.byURL[url] }

// Types lists the 146 concrete resource types, sorted. Callers do not write
// to the slice.
func (s *Set) Types() []fhir.Type { return s.types }

// IsType reports whether t is a concrete R4 resource type.
func (s *Set) IsType(t fhir.Type) bool { return t != "" && s.byType[t] != nil }

// Compartment lists the codes of the reference parameters that put a resource
// of type t into the compartment of that name ("Patient", "Practitioner",
// "Encounter", "Device", "RelatedPerson"); nil if t is never in it. The focus
// itself (Patient/1 of its own compartment) is not among them.
func (s *Set) Compartment(name string, t fhir.Type) []string { return s.compartments[name][t] }

// Structure gives the elements of a resource, data type or backbone element
// by its path: "Patient", "Patient.contact", "HumanName"; nil if unknown.
func (s *Set) Structure(path string) *Structure { return s.elements[path] }
