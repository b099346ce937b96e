package search

import (
	"time"

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

	claim string // the filters of Self
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

// The modes of _total. TotalBounded is what holds where the request names none:
// exact if that costs little more than the page (Query.TotalWithin), left out
// otherwise. An estimate is answered so, too: one made from an index would count
// what the caller may not see.
const (
	TotalBounded  TotalMode = ""
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

// Options are shared by the Extractor and the Parser of one server, which must
// agree on them.
type Options struct {
	// Location gives meaning to dates without a zone. nil = UTC.
	Location *time.Location
	// Base is the server's FHIR base URL without a trailing slash: a reference
	// "Base/Patient/1" is the same as "Patient/1". "" = none.
	Base string
	// DefaultCount is the page size without _count (0 = 20); MaxCount the
	// largest one given (0 = 1000); a larger _count is lowered to it.
	DefaultCount, MaxCount int
	// Now is the clock for the ap prefix on dates. nil = time.Now.
	Now func() time.Time
	// Expander answers :in, :not-in, :below and :above on tokens. nil = these
	// are refused as not supported.
	Expander Expander
	// Units brings quantities of different units together. nil = a quantity is
	// compared only with its own unit.
	Units Units
}

// Expander gives the codes that a value set or a hierarchy holds.
type Expander interface {
	// Expand lists the codes of the value set with that canonical URL.
	Expand(valueSet string) ([]fhir.Coding, error)
	// Below lists c and everything that c subsumes.
	Below(c fhir.Coding) ([]fhir.Coding, error)
	// Above lists c and everything that subsumes c.
	Above(c fhir.Coding) ([]fhir.Coding, error)
}

// Units converts UCUM quantities into base units.
type Units interface {
	// Canonical gives value in the base units of the UCUM code unit. ok is
	// false if unit is not known.
	Canonical(unit string, value float64) (base string, v float64, ok bool)
}

func (o Options) location() *time.Location {
	if o.Location == nil {
		return time.UTC
	}
	return o.Location
}

func (o Options) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}
