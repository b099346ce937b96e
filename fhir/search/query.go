// Package search turns a FHIR search request into a Query that a store can
// run, and a resource into the Entries by which a Query finds it.
//
// A Query is data: no request, no engine. What the caller may see is part of
// it (Restriction), so that totals, pages, chains and sort orders never count
// what is not to be seen.
package search

import (
	"hutong/fhir"
	"hutong/fhir/definition"
)

// Query asks for the current resources of one type, as of a snapshot.
type Query struct {
	Type fhir.Type // "" asks across all types (system-level search, _type in Types)
	// Types narrows a system-level search; empty means all.
	Types []fhir.Type
	// Filter holds the predicates; a match satisfies every one.
	Filter []Predicate
	// Sort orders the matches. Empty means the default order: newest clinical
	// date first (lastUpdated where a type has none), ties by key.
	Sort []SortKey
	// Count is the page size; 0 asks for no matches (only a total).
	Count int
	// Bare asks for matches without their bodies.
	Bare bool
	// After continues behind the last match of an earlier page: opaque bytes
	// that the engine made (Page.Next). nil starts at the front.
	After []byte
	// Total asks for Page.Total. It is exact; with TotalWithin > 0 it is exact or
	// left out: how far an engine may count beyond what the page needs is then
	// bounded, in resources that the caller may see. At least it is exact where
	// the page holds all matches, and where the caller may see no more than
	// TotalWithin/TotalDear resources of the types asked for. What he may not see
	// has no part in whether it is left out.
	Total       bool
	TotalWithin int
	// Restriction is what the caller may see. The zero value sees nothing.
	Restriction Restriction
}

// TotalWithin is the bound on a total that nobody asked for; TotalDear is what a
// resource counts for whose body, or what refers to it, must be looked at.
const (
	TotalWithin = 256
	TotalDear   = 16
)

// Budget is what an engine may spend on a total beyond the page: see
// Query.TotalWithin. A nil Budget bounds nothing. It is not safe for concurrent use.
type Budget struct {
	left   int
	beyond bool
	over   bool
}

// NewBudget is that of q; nil if its total is exact, or none.
func NewBudget(q *Query) *Budget {
	if !q.Total || q.TotalWithin <= 0 {
		return nil
	}
	return &Budget{left: q.TotalWithin, beyond: q.Count == 0}
}

// Beyond notes that the page needs no more: all that follows is for the total.
func (b *Budget) Beyond() {
	if b != nil {
		b.beyond = true
	}
}

// Spends reports whether what follows is paid for.
func (b *Budget) Spends() bool { return b != nil && b.beyond }

// Take pays for a resource that the caller may see; false means that the total
// is given up.
func (b *Budget) Take(cost int) bool {
	if b.Spends() {
		b.left -= cost
		b.over = b.over || b.left < 0
	}
	return !b.Over()
}

// Over reports whether the total was given up.
func (b *Budget) Over() bool { return b != nil && b.over }

// Predicate is one parameter of a query: its values are alternatives (OR).
type Predicate struct {
	Param    *definition.SearchParam
	Modifier Modifier
	Values   []Value // empty only when Chain or Has is set
	// Sole tells that a resource has at most one value of Param: what several
	// predicates on it ask, they ask of the same value.
	Sole bool
	// Orders tells that Param is a Sole date by which the default order goes: a
	// value's beginning is the clinical date of its resource (Facts.Clinical).
	Orders bool
	// Chain is set for subject:Patient.name=x: the reference must point to a
	// match of one of these queries (one a target type, alternatives).
	Chain []*Query
	// Has is set for _has:Observation:patient:code=x: some match of Has must
	// point here by its reference parameter HasParam. Param is nil then.
	Has      *Query
	HasParam *definition.SearchParam
}

// Modifier is the suffix of a parameter: name:exact.
type Modifier string

// The modifiers of R4. :[type] is resolved into Value.Ref by the parser.
const (
	NoModifier   Modifier = ""
	Missing      Modifier = "missing"
	Exact        Modifier = "exact"
	Contains     Modifier = "contains"
	Text         Modifier = "text"
	Not          Modifier = "not"
	Above        Modifier = "above"
	Below        Modifier = "below"
	In           Modifier = "in"
	NotIn        Modifier = "not-in"
	OfType       Modifier = "of-type"
	IdentifierOf Modifier = "identifier"
)

// Prefix is the comparison of a date, number or quantity value.
type Prefix string

// The prefixes of R4.
const (
	Eq Prefix = "eq"
	Ne Prefix = "ne"
	Gt Prefix = "gt"
	Lt Prefix = "lt"
	Ge Prefix = "ge"
	Le Prefix = "le"
	Sa Prefix = "sa"
	Eb Prefix = "eb"
	Ap Prefix = "ap"
)

// Value is one alternative of a predicate. Which fields count follows from the
// parameter's type.
type Value struct {
	Prefix Prefix // date, number, quantity; Eq otherwise

	// token and quantity: System is meaningful if HasSystem ("|code" asks for
	// an absent system: HasSystem with System ""); AnyCode for "system|".
	System    string
	HasSystem bool
	AnyCode   bool
	Code      string // token code, quantity unit or code, uri, string, or reference id / absolute URL

	// reference: RefType is "" if the request left it open (patient=123).
	// Version is set if the request named one: Patient/1/_history/2, or
	// url|version of a canonical reference or uri.
	RefType fhir.Type
	Version string

	Lo, Hi  int64   // date: [Lo,Hi) in microseconds since 1970
	Num     float64 // number, quantity: the value as given
	NumLo   float64 // implicit precision range [NumLo,NumHi)
	NumHi   float64
	Missing bool // for :missing
	OfType  fhir.Coding
	Parts   []Value // composite: one a component
	Canon   *Canon  // quantity: the value in the canonical unit, if UCUM gives one
}

// Canon is a quantity in canonical UCUM base units, for comparison across units.
type Canon struct {
	Unit              string
	Num, NumLo, NumHi float64
}

// SortKey is one _sort criterion.
type SortKey struct {
	Param *definition.SearchParam // of type date, string, token, number, quantity, reference or uri; _id and _lastUpdated too
	Desc  bool
	// Orders is that of Predicate.
	Orders bool
}

// Entry is one indexed value of a resource: what a Predicate is held against.
// Which fields count follows from Param.Type:
//
//	token      System, Code, Text (display or text, for :text); an Identifier also gives OfType
//	string     Code = the value as written (Normalize it for comparison)
//	uri        Code
//	reference  System = resource type, Code = id for a reference to this server;
//	           System "" and Code = the URL otherwise; Version if given;
//	           Ident for a logical reference
//	date       Lo, Hi: [Lo,Hi) in microseconds since 1970; open ends are MinDate, MaxDate
//	number     Num, NumHi (equal for a point; a Range has both; open ends ±Inf)
//	quantity   as number, with System and Code of the unit, Text = unit as displayed, Canon
//	composite  Parts, one a component
type Entry struct {
	Param   *definition.SearchParam
	System  string
	Code    string
	Text    string
	Version string
	Lo, Hi  int64
	Num     float64
	NumHi   float64
	Ident   *Ident
	OfType  *Ident
	Canon   *Canon
	Parts   []Entry
	// Derived marks a value that the server made, such as the pinyin of a name
	// written in han: it never answers :exact.
	Derived bool
}

// Ident is an identifier's system and value, with its type for :of-type.
type Ident struct{ System, Value, TypeSystem, TypeCode string }

// Open ends of a period.
const (
	MinDate = -1 << 62
	MaxDate = 1 << 62
)
