package access

import (
	"bytes"
	"math"
	"slices"

	"hutong/fhir/definition"
	"hutong/fhir/search"
	"hutong/fhir/store/disk/layout"
)

// dateRanges gives a range of beginnings for each class of lengths; Matches
// decides on the period itself.
func dateRanges(pred *search.Predicate, list []byte) []Range {
	v := &pred.Values[0]
	match := func(value []byte) bool {
		lo, hi, ok := layout.PeriodOf(value)
		return ok && search.MatchDate(v, lo, hi)
	}
	var rs []Range
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

// OneDate reports whether the predicate holds one moment or period against a
// parameter of which no resource has two values.
func OneDate(pred *search.Predicate) bool {
	return pred.Sole && pred.Param.Type == definition.Date && pred.Modifier == search.NoModifier && len(pred.Values) == 1
}

// Common gives what the ranges of one list have in common.
func Common(a, b []Range) (out []Range) {
	for _, r := range a {
		for _, s := range b {
			lo, hi := slices.MaxFunc([][]byte{r.Lo, s.Lo}, bytes.Compare), slices.MinFunc([][]byte{r.Hi, s.Hi}, bytes.Compare)
			if bytes.Compare(lo, hi) < 0 {
				out = append(out, Range{Lo: lo, Hi: hi, Match: func(v []byte) bool { return r.Match(v) && s.Match(v) }})
			}
		}
	}
	return out
}

// spanRange is the range from lo to all values that start with last.
func spanRange(lo, last []byte, match func([]byte) bool) Range {
	return Range{Lo: lo, Hi: layout.After(last), Match: match}
}

func numberRanges(pred *search.Predicate, list []byte, exact bool) []Range {
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
	return []Range{
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
func canonRange(list []byte, v *search.Value) Range {
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

// Contains reports whether the range takes a value of its list.
func (r *Range) Contains(value []byte) bool {
	if bytes.Compare(value, r.Lo[4:]) < 0 {
		return false
	}
	if len(r.Hi) >= 4 && bytes.Equal(r.Hi[:4], r.Lo[:4]) && bytes.Compare(value, r.Hi[4:]) >= 0 {
		return false
	}
	return r.Match == nil || r.Match(value)
}
