package region

import (
	"strconv"
	"time"
)

// writer appends JSON. Values come from our own tables and need no escaping
// (a test parses the output). An empty string is left out, as FHIR wants.
type writer struct{ b []byte }

func (w *writer) sep() {
	if n := len(w.b); n > 0 {
		if c := w.b[n-1]; c != '{' && c != '[' && c != ':' {
			w.b = append(w.b, ',')
		}
	}
}

func (w *writer) key(k string) {
	w.sep()
	if k != "" {
		w.b = append(w.b, '"')
		w.b = append(w.b, k...)
		w.b = append(w.b, '"', ':')
	}
}

func (w *writer) obj(k string) { w.key(k); w.b = append(w.b, '{') }
func (w *writer) end()         { w.b = append(w.b, '}') }
func (w *writer) arr(k string) { w.key(k); w.b = append(w.b, '[') }
func (w *writer) endArr()      { w.b = append(w.b, ']') }

// list is an array of one object, the commonest shape in FHIR; endList closes it.
func (w *writer) list(k string) { w.arr(k); w.b = append(w.b, '{') }
func (w *writer) endList()      { w.b = append(w.b, '}', ']') }

func (w *writer) str(k, v string) {
	if v == "" {
		return
	}
	w.key(k)
	w.b = append(w.b, '"')
	w.b = append(w.b, v...)
	w.b = append(w.b, '"')
}

func (w *writer) bool(k string, v bool) { w.key(k); w.b = strconv.AppendBool(w.b, v) }
func (w *writer) int(k string, v int)   { w.key(k); w.b = strconv.AppendInt(w.b, int64(v), 10) }

// num writes a decimal with exactly dec digits after the point: 1.00 stays 1.00.
func (w *writer) num(k string, v float64, dec int) {
	w.key(k)
	w.b = strconv.AppendFloat(w.b, v, 'f', dec, 64)
}

func (w *writer) instant(k string, t time.Time) {
	w.key(k)
	w.b = append(w.b, '"')
	w.b = t.AppendFormat(w.b, "2006-01-02T15:04:05+08:00")
	w.b = append(w.b, '"')
}

func (w *writer) date(k string, t time.Time) {
	w.key(k)
	w.b = append(w.b, '"')
	w.b = t.AppendFormat(w.b, time.DateOnly)
	w.b = append(w.b, '"')
}

// coding writes one Coding as the value of k, or as an array element if k is "".
func (w *writer) coding(k, system, code, display string) {
	w.obj(k)
	w.str("system", system)
	w.str("code", code)
	w.str("display", display)
	w.end()
}

// concept writes a CodeableConcept of one coding and its text.
func (w *writer) concept(k, system, code, display string) {
	w.obj(k)
	w.arr("coding")
	w.coding("", system, code, display)
	w.endArr()
	w.end()
}

// concepts is concept in an array.
func (w *writer) concepts(k, system, code, display string) {
	w.arr(k)
	w.concept("", system, code, display)
	w.endArr()
}

func (w *writer) ref(k, reference, display string) {
	w.obj(k)
	w.str("reference", reference)
	w.str("display", display)
	w.end()
}

func (w *writer) quantity(k string, v float64, dec int, ucum string) {
	w.obj(k)
	w.num("value", v, dec)
	w.str("unit", ucum)
	w.str("system", ucumSystem)
	w.str("code", ucum)
	w.end()
}

func (w *writer) identifier(use, system, value, typ string) {
	w.obj("")
	w.str("use", use)
	if typ != "" {
		w.concept("type", "http://terminology.hl7.org/CodeSystem/v2-0203", typ, "")
	}
	w.str("system", system)
	w.str("value", value)
	w.end()
}
