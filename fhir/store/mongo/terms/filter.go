package terms

import (
	"regexp"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
)

// The fields of a document that conditions name.
const (
	TokenField = "tok"
	RangeField = "r"
)

// Condition says what the documents of a predicate's matches have in common.
type Condition struct {
	// Filter holds for every match; nil says nothing.
	Filter bson.D
	// Exact: Filter holds for the matches alone.
	Exact bool
	// Driving: an index finds Filter's documents; a negation narrows, but finds
	// nothing by itself.
	Driving bool
}

// Of a predicate on entries: not a chain, not _has, not _id or _lastUpdated.
func Compile(p *search.Predicate) Condition {
	switch {
	case p.Param.Type == definition.Special || len(p.Values) == 0:
		return Condition{}
	case p.Modifier == search.Missing:
		return missing(p)
	case p.Modifier == search.Not || p.Modifier == search.NotIn:
		positive := *p
		positive.Modifier = search.NoModifier
		c := Compile(&positive)
		if !c.Exact || c.Filter == nil {
			return Condition{}
		}
		return Condition{Filter: bson.D{{Key: "$nor", Value: bson.A{c.Filter}}}, Exact: true}
	case p.Param.Type == definition.Composite:
		return composite(p)
	}
	return alternatives(p, p.Param.Code)
}

func missing(p *search.Predicate) Condition {
	has := tokenIn(p.Param.Code + present)
	if p.Values[0].Missing {
		return Condition{Filter: bson.D{{Key: "$nor", Value: bson.A{has}}}, Exact: true}
	}
	return Condition{Filter: has, Exact: true, Driving: true}
}

// composite looks for the first component.
func composite(p *search.Predicate) Condition {
	some := Condition{Filter: tokenIn(p.Param.Code + present), Driving: true}
	if p.Modifier != search.NoModifier || len(p.Param.Components) == 0 {
		return some
	}
	first := search.Predicate{Param: p.Param.Components[0].Param}
	for _, v := range p.Values {
		if len(v.Parts) == 0 {
			return some
		}
		first.Values = append(first.Values, v.Parts[0])
	}
	switch first.Param.Type {
	case definition.Token, definition.Reference, definition.String, definition.URI:
		c := alternatives(&first, p.Param.Code)
		c.Exact = false
		return c
	}
	return some
}

// Pair gives the condition of a patient and one of the paired parameters
// together; ok is false where that is not indexed.
func Pair(patient, other *search.Predicate) (c Condition, ok bool) {
	if !plain(patient) || patient.Param.Code != "patient" || !plain(other) || !slices.Contains(paired[:], other.Param.Code) {
		return c, false
	}
	w := writer{exact: true}
	for i := range patient.Values {
		v := &patient.Values[i]
		if v.RefType != "" && v.RefType != "Patient" || !fhir.ValidID(v.Code) || v.Version != "" {
			return c, false
		}
		for j := range other.Values {
			w.code(pairCode(other.Param.Code, v.Code), &other.Values[j])
		}
	}
	c = w.condition()
	return c, c.Exact
}

func plain(p *search.Predicate) bool {
	return p.Param != nil && p.Modifier == search.NoModifier && p.Chain == nil && p.Has == nil && len(p.Values) > 0
}

// alternatives gives the condition of a positive predicate under a code.
func alternatives(p *search.Predicate, code string) Condition {
	w := writer{exact: true}
	for i := range p.Values {
		if !w.value(p, &p.Values[i], code) {
			return Condition{Filter: tokenIn(code + present), Driving: true}
		}
	}
	return w.condition()
}

// writer collects the alternatives of a predicate.
type writer struct {
	tokens []string
	others bson.A // conditions beside the tokens
	exact  bool
}

func (w *writer) condition() Condition {
	c := Condition{Exact: w.exact, Driving: true}
	switch {
	case len(w.others) == 0:
		c.Filter = tokenIn(w.tokens...)
	case len(w.others) == 1 && len(w.tokens) == 0:
		c.Filter = w.others[0].(bson.D)
	default:
		if len(w.tokens) > 0 {
			w.others = append(w.others, tokenIn(w.tokens...))
		}
		c.Filter = bson.D{{Key: "$or", Value: w.others}}
	}
	return c
}

// tokenIn holds for documents with one of these tokens; with none of none.
func tokenIn(tokens ...string) bson.D {
	if len(tokens) == 1 {
		return bson.D{{Key: TokenField, Value: tokens[0]}}
	}
	if tokens == nil {
		tokens = []string{}
	}
	return bson.D{{Key: TokenField, Value: bson.D{{Key: "$in", Value: tokens}}}}
}

// value adds one alternative; false if only the parameter's presence is known
// of its matches.
func (w *writer) value(p *search.Predicate, v *search.Value, code string) bool {
	switch p.Param.Type {
	case definition.Token:
		return w.token(p.Modifier, v, code)
	case definition.Reference:
		return w.reference(p.Modifier, v, code)
	case definition.String:
		return w.text(p.Modifier, v, code)
	case definition.URI:
		return w.uri(p.Modifier, v, code)
	case definition.Date:
		return p.Modifier == search.NoModifier && ranged(p.Param) && w.date(v, code)
	case definition.Number, definition.Quantity:
		return p.Modifier == search.NoModifier && ranged(p.Param) && w.number(p.Param.Type, v, code)
	}
	return false
}

func (w *writer) post(token string) {
	t, short := cut(token)
	w.exact = w.exact && !short
	w.tokens = append(w.tokens, t)
}

func (w *writer) token(m search.Modifier, v *search.Value, code string) bool {
	switch m {
	case search.NoModifier:
		return w.code(code, v)
	case search.OfType:
		w.exact = false
		w.post(code + ofType + search.FoldCode(v.Code))
		return true
	}
	return false
}

func (w *writer) code(code string, v *search.Value) bool {
	switch {
	case v.AnyCode:
		return w.prefix(code + whole + systemPart(v.System))
	case v.Code == "": // nothing matches an empty code
	case v.HasSystem:
		w.post(code + whole + systemPart(v.System) + codeKey(v.System, v.Code))
	default:
		w.post(code + loose + search.FoldCode(v.Code))
		w.post(code + cased + v.Code)
	}
	return true
}

func (w *writer) reference(m search.Modifier, v *search.Value, code string) bool {
	switch {
	case m == search.IdentifierOf && !v.AnyCode:
		w.exact = false
		w.post(code + ident + search.FoldCode(v.Code))
	case m != search.NoModifier:
		return false
	case v.RefType != "":
		w.post(code + whole + string(v.RefType) + "/" + v.Code)
	default:
		w.post(code + loose + v.Code)
	}
	w.exact = w.exact && v.Version == "" && v.Code != ""
	return true
}

func (w *writer) text(m search.Modifier, v *search.Value, code string) bool {
	norm := search.Normalize(v.Code)
	switch m {
	case search.NoModifier:
		return w.prefix(code + whole + norm)
	case search.Exact:
		w.exact = false
		w.post(code + whole + norm)
		return true
	case search.Contains:
		w.exact = false
		return w.regex("^"+regexp.QuoteMeta(code+whole)+".*"+regexp.QuoteMeta(norm)) && w.andLong(code)
	}
	return false
}

// andLong adds the documents whose strings are longer than their tokens.
func (w *writer) andLong(code string) bool {
	w.tokens = append(w.tokens, code+long)
	return true
}

func (w *writer) uri(m search.Modifier, v *search.Value, code string) bool {
	switch m {
	case search.NoModifier:
		w.exact = w.exact && v.Version == ""
		w.post(code + whole + v.Code)
		return true
	case search.Below:
		return w.prefix(code + whole + v.Code)
	}
	return false
}

// prefix adds the tokens that begin so.
func (w *writer) prefix(s string) bool {
	s, short := cut(s)
	w.exact = w.exact && !short
	return w.regex("^" + regexp.QuoteMeta(s))
}

// regex adds the tokens that match an anchored pattern; no server takes a NUL
// in one.
func (w *writer) regex(pattern string) bool {
	if strings.ContainsRune(pattern, 0) {
		return false
	}
	w.others = append(w.others, bson.D{{Key: TokenField, Value: bson.D{{Key: "$regex", Value: pattern}}}})
	return true
}

// bounds adds documents whose range, under the keys lo and hi of the code,
// reaches from or above and to or below; nil is open.
func (w *writer) bounds(code, lo, hi string, from, to any) bson.D {
	var d bson.D
	if to != nil {
		d = append(d, bson.E{Key: RangeField + "." + code + "." + lo, Value: to})
	}
	if from != nil {
		d = append(d, bson.E{Key: RangeField + "." + code + "." + hi, Value: from})
	}
	return d
}

func op(name string, v any) bson.D { return bson.D{{Key: name, Value: v}} }

// date: the span of a resource's periods touches what the prefix asks for. Gt
// and Lt look at the span's ends alone, and are exact.
func (w *writer) date(v *search.Value, code string) bool {
	var from, to any
	switch v.Prefix {
	case search.Gt:
		from = op("$gt", v.Hi)
	case search.Lt:
		to = op("$lt", v.Lo)
	case search.Ge:
		from, w.exact = op("$gte", v.Lo), false
	case search.Le:
		to, w.exact = op("$lte", v.Hi), false
	case search.Sa:
		from, w.exact = op("$gte", v.Hi), false
	case search.Eb:
		to, w.exact = op("$lte", v.Lo), false
	case search.Ne:
		return false
	default:
		from, to, w.exact = op("$gte", v.Lo), op("$lte", v.Hi), false
	}
	w.others = append(w.others, w.bounds(code, "lo", "hi", from, to))
	return true
}

func (w *writer) number(t definition.ParamType, v *search.Value, code string) bool {
	from, to, exact, ok := numberBounds(v.Prefix, v.Num, v.NumLo, v.NumHi)
	if !ok {
		return false
	}
	w.exact = w.exact && exact && t == definition.Number
	w.others = append(w.others, w.bounds(code, "lo", "hi", from, to))
	if v.Canon != nil {
		from, to, _, _ := numberBounds(v.Prefix, v.Canon.Num, v.Canon.NumLo, v.Canon.NumHi)
		w.others = append(w.others, w.bounds(code, "clo", "chi", from, to))
	}
	return true
}

// numberBounds gives the bounds that a span must reach for a value in it to
// satisfy the prefix.
func numberBounds(p search.Prefix, exactly, lo, hi float64) (from, to any, exact, ok bool) {
	switch p {
	case search.Gt:
		return op("$gt", exactly), nil, true, true
	case search.Ge:
		return op("$gte", exactly), nil, true, true
	case search.Lt:
		return nil, op("$lt", exactly), true, true
	case search.Le:
		return nil, op("$lte", exactly), true, true
	case search.Sa:
		return op("$gt", exactly), nil, false, true
	case search.Eb:
		return nil, op("$lt", exactly), false, true
	case search.Ne:
		return nil, nil, false, false
	}
	return op("$gte", min(exactly, lo)), op("$lte", max(exactly, hi)), false, true
}

// PointsTo is the condition of resources whose reference parameter points to
// one of the keys.
func PointsTo(p *definition.SearchParam, keys []fhir.Key) Condition {
	w := writer{exact: true}
	for _, k := range keys {
		w.post(p.Code + whole + string(k.Type) + "/" + k.ID)
	}
	return w.condition()
}
