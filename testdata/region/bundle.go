package region

import "hutong/profiles"

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

// doctor picks the practitioner of a visit.
func (b *bundler) doctor(v *visit) practitioner {
	staff := b.g.staff[b.org]
	if v.active {
		return staff[0]
	}
	return staff[hash(uint64(b.rec.index), uint64(v.n))%uint64(len(staff))]
}
