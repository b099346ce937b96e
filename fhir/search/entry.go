package search

import "hutong/fhir/definition"

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
