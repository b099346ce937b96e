package disk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
	"hutong/fhir/store/disk/layout"
)

// An access says where the postings of a predicate's matches are. A predicate
// without one is verified on each candidate.
type access struct {
	name   string // for Explain
	ranges []valueRange
	// exact: whoever stands in the ranges matches. Otherwise the ranges hold
	// every match and the candidates are verified.
	exact bool
	// negate: the matches are those that do not stand in the ranges.
	negate bool
	// distinct: no two postings in the ranges have one place.
	distinct bool
	// ordered: of such, those of a date by which the default order goes.
	ordered bool
	places  []spot // found beforehand, sorted; instead of ranges
	listed  bool   // places counts, even if empty
}

// valueRange is a range of one posting list: list and value from lo to hi.
type valueRange struct {
	lo, hi []byte
	// points: the range holds few values, each a list in order; otherwise it
	// is read whole and sorted.
	points bool
	fixed  bool     // the range holds the one value lo
	lists  [][]byte // its lists and values, once exec.lists found them
	// match decides on the value behind the list; nil takes all.
	match func(value []byte) bool
}

// planner compiles predicates on one type.
type planner struct {
	s   *Store
	typ fhir.Type
}

// list gives the four bytes of a posting list; ok is false if nothing was ever
// posted to it.
func (p *planner) list(param string) (list []byte, ok bool, err error) {
	id, err := p.s.names.Find(layout.ListName(p.typ, param))
	return binary.BigEndian.AppendUint32(make([]byte, 0, 32), id), id != 0, err
}

// compile gives the access of a predicate, nil if no posting helps.
func (p *planner) compile(pred *search.Predicate) (*access, error) {
	switch pred.Param.Type {
	case definition.Special:
		return nil, nil
	case definition.Composite:
		return p.composite(pred)
	}
	switch pred.Modifier {
	case search.NoModifier, search.Exact, search.Contains, search.Below, search.OfType, search.IdentifierOf:
		return p.positive(pred, pred.Param.Code)
	case search.Not:
		pos := *pred
		pos.Modifier = search.NoModifier
		a, err := p.positive(&pos, pred.Param.Code)
		if a == nil || err != nil || !a.exact {
			return nil, err
		}
		a.negate = true
		return a, nil
	case search.Missing:
		return p.missing(pred)
	}
	return nil, nil
}

func (p *planner) missing(pred *search.Predicate) (*access, error) {
	if len(pred.Values) != 1 {
		return nil, nil
	}
	a := &access{name: pred.Param.Code + ":missing", exact: true, negate: pred.Values[0].Missing}
	list, ok, err := p.list(pred.Param.Code)
	if ok {
		a.ranges = []valueRange{whole(list)}
	}
	return a, err
}

func whole(list []byte) valueRange { return prefixRange(list, false, nil) }

func prefixRange(prefix []byte, points bool, match func([]byte) bool) valueRange {
	return valueRange{lo: prefix, hi: layout.After(prefix), points: points, match: match}
}

// composite looks for the first component, which is posted alone.
func (p *planner) composite(pred *search.Predicate) (*access, error) {
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
	a, err := p.positive(&first, pred.Param.Code)
	if a != nil {
		a.exact = false
	}
	return a, err
}

// positive gives the ranges of all values of a predicate, in the lists of code.
func (p *planner) positive(pred *search.Predicate, code string) (*access, error) {
	a := &access{name: code, exact: true, distinct: oneDate(pred), ordered: oneDate(pred) && pred.Orders}
	main := code
	if pred.Modifier == search.IdentifierOf {
		main += layout.IdentList
	}
	list, ok, err := p.list(main)
	if !ok || err != nil {
		return a, err // nothing was posted: nothing matches
	}
	for i := range pred.Values {
		v := &pred.Values[i]
		rs, exact, known := p.valueRanges(pred, v, list)
		if !known {
			return nil, nil
		}
		a.ranges = append(a.ranges, rs...)
		a.exact = a.exact && exact
		if v.Canon != nil && pred.Param.Type == definition.Quantity {
			canon, ok, err := p.list(code + layout.CanonList)
			if err != nil {
				return nil, err
			}
			if ok {
				a.ranges = append(a.ranges, canonRange(canon, v))
			}
		}
	}
	return a, nil
}

// valueRanges gives the ranges of one value. known is false if no range is
// sure to hold every match.
func (p *planner) valueRanges(pred *search.Predicate, v *search.Value, list []byte) (rs []valueRange, exact, known bool) {
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
func (p *planner) tokenRanges(pred *search.Predicate, list []byte) (rs []valueRange, exact, known bool) {
	v := &pred.Values[0]
	exact = pred.Modifier == search.NoModifier && len(v.Code) <= layout.MaxString && v.Version == ""
	var match func([]byte) bool
	if exact {
		match = func(value []byte) bool { return p.matchToken(pred, value) }
	}
	if v.AnyCode {
		return []valueRange{prefixRange(list, false, match)}, exact, pred.Modifier == search.NoModifier
	}
	prefix := layout.AppendCut(list[:len(list):len(list)], search.FoldCode(v.Code))
	return []valueRange{prefixRange(prefix, true, match)}, exact, true
}

func (p *planner) matchToken(pred *search.Predicate, value []byte) bool {
	code, system, cut, ok := layout.TokenOf(value)
	if !ok || cut {
		return ok && cut && pred.Values[0].AnyCode // only then a cut code can stand in an exact range
	}
	e := search.Entry{Param: pred.Param, Code: code}
	if system != 0 {
		name, err := p.s.names.Name(system)
		if err != nil || name == "" {
			return false
		}
		e.System = name[1:]
	}
	return search.MatchesEntry(pred, &e)
}

func stringRanges(pred *search.Predicate, list []byte) (rs []valueRange, exact, known bool) {
	norm := search.Normalize(pred.Values[0].Code)
	list = list[:len(list):len(list)]
	switch pred.Modifier {
	case search.Exact:
		return []valueRange{prefixRange(layout.AppendCut(list, norm), true, nil)}, false, true
	case search.Contains:
		match := func(value []byte) bool {
			s, cut, _, ok := layout.CutString(value)
			return ok && (cut || strings.Contains(s, norm))
		}
		return []valueRange{prefixRange(list, false, match)}, false, true
	case search.NoModifier:
		exact = len(norm) <= layout.MaxString
		prefix := layout.AppendOpen(list, norm[:min(len(norm), layout.MaxString)])
		return []valueRange{prefixRange(prefix, false, nil)}, exact, true
	}
	return nil, false, false
}

func uriRanges(pred *search.Predicate, list []byte) (rs []valueRange, exact, known bool) {
	v := &pred.Values[0]
	list = list[:len(list):len(list)]
	switch pred.Modifier {
	case search.Below:
		prefix := layout.AppendOpen(list, v.Code[:min(len(v.Code), layout.MaxString)])
		return []valueRange{prefixRange(prefix, false, nil)}, len(v.Code) <= layout.MaxString, true
	case search.NoModifier:
		exact = v.Version == "" && len(v.Code) <= layout.MaxString
		return []valueRange{prefixRange(layout.AppendCut(list, v.Code), true, nil)}, exact, true
	}
	return nil, false, false
}

// dateRanges gives a range of beginnings for each class of lengths; Matches
// decides on the period itself.
func dateRanges(pred *search.Predicate, list []byte) []valueRange {
	v := &pred.Values[0]
	match := func(value []byte) bool {
		lo, hi, ok := layout.PeriodOf(value)
		return ok && search.MatchDate(v, lo, hi)
	}
	var rs []valueRange
	for c := 0; c < layout.PeriodClasses; c++ {
		span, bounded := layout.ClassSpan(c)
		if !bounded {
			span = math.MaxInt64
		}
		from, to := search.DateBounds(v, span)
		class := append(list[:len(list):len(list)], byte(c))
		rs = append(rs, spanRange(layout.AppendInt(class, from), layout.AppendInt(class[:len(class):len(class)], to), match))
	}
	return rs
}

// oneDate reports whether the predicate holds one moment or period against a
// parameter of which no resource has two values.
func oneDate(pred *search.Predicate) bool {
	return pred.Sole && pred.Param.Type == definition.Date && pred.Modifier == search.NoModifier && len(pred.Values) == 1
}

// together joins the parts that ask for the same date, date=ge..&date=lt..:
// the first gets the ranges that all of them share.
func (p *planner) together(parts []part) {
	for i := range parts {
		first := &parts[i]
		if first.done || first.a == nil || len(first.a.ranges) == 0 || !oneDate(first.pred) {
			continue
		}
		for j := i + 1; j < len(parts); j++ {
			if other := &parts[j]; !other.done && other.pred.Param == first.pred.Param && oneDate(other.pred) {
				first.also, other.done = append(first.also, other.pred), true
				first.a.ranges = common(first.a.ranges, other.a.ranges)
			}
		}
	}
}

// common gives what the ranges of one list have in common.
func common(a, b []valueRange) (out []valueRange) {
	for _, r := range a {
		for _, s := range b {
			lo, hi := slices.MaxFunc([][]byte{r.lo, s.lo}, bytes.Compare), slices.MinFunc([][]byte{r.hi, s.hi}, bytes.Compare)
			if bytes.Compare(lo, hi) < 0 {
				out = append(out, valueRange{lo: lo, hi: hi, match: func(v []byte) bool { return r.match(v) && s.match(v) }})
			}
		}
	}
	return out
}

// spanRange is the range from lo to all values that start with last.
func spanRange(lo, last []byte, match func([]byte) bool) valueRange {
	return valueRange{lo: lo, hi: layout.After(last), match: match}
}

func numberRanges(pred *search.Predicate, list []byte, exact bool) []valueRange {
	v := &pred.Values[0]
	var match func([]byte) bool
	if exact {
		match = func(value []byte) bool {
			lo, hi, ok := layout.RangeOf(value)
			return ok && search.MatchesEntry(pred, &search.Entry{Num: lo, NumHi: hi})
		}
	}
	from, to := numberBounds(v.Prefix, min(v.Num, v.NumLo), max(v.Num, v.NumHi))
	point := append(list[:len(list):len(list)], 0)
	return []valueRange{
		spanRange(layout.AppendFloat(point, from), layout.AppendFloat(point[:len(point):len(point)], to), match),
		prefixRange(append(list[:len(list):len(list)], 1), false, match),
	}
}

// numberBounds gives bounds that hold every point which satisfies the prefix.
func numberBounds(p search.Prefix, lo, hi float64) (from, to float64) {
	switch p {
	case search.Gt, search.Ge, search.Sa:
		return lo, math.Inf(1)
	case search.Lt, search.Le, search.Eb:
		return math.Inf(-1), hi
	case search.Ne:
		return math.Inf(-1), math.Inf(1)
	case search.Ap:
		slack := max(math.Abs(lo), math.Abs(hi)) / 4
		return lo - slack, hi + slack
	}
	return lo, hi
}

// canonRange looks for quantities in other units of the same kind: all whose
// precision range touches the bounds.
func canonRange(list []byte, v *search.Value) valueRange {
	unit := layout.AppendCut(list[:len(list):len(list)], v.Canon.Unit)
	return prefixRange(unit, false, func(value []byte) bool {
		_, _, rest, ok := layout.CutString(value)
		if !ok || len(rest) != 16 {
			return false
		}
		lo, hi := layout.FloatOf(rest), layout.FloatOf(rest[8:])
		from, to := numberBounds(v.Prefix, min(v.Canon.Num, v.Canon.NumLo), max(v.Canon.Num, v.Canon.NumHi))
		return hi >= from && lo <= to
	})
}

// homes gives the access to what lies in the compartments of patients. Whoever
// asks holds the restriction against it anyway: it is not exact.
func (p *planner) homes(patients []fhir.Key) (*access, error) {
	a := &access{name: "compartment"}
	list, ok, err := p.list(layout.HomeList)
	if !ok || err != nil {
		return a, err
	}
	for _, k := range patients {
		lv := layout.AppendCut(list[:len(list):len(list)], k.ID)
		a.ranges = append(a.ranges, valueRange{lo: lv, hi: layout.After(lv), fixed: true})
	}
	return a, nil
}

// all drives from every resource of the type; nil if there never was one.
func (p *planner) all() (*part, error) {
	list, ok, err := p.list(layout.AllList)
	if !ok || err != nil {
		return nil, err
	}
	return &part{a: &access{name: "all " + string(p.typ), exact: true, ranges: []valueRange{{lo: list, hi: layout.After(list), fixed: true}}}, count: uncounted}, nil
}

// about tells an estimate, if one was made.
func about(n int) string {
	if n == uncounted {
		return ""
	}
	return fmt.Sprintf(" (about %d)", n)
}
