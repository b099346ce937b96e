package search

import (
	"hutong/fhir"
	"hutong/fhir/definition"
)

// Request is a search request as the client wrote it, understood: the Query
// for the store and what the interaction layer does around it.
type Request struct {
	Query       Query // Restriction is left zero: the interaction layer sets it
	Includes    []Include
	RevIncludes []Include
	Total       TotalMode
	Summary     SummaryMode
	Elements    []string // _elements: top-level element names; nil = all
	Page        string   // _page: the server's own opaque token, "" = first page
	// Self is the query string with only the parameters that were used, in
	// canonical order, without _page: for Bundle.link[self].
	Self   string
	Issues []fhir.Issue // warnings: parameters ignored under lenient handling
}

// Include is one _include (Source's reference Param of a match is followed to
// its target) or _revinclude (resources of type Source whose Param points to a
// match are added).
type Include struct {
	Source  fhir.Type               // type that holds the reference
	Param   *definition.SearchParam // nil for *: every reference parameter of Source
	Target  fhir.Type               // "" = any
	Iterate bool                    // apply to included resources too
}

// TotalMode is _total.
type TotalMode string

// The modes of _total. Estimates are answered exactly.
const (
	TotalAccurate TotalMode = "accurate"
	TotalEstimate TotalMode = "estimate"
	TotalNone     TotalMode = "none"
)

// SummaryMode is _summary.
type SummaryMode string

// The modes of _summary; SummaryFalse is the default.
const (
	SummaryFalse SummaryMode = "false"
	SummaryTrue  SummaryMode = "true"
	SummaryText  SummaryMode = "text"
	SummaryData  SummaryMode = "data"
	SummaryCount SummaryMode = "count"
)
