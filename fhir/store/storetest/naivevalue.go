package storetest

import (
	"cmp"
	"encoding/json"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"

	"hutong/fhir/definition"
)

// Parts of values, as the oracle reads them.

func str(m any, key string) string {
	if o, ok := m.(map[string]any); ok {
		s, _ := o[key].(string)
		return s
	}
	return ""
}

func list(m any, key string) []any {
	o, _ := m.(map[string]any)
	switch v := o[key].(type) {
	case []any:
		return v
	case nil:
		return nil
	default:
		return []any{v}
	}
}

// tokenValue is a code in a system, with what a person reads. bare: an element
// of type code or boolean, whose system is not written.
type tokenValue struct {
	system, code, text, typeSystem, typeCode string
	bare                                     bool
}

// codeSystems are the systems that R4 binds to elements of type code.
var codeSystems = map[string]string{
	"Patient.gender":           "http://hl7.org/fhir/administrative-gender",
	"Observation.status":       "http://hl7.org/fhir/observation-status",
	"Encounter.status":         "http://hl7.org/fhir/encounter-status",
	"DiagnosticReport.status":  "http://hl7.org/fhir/diagnostic-report-status",
	"MedicationRequest.status": "http://hl7.org/fhir/CodeSystem/medicationrequest-status",
	"MedicationRequest.intent": "http://hl7.org/fhir/CodeSystem/medicationrequest-intent",
}

// tokens reads a value of a token parameter: CodeableConcept, Coding,
// Identifier, ContactPoint, code or boolean, told apart by what they hold.
func tokens(path string, v any) []tokenValue {
	m, isObject := v.(map[string]any)
	switch {
	case v == true:
		return []tokenValue{{code: "true", bare: true}}
	case v == false:
		return []tokenValue{{code: "false", bare: true}}
	case !isObject:
		s, _ := v.(string)
		return []tokenValue{{system: codeSystems[path], code: s, bare: codeSystems[path] == ""}}
	case m["coding"] != nil || m["text"] != nil && m["code"] == nil && m["value"] == nil:
		return conceptTokens(m)
	case strings.HasSuffix(path, ".telecom") || strings.HasSuffix(path, ".phone") || strings.HasSuffix(path, ".email"):
		return []tokenValue{{code: str(m, "value")}}
	case m["value"] != nil:
		return identifierTokens(m)
	}
	return []tokenValue{{system: str(m, "system"), code: str(m, "code"), text: str(m, "display")}}
}

func conceptTokens(m map[string]any) (out []tokenValue) {
	for _, c := range list(m, "coding") {
		t := tokenValue{system: str(c, "system"), code: str(c, "code"), text: str(c, "display")}
		out = append(out, t)
	}
	if s := str(m, "text"); s != "" {
		out = append(out, tokenValue{text: s})
	}
	return out
}

func identifierTokens(m map[string]any) []tokenValue {
	t := tokenValue{system: str(m, "system"), code: str(m, "value"), text: str(m["type"], "text")}
	out := []tokenValue{t}
	for _, c := range list(m["type"], "coding") {
		t.typeSystem, t.typeCode = str(c, "system"), str(c, "code")
		out = append(out, t)
	}
	return out
}

// texts reads a value of a string parameter.
func texts(v any) (out []string) {
	m, ok := v.(map[string]any)
	if !ok {
		s, _ := v.(string)
		return []string{s}
	}
	keys := []string{"text", "family", "given", "prefix", "suffix"}
	if m["family"] == nil && m["given"] == nil {
		keys = append(keys, "line", "city", "district", "state", "country", "postalCode")
	}
	for _, k := range keys {
		for _, s := range list(m, k) {
			out = append(out, s.(string))
		}
	}
	return out
}

var accents = strings.NewReplacer("é", "e", "á", "a", "ü", "u", "ö", "o", "å", "a", "ñ", "n")

// fold is how strings are compared: without case and accents.
func fold(s string) string {
	return accents.Replace(strings.Join(strings.Fields(strings.ToLower(s)), " "))
}

var localForm = regexp.MustCompile(`^([A-Z][A-Za-z]+)/([A-Za-z0-9.-]+)(?:/_history/(.+))?$`)

// localRef reads a Reference to a resource of this server.
func localRef(v any) (typ, id, version string, ok bool) {
	m := localForm.FindStringSubmatch(str(v, "reference"))
	if m == nil {
		return "", "", "", false
	}
	return m[1], m[2], m[3], true
}

// span is [lo,hi) in microseconds; open ends are far away.
type span struct{ lo, hi int64 }

const far = 1 << 62

var dateForms = []struct {
	layout string
	next   func(time.Time) time.Time
}{
	{"2006", func(t time.Time) time.Time { return t.AddDate(1, 0, 0) }},
	{"2006-01", func(t time.Time) time.Time { return t.AddDate(0, 1, 0) }},
	{"2006-01-02", func(t time.Time) time.Time { return t.AddDate(0, 0, 1) }},
	{"2006-01-02T15:04Z07:00", func(t time.Time) time.Time { return t.Add(time.Minute) }},
	{"2006-01-02T15:04:05Z07:00", func(t time.Time) time.Time { return t.Add(time.Second) }},
	{"2006-01-02T15:04:05.000Z07:00", func(t time.Time) time.Time { return t.Add(time.Millisecond) }},
}

// spanOf reads a date or dateTime; the forms differ in length, so that one fits.
func spanOf(s string) (span, bool) {
	for _, f := range slices.Backward(dateForms) {
		if strings.Contains(s, ".") != strings.Contains(f.layout, ".") {
			continue
		}
		if t, err := time.Parse(f.layout, s); err == nil {
			return span{t.UnixMicro(), f.next(t).UnixMicro()}, true
		}
	}
	return span{}, false
}

// spans reads a value of a date parameter: a date or a Period.
func spans(v any) []span {
	if s, ok := v.(string); ok {
		if sp, ok := spanOf(s); ok {
			return []span{sp}
		}
		return nil
	}
	out := span{-far, far}
	if s := str(v, "start"); s != "" {
		sp, _ := spanOf(s)
		out.lo = sp.lo
	}
	if s := str(v, "end"); s != "" {
		sp, _ := spanOf(s)
		out.hi = sp.hi
	}
	return []span{out}
}

// amount is a number or a range of numbers (nil: open) with its unit.
type amount struct {
	lo, hi             *big.Rat
	system, code, unit string
}

func rat(v any) *big.Rat {
	n, ok := v.(json.Number)
	if !ok {
		return nil
	}
	r, _ := new(big.Rat).SetString(n.String())
	return r
}

// amounts reads a value of a number or quantity parameter.
func amounts(v any) []amount {
	m, ok := v.(map[string]any)
	if !ok {
		r := rat(v)
		return []amount{{lo: r, hi: r}}
	}
	unit := func(m any) amount {
		return amount{system: str(m, "system"), code: str(m, "code"), unit: str(m, "unit")}
	}
	if m["low"] != nil || m["high"] != nil {
		a := unit(m["low"])
		if m["low"] == nil {
			a = unit(m["high"])
		}
		if low, ok := m["low"].(map[string]any); ok {
			a.lo = rat(low["value"])
		}
		if high, ok := m["high"].(map[string]any); ok {
			a.hi = rat(high["value"])
		}
		return []amount{a}
	}
	a := unit(m)
	a.lo = rat(m["value"])
	a.hi = a.lo
	if a.lo == nil {
		return nil
	}
	switch str(m, "comparator") {
	case "<", "<=":
		a.lo = nil
	case ">", ">=":
		a.hi = nil
	}
	return []amount{a}
}

// The toy units that the tests know: exact powers of two, so that floating
// point and exact arithmetic agree.
var toyUnits = map[string]struct {
	base   string
	factor int64
}{"mg": {"mg", 1}, "g": {"mg", 1024}}

const ucumSystem = "http://unitsofmeasure.org"

type units struct{}

// Canonical is search.Units over the toy units.
func (units) Canonical(unit string, v float64) (string, float64, bool) {
	u, ok := toyUnits[unit]
	return u.base, v * float64(u.factor), ok
}

// sortable is a value that sorts.
type sortable struct {
	s string
	n *big.Rat
	d int64
}

func (a *sortable) compare(b *sortable) int {
	if a.n != nil && b.n != nil {
		return a.n.Cmp(b.n)
	}
	if n := cmp.Compare(a.d, b.d); n != 0 {
		return n
	}
	return cmp.Compare(a.s, b.s)
}

// sortables gives what the values of a parameter sort by.
func (o *oracle) sortables(d *doc, code string) (out []*sortable) {
	switch code {
	case "_id":
		return []*sortable{{s: d.ID}}
	case "_lastUpdated":
		return []*sortable{{d: d.LastUpdated.UnixMilli()}}
	}
	p := o.defs.Param(d.Type, code)
	for _, v := range o.eval(d, code) {
		switch p.Type {
		case definition.Date:
			for _, s := range spans(v) {
				out = append(out, &sortable{d: s.lo})
			}
		case definition.String:
			for _, s := range texts(v) {
				out = append(out, &sortable{s: fold(s)})
			}
		case definition.Token:
			for _, t := range tokens(string(d.Type)+"."+code, v) {
				if t.code != "" || t.text != "" {
					out = append(out, &sortable{s: t.code})
				}
			}
		case definition.Quantity, definition.Number:
			for _, a := range amounts(v) {
				if a.lo == nil {
					a.lo = big.NewRat(-1<<62, 1) // open: below all others
				}
				out = append(out, &sortable{n: a.lo})
			}
		}
	}
	return out
}
