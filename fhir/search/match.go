package search

import (
	"math"
	"strings"

	"hutong/fhir/definition"
)

// Matches reports whether the entries of one resource satisfy p, by the rules
// of R4. Chain and Has are the engine's business and are not looked at (a
// predicate with one of them does not match). _id and _lastUpdated have no
// entries: the engine answers them, MatchDate helps.
func Matches(p *Predicate, entries []Entry) bool {
	if p.Param == nil || p.Chain != nil || p.Has != nil || len(p.Values) == 0 {
		return false
	}
	switch p.Modifier {
	case Missing:
		return p.Values[0].Missing != hasEntry(p.Param, entries)
	case Not, NotIn:
		return !anyMatches(p, entries)
	}
	return anyMatches(p, entries)
}

func hasEntry(p *definition.SearchParam, entries []Entry) bool {
	for i := range entries {
		if entries[i].Param == p {
			return true
		}
	}
	return false
}

func anyMatches(p *Predicate, entries []Entry) bool {
	for i := range entries {
		if entries[i].Param == p.Param && MatchesEntry(p, &entries[i]) {
			return true
		}
	}
	return false
}

// MatchesEntry reports whether e, an entry of p.Param, satisfies one of the
// values of p. Not and NotIn are taken as their opposites: they are true of a
// resource, not of an entry.
func MatchesEntry(p *Predicate, e *Entry) bool {
	for i := range p.Values {
		if matchValue(p.Param.Type, p.Modifier, &p.Values[i], e) {
			return true
		}
	}
	return false
}

func matchValue(t definition.ParamType, m Modifier, v *Value, e *Entry) bool {
	switch t {
	case definition.Token:
		return matchToken(m, v, e)
	case definition.String:
		return matchString(m, v, e)
	case definition.URI:
		return matchURI(m, v, e)
	case definition.Reference:
		return matchReference(m, v, e)
	case definition.Date:
		return MatchDate(v, e.Lo, e.Hi)
	case definition.Number:
		return matchNumber(v.Prefix, v.Num, v.NumLo, v.NumHi, e.Num, e.NumHi)
	case definition.Quantity:
		return matchQuantity(v, e)
	case definition.Composite:
		return matchComposite(v, e)
	}
	return false
}

// MatchDate reports whether the moments [lo,hi) of a resource satisfy the date
// value v under its prefix: https://hl7.org/fhir/R4/search.html#prefix. For Ap
// the parser has widened v already.
func MatchDate(v *Value, lo, hi int64) bool {
	within := v.Lo <= lo && hi <= v.Hi
	switch v.Prefix {
	case Ne:
		return !within
	case Gt:
		return hi > v.Hi
	case Lt:
		return lo < v.Lo
	case Ge:
		return within || hi > v.Hi
	case Le:
		return within || lo < v.Lo
	case Sa:
		return lo >= v.Hi
	case Eb:
		return hi <= v.Lo
	case Ap:
		return lo < v.Hi && v.Lo < hi
	}
	return within
}

// DateBounds bounds where a period of at most span microseconds that satisfies v
// may begin: MatchDate(v, lo, hi) implies from <= lo <= to.
func DateBounds(v *Value, span int64) (from, to int64) {
	before := func(at int64) int64 { return max(at, math.MinInt64+span) - span }
	from, to = math.MinInt64, math.MaxInt64
	switch v.Prefix {
	case Ne:
	case Gt:
		from = before(v.Hi)
	case Lt, Eb:
		to = v.Lo
	case Ge:
		from = min(v.Lo, before(v.Hi))
	case Le:
		to = v.Hi
	case Sa:
		from = v.Hi
	case Ap:
		from, to = before(v.Lo), v.Hi
	default:
		from, to = v.Lo, v.Hi
	}
	return from, to
}

// matchNumber holds the values from..to of a resource (equal for a point)
// against a value with its implied range [lo,hi). Order is against the exact
// value; equality is within the range. For Ap the parser has widened the range.
func matchNumber(p Prefix, exact, lo, hi, from, to float64) bool {
	within := lo <= from && (to < hi || to == from && to == lo)
	switch p {
	case Ne:
		return !within
	case Gt:
		return to > exact
	case Lt:
		return from < exact
	case Ge:
		return to >= exact
	case Le:
		return from <= exact
	case Sa:
		return from > exact
	case Eb:
		return to < exact
	case Ap:
		return from <= hi && lo <= to
	}
	return within
}

// matchQuantity compares within one unit: the same system and code, a code or
// printed unit if the request names no system, or two UCUM units of one kind.
func matchQuantity(v *Value, e *Entry) bool {
	if v.Canon != nil && e.Canon != nil && v.Canon.Unit == e.Canon.Unit {
		return matchNumber(v.Prefix, v.Canon.Num, v.Canon.NumLo, v.Canon.NumHi, e.Canon.NumLo, e.Canon.NumHi)
	}
	switch {
	case v.System != "":
		if v.System != e.System || v.Code != "" && v.Code != e.Code {
			return false
		}
	case v.Code != "" && v.Code != e.Code && v.Code != e.Text:
		return false
	}
	return matchNumber(v.Prefix, v.Num, v.NumLo, v.NumHi, e.Num, e.NumHi)
}

// matchToken: https://hl7.org/fhir/R4/search.html#token.
func matchToken(m Modifier, v *Value, e *Entry) bool {
	switch m {
	case Text:
		return e.Text != "" && strings.HasPrefix(Normalize(e.Text), Normalize(v.Code))
	case OfType:
		return e.OfType != nil && v.OfType.System == e.OfType.TypeSystem && v.OfType.Code == e.OfType.TypeCode &&
			FoldCode(v.Code) == FoldCode(e.OfType.Value)
	}
	return matchCode(v, e.System, e.Code)
}

// matchCode applies the token rule: the system is exact; codes differ only by
// more than case, as R4 advises where a system's rule is not known, but for
// UCUM, which is known to be case-sensitive (mg is not Mg).
func matchCode(v *Value, system, code string) bool {
	if v.HasSystem && v.System != system {
		return false
	}
	if v.AnyCode {
		return true
	}
	if code == "" || v.Code == "" {
		return false
	}
	if system == ucum {
		return v.Code == code
	}
	return v.Code == code || FoldCode(v.Code) == FoldCode(code)
}

// matchString: starts with, whatever the case and accents, unless a modifier
// says otherwise. Values that the server derived answer no :exact.
func matchString(m Modifier, v *Value, e *Entry) bool {
	switch m {
	case Exact:
		return e.Code == v.Code && !e.Derived
	case Contains:
		return strings.Contains(Normalize(e.Code), Normalize(v.Code))
	}
	return strings.HasPrefix(Normalize(e.Code), Normalize(v.Code))
}

// matchURI: the whole URI, to the letter. :below takes it as the beginning of
// the resource's, :above as what the resource's begins.
func matchURI(m Modifier, v *Value, e *Entry) bool {
	switch m {
	case Below:
		return strings.HasPrefix(e.Code, v.Code)
	case Above:
		return strings.HasPrefix(v.Code, e.Code)
	}
	return v.Code == e.Code && sameVersion(v, e)
}

func sameVersion(v *Value, e *Entry) bool { return v.Version == "" || v.Version == e.Version }

// matchReference: a local reference by type and id, others by their URL; or
// the identifier of a logical reference.
func matchReference(m Modifier, v *Value, e *Entry) bool {
	if m == IdentifierOf {
		return e.Ident != nil && matchCode(v, e.Ident.System, e.Ident.Value)
	}
	return e.Code != "" && v.Code == e.Code && sameVersion(v, e) && (v.RefType == "" || string(v.RefType) == e.System)
}

// matchComposite: every component matches within the same node.
func matchComposite(v *Value, e *Entry) bool {
	if len(v.Parts) != len(e.Parts) {
		return false
	}
	for i := range v.Parts {
		if !matchValue(e.Parts[i].Param.Type, NoModifier, &v.Parts[i], &e.Parts[i]) {
			return false
		}
	}
	return true
}
