// Package order holds values in a form whose bytes sort: what _sort compares.
package order

import (
	"bytes"
	"cmp"

	"hutong/fhir/definition"
	"hutong/fhir/search"
	"hutong/fhir/store/disk/layout"
)

// Value is a value in that form; nil where the resource has none, which comes
// last in either direction.
type Value []byte

// Of gives the bytes by which an entry sorts: dates by their
// beginning, strings by their normal form, quantities by their value as given.
func Of(e *search.Entry) Value {
	switch e.Param.Type {
	case definition.Date:
		return layout.AppendInt(nil, e.Lo)
	case definition.Number, definition.Quantity:
		return layout.AppendFloat(nil, e.Num)
	case definition.String:
		return append(Value{}, search.Normalize(e.Code)...)
	case definition.Reference:
		return append(Value{}, e.System+"/"+e.Code...)
	case definition.Token, definition.URI:
		return append(Value{}, e.Code...)
	}
	return nil
}

// Posted gives Of of the entry behind a posting; cut says
// that the posting does not hold it whole.
func Posted(p *definition.SearchParam, value []byte) (v Value, cut bool) {
	if p.Code == layout.UpdatedList {
		return bytes.Clone(value), false
	}
	switch p.Type {
	case definition.Date:
		lo, _, ok := layout.PeriodOf(value)
		return layout.AppendInt(nil, lo), !ok
	case definition.Number, definition.Quantity:
		lo, _, ok := layout.RangeOf(value)
		return layout.AppendFloat(nil, lo), !ok
	case definition.String, definition.URI:
		s, cut, _, ok := layout.CutString(value)
		return Value(s), cut || !ok
	case definition.Token:
		code, _, cut, ok := layout.TokenOf(value)
		return Value(code), cut || !ok
	}
	return nil, true
}

// Better gives that of two values by which a resource that has both is sorted: the
// smaller, or the greater if descending.
func Better(best, v Value, desc bool) Value {
	if v != nil && (best == nil || Compare(v, best, desc) < 0) {
		return v
	}
	return best
}

// Compare orders two values.
func Compare(a, b Value, desc bool) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	case desc:
		return cmp.Compare(string(b), string(a))
	}
	return cmp.Compare(string(a), string(b))
}
