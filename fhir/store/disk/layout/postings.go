package layout

import (
	"bytes"
	"encoding/binary"
	"slices"

	"hutong/fhir"
	"hutong/fhir/definition"
	"hutong/fhir/search"
)

// Names gives the interned number of a name, making it if it is new.
type Names interface {
	ID(name string) (uint32, error)
	// IDOf is ID of a name that the caller builds in a buffer of its own.
	IDOf(name []byte) (uint32, error)
}

// Names live in one table: list names are "Type\x00param", types "Type",
// systems "\x01system".

// ListName names the posting list of a parameter of a type.
func ListName(t fhir.Type, param string) string { return string(t) + "\x00" + param }

// SystemName names a system in the table of names.
func SystemName(system string) string { return "\x01" + system }

// Lists that the engine adds to those of the search parameters. Their names
// cannot be parameter codes.
const (
	AllList     = "*"            // every live resource of the type, with an empty value
	UpdatedList = "_lastUpdated" // its lastUpdated in milliseconds
	PairList    = "patient+"     // followed by a token parameter: the patient's id with a token
	HomeList    = "@patient"     // the ids of the patients in whose compartment it lies: Facts.Patients
	IdentList   = ":identifier"  // after a reference parameter: logical references
	CanonList   = ":canon"       // after a quantity parameter: unit and value in canonical units
	PairPatient = "patient"      // the reference parameter that pairs join
)

// Paired are the token parameters that are also indexed together with the
// patient: the question most often asked of a record is "of this patient, of
// this kind, newest first".
var Paired = [...]string{"code", "category"}

// Postings are the posting keys of one resource without their places: each is
// four bytes of list and a value. They are sorted and differ.
type Postings struct {
	keys  [][]byte
	buf   []byte
	class uint32
	home  uint32
}

// Keys lists them; they are valid until the Postings are reset.
func (p *Postings) Keys() [][]byte { return p.keys }

// Bytes is the length of all of them.
func (p *Postings) Bytes() int { return len(p.buf) }

// Has reports whether key is among them.
func (p *Postings) Has(key []byte) bool {
	_, ok := slices.BinarySearchFunc(p.keys, key, bytes.Compare)
	return ok
}

// ClassAt gives the number of the resource's class if it stands at rid; 0 if
// it has none. A resource that moved to another patient has none, so that of
// what has a class with one patient, rid tells the patient's hash.
func (p *Postings) ClassAt(rid RID) uint32 {
	if rid.Home() != p.home {
		return 0
	}
	return p.class
}

// Head gives the first eight bytes of a posting key (the list, and the value's
// first half) as a number of the same order.
func Head(key []byte) uint64 {
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

// Build replaces the postings by those of a resource's entries and facts. What
// defs says others hold already is not posted.
func (p *Postings) Build(n Names, defs *definition.Set, k fhir.Key, entries []search.Entry, f *fhir.Facts) error {
	p.keys, p.buf = slices.Grow(p.keys[:0], len(entries)+8), slices.Grow(p.buf[:0], 48*(len(entries)+8))
	b := builder{p: p, names: n, typ: k.Type}
	p.class, p.home = 0, HashOf(HomeOf(k, f))
	if name := className(f, entries); name != "" {
		p.class = b.id([]byte(name))
	}
	b.list(AllList)
	b.end()
	b.homes(f)
	sources := defs.Sources(k.Type)
	for i := range entries {
		if e := &entries[i]; sources[e.Param] == nil {
			b.entry(e, e.Param.Code)
		}
	}
	b.pairs(entries)
	slices.SortFunc(p.keys, bytes.Compare)
	p.keys = slices.CompactFunc(p.keys, bytes.Equal)
	return b.err
}

// builder writes one posting after the other into the shared buffer.
type builder struct {
	p     *Postings
	names Names
	typ   fhir.Type
	from  int
	name  [96]byte // where names are put together
	err   error
}

func (b *builder) id(name []byte) uint32 {
	if b.err != nil {
		return 0
	}
	id, err := b.names.IDOf(name)
	b.err = err
	return id
}

// list begins a posting of the list whose name has these parts: the code of
// the parameter, and what makes it another list.
func (b *builder) list(parts ...string) {
	name := append(append(b.name[:0], b.typ...), 0)
	for _, part := range parts {
		name = append(name, part...)
	}
	b.from = len(b.p.buf)
	b.p.buf = binary.BigEndian.AppendUint32(b.p.buf, b.id(name))
}

func (b *builder) end() {
	b.p.keys = append(b.p.keys, b.p.buf[b.from:len(b.p.buf):len(b.p.buf)])
}

// entry writes the postings of one entry into the list named list.
func (b *builder) entry(e *search.Entry, list string) {
	switch e.Param.Type {
	case definition.Special:
		return
	case definition.Composite:
		if len(e.Parts) > 0 {
			b.entry(&e.Parts[0], list)
		}
		return
	}
	b.list(list)
	b.value(e)
	b.end()
	b.variants(e, list)
}

// value writes the main form of an entry's value.
func (b *builder) value(e *search.Entry) {
	buf := &b.p.buf
	switch e.Param.Type {
	case definition.Token, definition.Reference:
		b.token(e.Code, e.System)
	case definition.String:
		*buf = AppendCut(*buf, search.Normalize(e.Code))
	case definition.URI:
		*buf = AppendCut(*buf, e.Code)
	case definition.Date:
		*buf = AppendPeriod(*buf, e.Lo, e.Hi)
	case definition.Number, definition.Quantity:
		*buf = AppendRange(*buf, e.Num, e.NumHi)
	}
}

// token writes a code so that codes equal but for case stand together, and
// the system; the code as written follows where it differs.
func (b *builder) token(code, system string) {
	id := uint32(0)
	if system != "" {
		id = b.id(append(append(b.name[:0], 1), system...))
	}
	b.p.buf = AppendToken(b.p.buf, code, id)
}

// variants writes the entry's further forms.
func (b *builder) variants(e *search.Entry, list string) {
	if e.Param.Type == definition.Reference && e.Ident != nil {
		b.list(list, IdentList)
		b.token(e.Ident.Value, e.Ident.System)
		b.end()
	}
	if e.Param.Type == definition.Quantity && e.Canon != nil {
		b.list(list, CanonList)
		b.p.buf = AppendCut(b.p.buf, e.Canon.Unit)
		b.p.buf = AppendFloat(b.p.buf, min(e.Canon.Num, e.Canon.NumLo))
		b.p.buf = AppendFloat(b.p.buf, max(e.Canon.Num, e.Canon.NumHi))
		b.end()
	}
}

// homes writes the patients in whose compartment the resource lies.
func (b *builder) homes(f *fhir.Facts) {
	for _, k := range f.Patients {
		if k.Type == "Patient" {
			b.list(HomeList)
			b.p.buf = AppendCut(b.p.buf, k.ID)
			b.end()
		}
	}
}

// pairs writes each patient together with each code and category.
func (b *builder) pairs(entries []search.Entry) {
	for i := range entries {
		if p := &entries[i]; p.Param.Code == PairPatient && p.System == "Patient" {
			b.pairsOf(p, entries)
		}
	}
}

func (b *builder) pairsOf(patient *search.Entry, entries []search.Entry) {
	for i := range entries {
		e := &entries[i]
		if e.Param.Type != definition.Token || !slices.Contains(Paired[:], e.Param.Code) {
			continue
		}
		b.list(PairList, e.Param.Code)
		b.p.buf = AppendCut(b.p.buf, patient.Code)
		b.token(e.Code, e.System)
		b.end()
	}
}

// AppendToken appends the value that a token posting of exactly this code and
// system has; system is the interned number of its name, 0 for none.
func AppendToken(b []byte, code string, system uint32) []byte {
	fold := search.FoldCode(code)
	b = binary.BigEndian.AppendUint32(AppendCut(b, fold), system)
	if fold == code {
		return append(b, 0)
	}
	return AppendCut(append(b, 1), code)
}

// TokenOf reads AppendToken; cut tells that the code is longer than the key
// holds.
func TokenOf(value []byte) (code string, system uint32, cut, ok bool) {
	code, cut, rest, ok := CutString(value)
	if !ok || len(rest) < 5 {
		return "", 0, false, false
	}
	system = binary.BigEndian.Uint32(rest)
	if rest[4] != 0 {
		code, cut, _, ok = CutString(rest[5:])
	}
	return code, system, cut, ok
}

// Periods are kept in classes by their length, so that a comparison with the
// end of a period is also a short range of beginnings.
var periodClasses = [...]int64{
	0: day + 1,
	1: 32 * day,
	2: 367 * day,
}

const (
	day       = int64(86_400_000_000) // microseconds
	openClass = len(periodClasses)    // longer than any class
	// PeriodClasses is the number of classes.
	PeriodClasses = len(periodClasses) + 1
)

// ClassSpan is the longest period of a class in microseconds; ok is false for
// the last class, which has no bound.
func ClassSpan(class int) (span int64, ok bool) {
	if class >= openClass {
		return 0, false
	}
	return periodClasses[class], true
}

func classOf(lo, hi int64) byte {
	for c, span := range periodClasses {
		if hi-lo <= span {
			return byte(c)
		}
	}
	return byte(openClass)
}

// AppendPeriod appends [lo,hi): its class, its beginning, its length.
func AppendPeriod(b []byte, lo, hi int64) []byte {
	b = AppendInt(append(b, classOf(lo, hi)), lo)
	return binary.AppendUvarint(b, uint64(hi-lo))
}

// PeriodOf reads AppendPeriod.
func PeriodOf(b []byte) (lo, hi int64, ok bool) {
	if len(b) < 10 {
		return 0, 0, false
	}
	lo = IntOf(b[1:9])
	n, k := binary.Uvarint(b[9:])
	return lo, lo + int64(n), k > 0
}

// AppendRange appends a number: class 0 and the point, or class 1 and both ends.
func AppendRange(b []byte, lo, hi float64) []byte {
	if lo == hi {
		return AppendFloat(append(b, 0), lo)
	}
	return AppendFloat(AppendFloat(append(b, 1), lo), hi)
}

// RangeOf reads AppendRange.
func RangeOf(b []byte) (lo, hi float64, ok bool) {
	switch {
	case len(b) == 9 && b[0] == 0:
		lo = FloatOf(b[1:])
		return lo, lo, true
	case len(b) == 17 && b[0] == 1:
		return FloatOf(b[1:]), FloatOf(b[9:]), true
	}
	return 0, 0, false
}
