package search

import (
	"hutong/fhir"
	"hutong/fhir/definition"
)

// Parser turns query strings into Requests. It is immutable and safe for
// concurrent use.
type Parser struct {
	defs *definition.Set
	o    Options
}

// NewParser makes the parser that belongs to the Extractor of the same defs
// and options.
func NewParser(defs *definition.Set, o Options) *Parser { return &Parser{defs: defs, o: o} }

// Parse reads the query string (without '?') of a search on t; "" is a search
// across all types. Unknown parameters are errors of kind NotSupported, bad
// values of kind Invalid; each names the parameter.
func (p *Parser) Parse(t fhir.Type, rawQuery string) (*Request, error) { return nil, nil }

// ParseLenient is Parse under "Prefer: handling=lenient": parameters that are
// not known become warnings in Request.Issues and are left out of Self.
func (p *Parser) ParseLenient(t fhir.Type, rawQuery string) (*Request, error) { return nil, nil }

// ParseCriteria reads the criteria of a conditional interaction: filters only
// (no paging, sorting or including), at least one.
func (p *Parser) ParseCriteria(t fhir.Type, rawQuery string) (*Request, error) { return nil, nil }

// Claim is the canonical form of the request's criteria, for store.Guard:
// equal criteria have equal claims, whatever the order they were written in.
func (r *Request) Claim() string { return string(r.Query.Type) + "?" + r.Self }
