// Package terms turns the index entries of a resource into what MongoDB
// indexes of it, and a predicate into a condition on that. It does no I/O.
//
// A document carries one array of tokens and, for each date, number and
// quantity parameter, a range that spans its values. A condition holds for
// every match of its predicate; where it is exact, for nothing else. Values
// that come from a request stand in BSON value positions or in quoted regular
// expressions only: no key and no operator is ever made of one.
package terms

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"

	"hutong/fhir/definition"
	"hutong/fhir/search"
)

// The forms of a token. The code of the parameter stands before the mark.
const (
	present = "?" // the parameter has some value
	whole   = "=" // system|code, Type/id, normalised string, uri
	loose   = "~" // code whatever its system, id whatever its type
	cased   = "^" // code of UCUM, where case counts, whatever the system asked for
	ident   = "#" // value of a logical reference's identifier
	ofType  = "@" // value of an identifier with a type
	long    = "%" // some string is longer than its token
)

// paired are the parameters that are also indexed together with the patient:
// "this patient's glucose" is then one range of one index.
var paired = [...]string{"code", "category"}

// maxToken is the number of bytes that a token holds; a longer one is cut and
// what it finds is verified.
const maxToken = 200

const ucum = "http://unitsofmeasure.org"

// Index is what is indexed of one resource.
type Index struct {
	Tokens []string // sorted, each once
	Ranges []Range  // sorted by code, each code once
}

// Range spans the values of one parameter: integers (microseconds) for dates,
// floating point for numbers and quantities.
type Range struct {
	Code   string
	Lo, Hi any
	// CanonLo and CanonHi span the values in canonical units; nil if none has one.
	CanonLo, CanonHi any
}

// BSON gives the ranges as the sub-document in which conditions look for them.
func (ix *Index) BSON() bson.D {
	d := bson.D{}
	for _, r := range ix.Ranges {
		v := bson.D{{Key: "lo", Value: r.Lo}, {Key: "hi", Value: r.Hi}}
		if r.CanonLo != nil {
			v = append(v, bson.E{Key: "clo", Value: r.CanonLo}, bson.E{Key: "chi", Value: r.CanonHi})
		}
		d = append(d, bson.E{Key: r.Code, Value: v})
	}
	return d
}

var plainCode = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// ranged reports whether the parameter's values are kept as a range under its
// code, which must be fit to be a key.
func ranged(p *definition.SearchParam) bool {
	switch p.Type {
	case definition.Date, definition.Number, definition.Quantity:
		return plainCode.MatchString(p.Code)
	}
	return false
}

// Of gives the index of a resource with these entries.
func Of(entries []search.Entry) Index {
	b := builder{ranges: map[string]*span{}}
	for i := range entries {
		b.add(&entries[i])
	}
	b.pairs(entries)
	slices.Sort(b.tokens)
	return Index{Tokens: slices.Compact(b.tokens), Ranges: b.spans()}
}

type builder struct {
	tokens []string
	ranges map[string]*span
}

func (b *builder) post(parts ...string) {
	t, _ := cut(strings.Join(parts, ""))
	b.tokens = append(b.tokens, t)
}

func (b *builder) add(e *search.Entry) {
	code := e.Param.Code
	b.post(code, present)
	if e.Param.Type == definition.Composite {
		if len(e.Parts) > 0 {
			b.value(code, &e.Parts[0])
		}
		return
	}
	b.value(code, e)
	if ranged(e.Param) {
		b.widen(e)
	}
}

// value posts the tokens of one entry under a code.
func (b *builder) value(code string, e *search.Entry) {
	switch e.Param.Type {
	case definition.Token:
		for _, t := range codeTokens(e.System, e.Code) {
			b.post(code, t)
		}
		if e.OfType != nil {
			b.post(code, ofType, search.FoldCode(e.OfType.Value))
		}
	case definition.Reference:
		if e.Code != "" {
			b.post(code, whole, e.System, "/", e.Code)
			b.post(code, loose, e.Code)
		}
		if e.Ident != nil {
			b.post(code, ident, search.FoldCode(e.Ident.Value))
		}
	case definition.String:
		s := code + whole + search.Normalize(e.Code)
		b.post(s)
		if _, short := cut(s); short {
			b.post(code, long)
		}
	case definition.URI:
		b.post(code, whole, e.Code)
	}
}

// pairs posts the codes and categories together with the patient.
func (b *builder) pairs(entries []search.Entry) {
	for i := range entries {
		p := &entries[i]
		if p.Param.Code != "patient" || p.System != "Patient" {
			continue
		}
		for j := range entries {
			e := &entries[j]
			if e.Param.Type != definition.Token || !slices.Contains(paired[:], e.Param.Code) {
				continue
			}
			for _, t := range codeTokens(e.System, e.Code) {
				b.post(pairCode(e.Param.Code, p.Code), t)
			}
		}
	}
}

// pairCode is the code under which a patient's tokens of a parameter stand.
func pairCode(code, patient string) string { return "patient+" + code + " " + patient + " " }

// codeTokens gives the tokens of a code: with its system, and whatever the
// system. Codes compare without case, but for UCUM's.
func codeTokens(system, code string) []string {
	out := []string{whole + systemPart(system) + codeKey(system, code)}
	switch {
	case code == "":
	case system == ucum:
		out = append(out, cased+code)
	default:
		out = append(out, loose+search.FoldCode(code))
	}
	return out
}

func codeKey(system, code string) string {
	if system == ucum {
		return code
	}
	return search.FoldCode(code)
}

var escapeSystem = strings.NewReplacer("%", "%25", "|", "%7C")

// systemPart is the system's part of a token; it holds no | but the last.
func systemPart(system string) string { return escapeSystem.Replace(system) + "|" }

// cut gives the token as it is stored, and whether that is less than all.
func cut(s string) (string, bool) {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxToken {
		return s, false
	}
	s = s[:maxToken]
	for len(s) > 0 {
		if r, n := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || n > 1 {
			break
		}
		s = s[:len(s)-1]
	}
	return s, true
}

// span collects the range of a parameter.
type span struct {
	date               bool
	lo, hi             int64
	from, to           float64
	canon              bool
	canonFrom, canonTo float64
}

func (b *builder) widen(e *search.Entry) {
	s := b.ranges[e.Param.Code]
	if s == nil {
		s = &span{
			date: e.Param.Type == definition.Date,
			lo:   math.MaxInt64, hi: math.MinInt64,
			from: math.Inf(1), to: math.Inf(-1), canonFrom: math.Inf(1), canonTo: math.Inf(-1),
		}
		b.ranges[e.Param.Code] = s
	}
	s.lo, s.hi = min(s.lo, e.Lo), max(s.hi, e.Hi)
	s.from, s.to = min(s.from, e.Num), max(s.to, e.NumHi)
	if e.Canon != nil {
		s.canon = true
		s.canonFrom, s.canonTo = min(s.canonFrom, e.Canon.NumLo), max(s.canonTo, e.Canon.NumHi)
	}
}

func (b *builder) spans() []Range {
	var out []Range
	for code, s := range b.ranges {
		r := Range{Code: code, Lo: finite(s.from), Hi: finite(s.to)}
		if s.date {
			r.Lo, r.Hi = s.lo, s.hi
		}
		if s.canon {
			r.CanonLo, r.CanonHi = finite(s.canonFrom), finite(s.canonTo)
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Range) int { return strings.Compare(a.Code, b.Code) })
	return out
}

// finite bounds open ends: not every server stores infinity.
func finite(f float64) float64 {
	if math.IsNaN(f) {
		return 0
	}
	return max(-math.MaxFloat64, min(math.MaxFloat64, f))
}
