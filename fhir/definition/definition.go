// Package definition gives the compiled R4 definitions: search parameters,
// compartments, element tables. The tables are generated (see gen) from the
// definitions embedded in hutong/profiles; a test proves them current.
package definition

import "hutong/fhir"

// ParamType is the type of a search parameter.
type ParamType uint8

// The parameter types of R4.
const (
	Number ParamType = iota + 1
	Date
	String
	Token
	Reference
	Composite
	Quantity
	URI
	Special
)

// SearchParam is one search parameter, bound to the types it searches.
type SearchParam struct {
	Code       string // name in the URL: "birthdate"
	URL        string // canonical
	Type       ParamType
	Bases      []fhir.Type // {"Resource"} for _id, _lastUpdated, _tag, _profile, _security, _source
	Expression string      // FHIRPath, as published
	Targets    []fhir.Type // reference: permitted targets, empty = any
	Components []Component // composite
}

// Component is one part of a composite parameter.
type Component struct {
	Param      *SearchParam // the parameter whose type and code it takes
	Expression string       // relative to each node that the composite's own expression selects
}
