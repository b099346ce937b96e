package region

import (
	"strconv"
	"time"

	"hutong/profiles"
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

const ucumSystem = profiles.UCUM

// handle names a resource before its id and urn:uuid are spelled out.
type handle uint64

// bundler writes one transaction Bundle.
type bundler struct {
	writer
	g    *generator
	rec  *record // nil for the registry
	org  int
	typ  string
	id   string // of the resource being written; "" creates
	cond string // ifNoneExist of a create
	n    int
}

func (g *generator) bundle(rec *record, org int) *bundler {
	b := &bundler{g: g, rec: rec, org: org, writer: writer{make([]byte, 0, g.size+g.size/8)}}
	b.obj("")
	b.str("resourceType", "Bundle")
	b.str("type", "transaction")
	b.arr("entry")
	return b
}

func (b *bundler) finish() []byte {
	b.endArr()
	b.writer.end()
	b.g.size = max(4096, len(b.b))
	return b.b
}

// begin opens a resource of the registry, named by its id.
func (b *bundler) begin(typ, id string) {
	b.open(typ, id, handle(hashString(typ+"/"+id)))
}

// resource opens a clinical resource, named by a handle.
func (b *bundler) resource(typ string, h handle) { b.open(typ, b.g.id(b.org, h), h) }

func (b *bundler) open(typ, id string, h handle) {
	b.typ, b.id, b.cond = typ, id, ""
	b.n++
	b.obj("")
	b.str("fullUrl", h.urn())
	b.obj("resource")
	b.str("resourceType", typ)
	b.str("id", id)
}

// close ends the resource and writes its request: PUT by id, or a create that
// an existing match of cond makes void. Either may be posted again.
func (b *bundler) close() {
	b.writer.end()
	b.obj("request")
	if b.cond != "" {
		b.str("method", "POST")
		b.str("url", b.typ)
		b.str("ifNoneExist", b.cond)
	} else {
		b.str("method", "PUT")
		b.str("url", b.typ+"/"+b.id)
	}
	b.writer.end()
	b.writer.end()
}

const hexDigits = "0123456789abcdef"

func appendHex(dst []byte, v uint64, digits int) []byte {
	for i := digits - 1; i >= 0; i-- {
		dst = append(dst, hexDigits[v>>(4*i)&15])
	}
	return dst
}

// urn is the fullUrl: a version 8 UUID (RFC 9562: vendor-specific) of the handle.
func (h handle) urn() string {
	a, c := uint64(h), mix(uint64(h)+1)
	b := append(make([]byte, 0, 45), "urn:uuid:"...)
	b = append(appendHex(b, a>>32, 8), '-')
	b = append(appendHex(b, a>>16, 4), '-', '8')
	b = append(appendHex(b, a, 3), '-', 'a')
	b = append(appendHex(b, c>>48, 3), '-')
	return string(appendHex(b, c, 12))
}

// id is the resource id that the HIS gives: opaque, for ids stand in URLs.
func (g *generator) id(org int, h handle) string {
	b := append(make([]byte, 0, 24), g.short(org)...)
	return string(appendHex(append(b, '-'), uint64(h), 16))
}

// handle is the name of the nth resource of a kind in this record.
func (b *bundler) handle(kind byte, n int) handle {
	return b.g.handleOf(b.org, b.rec.index, kind, n)
}

func (g *generator) handleOf(org, person int, kind byte, n int) handle {
	return handle(hash(g.o.Seed, uint64(org), uint64(person), uint64(kind), uint64(n)))
}

// patientID is the id under which an organisation PUTs a Patient; the county's
// HIS keeps none and creates by MRN.
func (g *generator) patientID(rec *record) string {
	if rec.org == county {
		return ""
	}
	return g.id(rec.org, g.handleOf(rec.org, rec.index, 'P', 0))
}

// subject writes the reference to the record's Patient.
func (b *bundler) subject(k string) { b.ref(k, b.handle('P', 0).urn(), "") }

// doctor picks the physician of a visit; the one in progress is with the first
// of the house.
func (b *bundler) doctor(v *visit) practitioner {
	staff := b.g.staff[b.org]
	for n := uint64(v.n); !v.active; n += 1000 {
		if p := staff[hash(uint64(b.rec.index), n)%uint64(len(staff))]; !p.licensed.IsZero() {
			return p
		}
	}
	return staff[0]
}
