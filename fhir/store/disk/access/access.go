// Package access compiles predicates to the ranges of posting lists in which their
// matches stand.
package access

import (
	"encoding/binary"
	"strings"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
	"hutong/fhir/store/disk/layout"
	"hutong/fhir/store/disk/stream"
)

// An Access says where the postings of a predicate's matches are. A predicate
// without one is verified on each candidate.
type Access struct {
	Name   string // for Explain
	Ranges []Range
	// Exact: whoever stands in the ranges matches. Otherwise the ranges hold
	// every match and the candidates are verified.
	Exact bool
	// Negate: the matches are those that do not stand in the ranges.
	Negate bool
	// Distinct: no two postings in the ranges have one place.
	Distinct bool
	// Ordered: of such, those of a date by which the default order goes.
	Ordered bool
	Places  []stream.Spot // found beforehand, sorted; instead of ranges
	Listed  bool          // Places counts, even if empty
}

// Range is a range of one posting list: list and value from Lo to Hi.
type Range struct {
	Lo, Hi []byte
	// Points: the range holds few values, each a list in order; otherwise it
	// is read whole and sorted.
	Points bool
	Fixed  bool     // the range holds the one value Lo
	Lists  [][]byte // its lists and values, once they were looked up
	// Match decides on the value behind the list; nil takes all.
	Match func(value []byte) bool
}

// Names are the interned numbers of names.
type Names interface {
	Find(name string) (id uint32, err error) // 0 if there is none
	Name(id uint32) (string, error)
}

// Planner compiles predicates on one type.
type Planner struct {
	Names Names
	Defs  *definition.Set // whose Source has no postings
	Type  fhir.Type
}

// Of gives the list in which the values of a reference parameter stand.
func (p *Planner) Of(param *definition.SearchParam) (list []byte, ok bool, err error) {
	if src := p.Defs.Source(p.Type, param); src != nil {
		param = src.Params[0]
	}
	return p.List(param.Code)
}

// Paired reports whether pairs are made of the patients that param refers to:
// by `patient`, or by what that has its values from.
func (p *Planner) Paired(param *definition.SearchParam) bool {
	if param.Code == layout.PairPatient {
		return true
	}
	src := p.Defs.Source(p.Type, p.Defs.Param(p.Type, layout.PairPatient))
	return src != nil && src.Params[0] == param
}

// List gives the four bytes of a posting list; ok is false if nothing was ever
// posted to it.
func (p *Planner) List(param string) (list []byte, ok bool, err error) {
	id, err := p.Names.Find(layout.ListName(p.Type, param))
	return binary.BigEndian.AppendUint32(make([]byte, 0, 32), id), id != 0, err
}

// Compile gives the access of a predicate, nil if no posting helps.
func (p *Planner) Compile(pred *search.Predicate) (*Access, error) {
	switch pred.Param.Type {
	case definition.Special:
		return nil, nil
	case definition.Composite:
		return p.composite(pred)
	}
	switch pred.Modifier {
	case search.NoModifier, search.Exact, search.Contains, search.Below, search.OfType, search.IdentifierOf:
		return p.positive(pred, pred.Param)
	case search.Not:
		pos := *pred
		pos.Modifier = search.NoModifier
		a, err := p.positive(&pos, pred.Param)
		if a == nil || err != nil || !a.Exact {
			return nil, err
		}
		a.Negate = true
		return a, nil
	case search.Missing:
		return p.missing(pred)
	}
	return nil, nil
}

func (p *Planner) missing(pred *search.Predicate) (*Access, error) {
	if len(pred.Values) != 1 {
		return nil, nil
	}
	a := &Access{Name: pred.Param.Code + ":missing", Exact: true, Negate: pred.Values[0].Missing}
	if src := p.Defs.Source(p.Type, pred.Param); src != nil && (src.Target != "" || pred.Param.Type == definition.Composite) {
		return nil, nil // who stands there need not have it
	}
	var err error
	a.Ranges, err = p.Whole(pred.Param)
	return a, err
}

// Whole gives the ranges in which all values of a parameter stand; of references to
// one type, others may stand there, too.
func (p *Planner) Whole(param *definition.SearchParam) (all []Range, err error) {
	in := []*definition.SearchParam{param}
	if src := p.Defs.Source(p.Type, param); src != nil {
		in = src.Params
	}
	for _, q := range in {
		list, ok, err := p.List(q.Code)
		if err != nil {
			return nil, err
		}
		if ok {
			all = append(all, prefixRange(list, false, nil))
		}
	}
	return all, nil
}

func prefixRange(prefix []byte, points bool, match func([]byte) bool) Range {
	return Range{Lo: prefix, Hi: layout.After(prefix), Points: points, Match: match}
}

// composite looks for the first component: the postings are of that alone.
func (p *Planner) composite(pred *search.Predicate) (*Access, error) {
	if pred.Modifier != search.NoModifier || len(pred.Param.Components) == 0 {
		return nil, nil
	}
	first := search.Predicate{Param: pred.Param.Components[0].Param}
	for _, v := range pred.Values {
		if len(v.Parts) == 0 {
			return nil, nil
		}
		first.Values = append(first.Values, v.Parts[0])
	}
	if t := first.Param.Type; t == definition.Special || t == definition.Composite {
		return nil, nil
	}
	a, err := p.positive(&first, pred.Param)
	if a != nil {
		a.Exact = false
	}
	return a, err
}

// positive gives the ranges of all values of a predicate, in the lists of param
// or of its source.
func (p *Planner) positive(pred *search.Predicate, param *definition.SearchParam) (*Access, error) {
	a := &Access{Name: param.Code, Exact: true, Distinct: OneDate(pred), Ordered: OneDate(pred) && pred.Orders}
	src := p.Defs.Source(p.Type, param)
	if src == nil {
		known, err := p.values(a, pred, param.Code, "")
		if !known || err != nil {
			return nil, err
		}
		return a, nil
	}
	for _, q := range src.Params {
		a.Name += " in " + q.Code
		if known, err := p.values(a, pred, q.Code, src.Target); !known || err != nil {
			return nil, err
		}
	}
	return a, nil
}

// values adds the ranges of all values in the lists of code; of references there,
// only those to target are meant.
func (p *Planner) values(a *Access, pred *search.Predicate, code string, target fhir.Type) (known bool, err error) {
	main := code
	if pred.Modifier == search.IdentifierOf {
		main += layout.IdentList
	}
	list, ok, err := p.List(main)
	if !ok || err != nil {
		return true, err // nothing was posted: nothing matches
	}
	for i := range pred.Values {
		v := pred.Values[i]
		if target != "" && v.RefType == "" && fhir.ValidID(v.Code) {
			v.RefType = target
		}
		rs, exact, known := p.valueRanges(pred, &v, list)
		if !known {
			return false, nil
		}
		a.Ranges = append(a.Ranges, rs...)
		a.Exact = a.Exact && exact && (target == "" || v.RefType == target)
		if v.Canon != nil && pred.Param.Type == definition.Quantity {
			canon, ok, err := p.List(code + layout.CanonList)
			if err != nil {
				return false, err
			}
			if ok {
				a.Ranges = append(a.Ranges, canonRange(canon, &v))
			}
		}
	}
	return true, nil
}

// valueRanges gives the ranges of one value. known is false if no range is
// sure to hold every match.
func (p *Planner) valueRanges(pred *search.Predicate, v *search.Value, list []byte) (rs []Range, exact, known bool) {
	one := *pred
	one.Values = []search.Value{*v}
	switch pred.Param.Type {
	case definition.Token, definition.Reference:
		return p.tokenRanges(&one, list)
	case definition.String:
		return stringRanges(&one, list)
	case definition.URI:
		return uriRanges(&one, list)
	case definition.Date:
		return dateRanges(&one, list), true, true
	case definition.Number, definition.Quantity:
		exact = pred.Param.Type == definition.Number || v.Code == "" && v.System == "" && v.Canon == nil
		return numberRanges(&one, list, exact), exact, true
	}
	return nil, false, false
}

// tokenRanges serves tokens and references: codes that are equal but for case
// stand together, Matches tells which of them match.
func (p *Planner) tokenRanges(pred *search.Predicate, list []byte) (rs []Range, exact, known bool) {
	v := &pred.Values[0]
	exact = pred.Modifier == search.NoModifier && len(v.Code) <= layout.MaxString && v.Version == ""
	var match func([]byte) bool
	if exact {
		match = func(value []byte) bool { return p.matchToken(pred, value) }
	}
	if v.AnyCode {
		return []Range{prefixRange(list, false, match)}, exact, pred.Modifier == search.NoModifier
	}
	prefix := layout.AppendCut(list[:len(list):len(list)], search.FoldCode(v.Code))
	return []Range{prefixRange(prefix, true, match)}, exact, true
}

func (p *Planner) matchToken(pred *search.Predicate, value []byte) bool {
	code, system, cut, ok := layout.TokenOf(value)
	if !ok || cut {
		return ok && cut && pred.Values[0].AnyCode // only then a cut code can stand in an exact range
	}
	e := search.Entry{Param: pred.Param, Code: code}
	if system != 0 {
		name, err := p.Names.Name(system)
		if err != nil || name == "" {
			return false
		}
		e.System = name[1:]
	}
	return search.MatchesEntry(pred, &e)
}

func stringRanges(pred *search.Predicate, list []byte) (rs []Range, exact, known bool) {
	norm := search.Normalize(pred.Values[0].Code)
	list = list[:len(list):len(list)]
	switch pred.Modifier {
	case search.Exact:
		return []Range{prefixRange(layout.AppendCut(list, norm), true, nil)}, false, true
	case search.Contains:
		match := func(value []byte) bool {
			s, cut, _, ok := layout.CutString(value)
			return ok && (cut || strings.Contains(s, norm))
		}
		return []Range{prefixRange(list, false, match)}, false, true
	case search.NoModifier:
		exact = len(norm) <= layout.MaxString
		prefix := layout.AppendOpen(list, norm[:min(len(norm), layout.MaxString)])
		return []Range{prefixRange(prefix, false, nil)}, exact, true
	}
	return nil, false, false
}

func uriRanges(pred *search.Predicate, list []byte) (rs []Range, exact, known bool) {
	v := &pred.Values[0]
	list = list[:len(list):len(list)]
	switch pred.Modifier {
	case search.Below:
		prefix := layout.AppendOpen(list, v.Code[:min(len(v.Code), layout.MaxString)])
		return []Range{prefixRange(prefix, false, nil)}, len(v.Code) <= layout.MaxString, true
	case search.NoModifier:
		exact = v.Version == "" && len(v.Code) <= layout.MaxString
		return []Range{prefixRange(layout.AppendCut(list, v.Code), true, nil)}, exact, true
	}
	return nil, false, false
}

// Homes gives the access to what lies in the compartments of patients. Whoever
// asks holds the restriction against it anyway: it is not exact.
func (p *Planner) Homes(patients []fhir.Key) (*Access, error) {
	a := &Access{Name: "compartment"}
	list, ok, err := p.List(layout.HomeList)
	if !ok || err != nil {
		return a, err
	}
	for _, k := range patients {
		lv := layout.AppendCut(list[:len(list):len(list)], k.ID)
		a.Ranges = append(a.Ranges, Range{Lo: lv, Hi: layout.After(lv), Fixed: true})
	}
	return a, nil
}

// Pairs gives the access to the list of a patient with a token, nil if a value
// does not fit it.
func (p *Planner) Pairs(patient, token *search.Predicate) (*Access, error) {
	list, ok, err := p.List(layout.PairList + token.Param.Code)
	if err != nil {
		return nil, err
	}
	a := &Access{Name: layout.PairList + token.Param.Code, Exact: true}
	if !ok {
		return nil, nil
	}
	for i := range patient.Values {
		v := &patient.Values[i]
		typed := v.RefType == "Patient" || v.RefType == "" && patient.Param.Code == layout.PairPatient
		if !typed || !fhir.ValidID(v.Code) {
			return nil, nil
		}
		home := layout.AppendCut(list[:len(list):len(list)], patient.Values[i].Code)
		for j := range token.Values {
			one := *token
			one.Values = token.Values[j : j+1]
			rs, exact, known := p.tokenRanges(&one, home)
			if !known || !exact {
				return nil, nil
			}
			if m := rs[0].Match; m != nil {
				rs[0].Match = func(value []byte) bool {
					_, _, rest, ok := layout.CutString(value)
					return ok && m(rest)
				}
			}
			a.Ranges = append(a.Ranges, rs...)
		}
	}
	return a, nil
}

// LastUpdated gives the ranges of _lastUpdated, which is indexed by the
// millisecond.
func (p *Planner) LastUpdated(pred *search.Predicate) (*Access, error) {
	if pred.Modifier != search.NoModifier {
		return nil, fhir.Errorf(fhir.NotSupported, "_lastUpdated takes no modifier %q", pred.Modifier)
	}
	a := &Access{Name: pred.Param.Code, Exact: true}
	list, ok, err := p.List(layout.UpdatedList)
	if !ok || err != nil {
		return a, err
	}
	for i := range pred.Values {
		v := &pred.Values[i]
		from, to := int64(search.MinDate), int64(search.MaxDate)
		switch v.Prefix {
		case search.Eq, search.Ap, "":
			from, to = v.Lo, v.Hi
		case search.Gt, search.Ge, search.Sa:
			from = v.Lo
		case search.Lt, search.Le, search.Eb:
			to = v.Hi
		}
		list = list[:len(list):len(list)]
		a.Ranges = append(a.Ranges, spanRange(layout.AppendInt(list, from/1000-1), layout.AppendInt(list, to/1000+1), func(value []byte) bool {
			us := layout.IntOf(value) * 1000
			return search.MatchDate(v, us, us+1000)
		}))
	}
	return a, nil
}
