package search

import (
	"math"
	"strconv"
	"strings"

	"hutong/fhir"
	"hutong/fhir/codec"
	"hutong/fhir/definition"
	"hutong/fhir/search/literal"
	"hutong/fhir/search/path"
)

// child gives the text of a string member, "" if absent.
func (w *extraction) child(i uint32, key string) string { return w.r.ChildText(i, key) }

func (w *extraction) add(e Entry) { w.out = append(w.out, e) }

// addToken adds e unless it says nothing, as an identifier with only an
// extension does.
func (w *extraction) addToken(e Entry) {
	if e.System != "" || e.Code != "" || e.Text != "" {
		w.add(e)
	}
}

// token reads a coded value: https://hl7.org/fhir/R4/search.html#token.
func (w *extraction) token(p *definition.SearchParam, v path.Value) {
	switch v.Type {
	case "CodeableConcept":
		w.concept(p, v.Node)
	case "Coding":
		w.addToken(Entry{Param: p, System: w.child(v.Node, "system"), Code: w.child(v.Node, "code"), Text: w.child(v.Node, "display")})
	case "Identifier":
		w.identifier(p, v.Node)
	case "ContactPoint":
		w.addToken(Entry{Param: p, Code: w.child(v.Node, "value")})
	case "boolean", "code", "string", "id", "uri":
		code := "false"
		if !v.Computed {
			code = w.r.Text(v.Node)
		} else if v.Truth {
			code = "true"
		}
		w.addToken(Entry{Param: p, System: v.System, Code: code})
	}
}

// concept gives one entry a coding, which carries the concept's text if it has
// no display of its own; and one for the text, if no coding carries it.
func (w *extraction) concept(p *definition.SearchParam, i uint32) {
	text, carried := w.child(i, "text"), false
	if codings := w.r.Doc.Child(i, "coding"); codings != 0 {
		for c := range w.r.Doc.Children(codings) {
			e := Entry{Param: p, System: w.child(c, "system"), Code: w.child(c, "code"), Text: w.child(c, "display")}
			if e.Text == "" {
				e.Text = text
			}
			carried = carried || e.Text == text
			w.addToken(e)
		}
	}
	if text != "" && !carried {
		w.addToken(Entry{Param: p, Text: text})
	}
}

func (w *extraction) identifier(p *definition.SearchParam, i uint32) {
	e := Entry{Param: p, System: w.child(i, "system"), Code: w.child(i, "value")}
	typ := w.r.Doc.Child(i, "type")
	if typ == 0 {
		w.addToken(e)
		return
	}
	e.Text = w.child(typ, "text")
	codings := w.r.Doc.Child(typ, "coding")
	if codings == 0 {
		w.addToken(e)
		return
	}
	for c := range w.r.Doc.Children(codings) {
		e.OfType = &Ident{System: e.System, Value: e.Code, TypeSystem: w.child(c, "system"), TypeCode: w.child(c, "code")}
		w.addToken(e)
	}
}

// reference reads a Reference, a canonical or uri, or a resource that stands in
// the place (Bundle.entry[0].resource).
func (w *extraction) reference(p *definition.SearchParam, v path.Value) {
	switch v.Type {
	case "Reference":
		w.referenceTo(p, v.Node)
	case "canonical", "uri", "url":
		w.canonical(p, v.Node)
	case "Resource":
		k := fhir.Key{Type: w.r.Doc.ResourceType(v.Node), ID: w.child(v.Node, "id")}
		if k.ID != "" && permits(p, k.Type) {
			w.add(Entry{Param: p, System: string(k.Type), Code: k.ID})
		}
	}
}

func permits(p *definition.SearchParam, t fhir.Type) bool {
	for _, target := range p.Targets {
		if target == t {
			return true
		}
	}
	return len(p.Targets) == 0
}

func (w *extraction) referenceTo(p *definition.SearchParam, i uint32) {
	e := Entry{Param: p}
	if text := w.r.Doc.Child(i, "reference"); text != 0 {
		ref := w.r.Reference(text)
		e.System, e.Code, e.Version = string(ref.Key.Type), ref.Key.ID, ref.Version
		if ref.Key.IsZero() {
			e.Code = ref.URL
		}
	}
	if id := w.r.Doc.Child(i, "identifier"); id != 0 {
		e.Ident = &Ident{System: w.child(id, "system"), Value: w.child(id, "value")}
	}
	if e.Code != "" || e.Ident != nil {
		w.add(e)
	}
}

// canonical reads url|version. A canonical that a bundle resolves, or that
// names a resource of this server, is entered as such.
func (w *extraction) canonical(p *definition.SearchParam, i uint32) {
	ref := w.r.Reference(i)
	if ref.Key.IsZero() {
		url, version := literal.ParseCanonical(w.r.Text(i))
		if ref = literal.ParseReference(url, w.x.o.Base); version != "" {
			ref.Version = version
		}
	}
	e := Entry{Param: p, System: string(ref.Key.Type), Code: ref.Key.ID, Version: ref.Version}
	if ref.Key.IsZero() {
		e.Code = ref.URL
	}
	if e.Code != "" {
		w.add(e)
	}
}

func (w *extraction) uri(p *definition.SearchParam, v path.Value) {
	switch v.Type {
	case "canonical":
		url, version := literal.ParseCanonical(w.r.Text(v.Node))
		w.add(Entry{Param: p, Code: url, Version: version})
	case "uri", "url", "oid", "uuid":
		w.add(Entry{Param: p, Code: w.r.Text(v.Node)})
	}
}

// date reads a moment or a stretch of time. Free text, ages and ranges of ages,
// which some expressions reach too, have no place on the calendar.
func (w *extraction) date(p *definition.SearchParam, v path.Value) {
	span, ok := literal.Span{}, false
	switch v.Type {
	case "date", "dateTime", "instant":
		span, ok = w.moment(v.Node)
	case "Period":
		span, ok = w.period(v.Node)
	case "Timing":
		span, ok = w.timing(v.Node)
	}
	if ok {
		w.add(Entry{Param: p, Lo: span.Lo, Hi: span.Hi})
	}
}

// moment reads a date; i == 0 (absent) and malformed ones give false.
func (w *extraction) moment(i uint32) (literal.Span, bool) {
	if i == 0 || !w.r.Doc.Nodes[i].Kind.IsString() {
		return literal.Span{}, false
	}
	span, err := literal.ParseDate(w.r.Text(i), w.x.o.location())
	return span, err == nil
}

// period reads start and end; an absent one is open.
func (w *extraction) period(i uint32) (literal.Span, bool) {
	if i == 0 {
		return literal.Span{}, false
	}
	span := literal.Open()
	start, hasStart := w.moment(w.r.Doc.Child(i, "start"))
	if hasStart {
		span.Lo = start.Lo
	}
	end, hasEnd := w.moment(w.r.Doc.Child(i, "end"))
	if hasEnd {
		span.Hi = end.Hi
	}
	return span, hasStart || hasEnd
}

// timing gives the outer limits: of the events and of the bounds.
func (w *extraction) timing(i uint32) (literal.Span, bool) {
	limits := literal.Span{Lo: MaxDate, Hi: MinDate}
	widen := func(s literal.Span, ok bool) {
		if ok {
			limits = literal.Span{Lo: min(limits.Lo, s.Lo), Hi: max(limits.Hi, s.Hi)}
		}
	}
	if events := w.r.Doc.Child(i, "event"); events != 0 {
		for e := range w.r.Doc.Children(events) {
			widen(w.moment(e))
		}
	}
	if repeat := w.r.Doc.Child(i, "repeat"); repeat != 0 {
		widen(w.period(w.r.Doc.Child(repeat, "boundsPeriod")))
	}
	return limits, limits.Lo < limits.Hi
}

// isNumber reports whether node i is present and a JSON number.
func (w *extraction) isNumber(i uint32) bool { return i != 0 && w.r.Doc.Nodes[i].Kind == codec.Number }

// currencySystem is that of Money.currency.
const currencySystem = "urn:iso:std:iso:4217"

// quantity reads the values of number and quantity parameters.
func (w *extraction) quantity(p *definition.SearchParam, v path.Value) {
	switch v.Type {
	case "decimal", "integer", "positiveInt", "unsignedInt":
		if n, ok := w.number(v.Node); ok {
			w.add(Entry{Param: p, Num: n, NumHi: n})
		}
	case "Quantity", "Age", "Duration", "Distance", "Count":
		w.measure(p, v.Node)
	case "Money":
		if n, ok := w.number(w.r.Doc.Child(v.Node, "value")); ok {
			w.add(Entry{Param: p, Num: n, NumHi: n, System: currencySystem, Code: w.child(v.Node, "currency")})
		}
	case "Range":
		w.span(p, w.r.Doc.Child(v.Node, "low"), w.r.Doc.Child(v.Node, "high"))
	case "SampledData":
		w.sampled(p, v.Node)
	}
}

func (w *extraction) number(i uint32) (float64, bool) {
	if !w.isNumber(i) {
		return 0, false
	}
	n, err := strconv.ParseFloat(w.r.Text(i), 64)
	return n, err == nil
}

// unit starts an entry with the unit of the Quantity at node i.
func (w *extraction) unit(p *definition.SearchParam, i uint32) Entry {
	return Entry{Param: p, System: w.child(i, "system"), Code: w.child(i, "code"), Text: w.child(i, "unit")}
}

// measure reads a Quantity; a comparator opens one end.
func (w *extraction) measure(p *definition.SearchParam, i uint32) {
	n, ok := w.number(w.r.Doc.Child(i, "value"))
	if !ok {
		return
	}
	e := w.unit(p, i)
	e.Num, e.NumHi = n, n
	switch w.child(i, "comparator") {
	case "<", "<=":
		e.Num = math.Inf(-1)
	case ">", ">=":
		e.NumHi = math.Inf(1)
	}
	w.addCanonical(e)
}

// span reads a Range; an absent end is open. The unit is that of the low end,
// or else of the high one.
func (w *extraction) span(p *definition.SearchParam, low, high uint32) {
	from, to := math.Inf(-1), math.Inf(1)
	e := Entry{Param: p}
	if high != 0 {
		e = w.unit(p, high)
		if n, ok := w.number(w.r.Doc.Child(high, "value")); ok {
			to = n
		}
	}
	if low != 0 {
		e = w.unit(p, low)
		if n, ok := w.number(w.r.Doc.Child(low, "value")); ok {
			from = n
		}
	}
	if math.IsInf(from, -1) && math.IsInf(to, 1) {
		return
	}
	e.Num, e.NumHi = from, to
	w.addCanonical(e)
}

// sampled reads SampledData as the range from its least to its greatest sample.
// Samples that are no number (E, L, U) have no value of their own.
func (w *extraction) sampled(p *definition.SearchParam, i uint32) {
	origin := w.r.Doc.Child(i, "origin")
	data := w.r.Doc.Child(i, "data")
	if origin == 0 || data == 0 {
		return
	}
	zero, ok := w.number(w.r.Doc.Child(origin, "value"))
	if !ok {
		return
	}
	factor, ok := w.number(w.r.Doc.Child(i, "factor"))
	if !ok {
		factor = 1
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for field := range strings.FieldsSeq(w.r.Text(data)) {
		if sample, err := strconv.ParseFloat(field, 64); err == nil {
			lo, hi = min(lo, zero+factor*sample), max(hi, zero+factor*sample)
		}
	}
	if lo <= hi {
		e := w.unit(p, origin)
		e.Num, e.NumHi = lo, hi
		w.addCanonical(e)
	}
}

// addCanonical adds e with its canonical form, if the unit is UCUM's and the
// server knows units.
func (w *extraction) addCanonical(e Entry) {
	e.Canon = canonical(w.x.o.Units, e.System, e.Code, e.Num, e.Num, e.NumHi)
	w.add(e)
}

const ucum = "http://unitsofmeasure.org"

// canonical converts a value and its range; nil if the unit is not UCUM's or
// not known. Infinite ends stay infinite.
func canonical(units Units, system, code string, num, lo, hi float64) *Canon {
	if units == nil || system != ucum || code == "" {
		return nil
	}
	c := &Canon{}
	for _, f := range []struct {
		in  float64
		out *float64
	}{{num, &c.Num}, {lo, &c.NumLo}, {hi, &c.NumHi}} {
		if math.IsInf(f.in, 0) {
			*f.out = f.in
			continue
		}
		unit, value, ok := units.Canonical(code, f.in)
		if !ok {
			return nil
		}
		c.Unit, *f.out = unit, value
	}
	if c.NumLo > c.NumHi {
		c.NumLo, c.NumHi = c.NumHi, c.NumLo
	}
	return c
}
