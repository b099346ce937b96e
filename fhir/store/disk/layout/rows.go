package layout

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"
	"unsafe"

	"hutong/fhir"
)

// errRow says that a stored row cannot be read.
var errRow = errors.New("layout: damaged row")

// Row is the header of a version and its facts: what every read and every
// access decision looks at, without the body.
type Row struct {
	fhir.Version
	Facts fhir.Facts
	tail  []byte // the facts as encoded
}

// Ord is the version's order in posting lists: its clinical date, or
// lastUpdated where the resource has none.
func (r *Row) Ord() Ord {
	if r.Facts.Clinical.IsZero() {
		return OrdOf(r.LastUpdated)
	}
	return OrdOf(r.Facts.Clinical)
}

// Dict is Names in both directions.
type Dict interface {
	Names
	Name(id uint32) (string, error)
}

// AppendFacts appends the facts' part of a row.
func AppendFacts(b []byte, n Names, f *fhir.Facts) ([]byte, error) {
	w := writer{b: b, n: n}
	w.flag(!f.Clinical.IsZero())
	if !f.Clinical.IsZero() {
		w.b = binary.AppendVarint(w.b, f.Clinical.UnixMilli())
	}
	w.str(f.Custodian)
	w.keys(f.Patients)
	w.codings(f.Categories)
	w.codings(f.Codes)
	w.codings(f.Labels)
	w.keys(f.Authors)
	return w.b, w.err
}

// AppendRow appends a row whose facts AppendFacts has encoded.
func AppendRow(b []byte, typ uint32, v *fhir.Version, facts []byte) []byte {
	b = binary.AppendUvarint(b, v.VersionID)
	b = binary.AppendUvarint(b, uint64(v.T))
	b = binary.AppendVarint(b, v.LastUpdated.UnixMilli())
	b = append(b, byte(v.Method))
	b = binary.AppendUvarint(b, uint64(typ))
	b = append(b, byte(len(v.ID)))
	b = append(b, v.ID...)
	return append(b, facts...)
}

// Read decodes a row. Its strings share b's memory: Clone the row to keep it
// longer than b. The row's slices are reused.
func (r *Row) Read(b []byte, d Dict) error {
	rd := reader{b: b, d: d}
	r.VersionID = rd.uint()
	r.T = fhir.T(rd.uint())
	r.LastUpdated = time.UnixMilli(rd.int()).UTC()
	r.Method = fhir.Method(rd.byte())
	r.Type = fhir.Type(rd.name())
	r.ID = rd.take(int(rd.byte()))
	r.tail = rd.b
	f := &r.Facts
	f.Clinical = time.Time{}
	if rd.byte() != 0 {
		f.Clinical = time.UnixMilli(rd.int()).UTC()
	}
	f.Custodian = rd.take(int(rd.uint()))
	f.Patients = rd.keys(f.Patients[:0])
	f.Categories = rd.codings(f.Categories[:0])
	f.Codes = rd.codings(f.Codes[:0])
	f.Labels = rd.codings(f.Labels[:0])
	f.Authors = rd.keys(f.Authors[:0])
	return rd.err
}

// VersionOf is the version of a row and the commit that made it, 0 if it cannot
// be read.
func VersionOf(row []byte) (ver uint64, t fhir.T) {
	ver, n := binary.Uvarint(row)
	at, _ := binary.Uvarint(row[max(n, 0):])
	return ver, fhir.T(at)
}

// RawFacts gives the facts as AppendFacts encoded them; they share the memory
// that the row was read from.
func (r *Row) RawFacts() []byte { return r.tail }

// Clone copies the row out of the memory that it was read from.
func (r *Row) Clone() Row {
	c := *r
	c.tail = nil
	c.ID = strings.Clone(r.ID)
	f := &c.Facts
	f.Custodian = strings.Clone(f.Custodian)
	f.Patients, f.Authors = cloneKeys(f.Patients), cloneKeys(f.Authors)
	f.Categories, f.Codes, f.Labels = cloneCodings(f.Categories), cloneCodings(f.Codes), cloneCodings(f.Labels)
	return c
}

func cloneKeys(ks []fhir.Key) []fhir.Key {
	var out []fhir.Key
	for _, k := range ks {
		out = append(out, fhir.Key{Type: k.Type, ID: strings.Clone(k.ID)})
	}
	return out
}

func cloneCodings(cs []fhir.Coding) []fhir.Coding {
	var out []fhir.Coding
	for _, c := range cs {
		out = append(out, fhir.Coding{System: c.System, Code: strings.Clone(c.Code)})
	}
	return out
}

type writer struct {
	b    []byte
	n    Names
	name [96]byte // where names are put together
	err  error
}

func (w *writer) flag(v bool) {
	if v {
		w.b = append(w.b, 1)
	} else {
		w.b = append(w.b, 0)
	}
}

func (w *writer) str(s string) {
	w.b = append(binary.AppendUvarint(w.b, uint64(len(s))), s...)
}

// named writes an interned name: 0 for the empty one.
func (w *writer) named(prefix, s string) {
	id := uint32(0)
	if s != "" && w.err == nil {
		id, w.err = w.n.IDOf(append(append(w.name[:0], prefix...), s...))
	}
	w.b = binary.AppendUvarint(w.b, uint64(id))
}

func (w *writer) keys(keys []fhir.Key) {
	w.b = binary.AppendUvarint(w.b, uint64(len(keys)))
	for _, k := range keys {
		w.named("", string(k.Type))
		w.str(k.ID)
	}
}

func (w *writer) codings(cs []fhir.Coding) {
	w.b = binary.AppendUvarint(w.b, uint64(len(cs)))
	for _, c := range cs {
		w.named("\x01", c.System)
		w.str(c.Code)
	}
}

// reader decodes; after an error everything is zero.
type reader struct {
	b   []byte
	d   Dict
	err error
}

func (r *reader) fail() {
	if r.err == nil {
		r.err = errRow
	}
	r.b = nil
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

// take gives the next n bytes as a string that shares their memory.
func (r *reader) take(n int) string {
	if n < 0 || n > len(r.b) {
		r.fail()
		return ""
	}
	if n == 0 {
		return ""
	}
	s := unsafe.String(&r.b[0], n)
	r.b = r.b[n:]
	return s
}

func (r *reader) name() string {
	id := r.uint()
	if id == 0 || r.err != nil {
		return ""
	}
	s, err := r.d.Name(uint32(id))
	if err != nil {
		r.err = err
	}
	return s
}

func (r *reader) keys(dst []fhir.Key) []fhir.Key {
	for n := r.uint(); n > 0 && r.err == nil; n-- {
		t := r.name()
		dst = append(dst, fhir.Key{Type: fhir.Type(t), ID: r.take(int(r.uint()))})
	}
	return dst
}

func (r *reader) codings(dst []fhir.Coding) []fhir.Coding {
	for n := r.uint(); n > 0 && r.err == nil; n-- {
		s := r.name()
		if s != "" {
			s = s[1:]
		}
		dst = append(dst, fhir.Coding{System: s, Code: r.take(int(r.uint()))})
	}
	return dst
}

// AppendBody appends the stored form of a body.
func AppendBody(b []byte, body fhir.Body) []byte {
	return append(binary.AppendUvarint(b, uint64(body.MetaAt)), body.Raw...)
}

// BodyLen is the length of AppendBody.
func BodyLen(body fhir.Body) int {
	var b [binary.MaxVarintLen64]byte
	return len(binary.AppendUvarint(b[:0], uint64(body.MetaAt))) + len(body.Raw)
}

// BodyOf reads AppendBody; the body shares b's memory.
func BodyOf(b []byte) (fhir.Body, error) {
	at, n := binary.Uvarint(b)
	if n <= 0 || at >= uint64(len(b)-n) {
		return fhir.Body{}, errRow
	}
	return fhir.Body{Raw: b[n:], MetaAt: uint32(at)}, nil
}

// Commit is a row of the change log.
type Commit struct {
	NextSeq uint64 // sequence of the next RID
	High    int64  // newest lastUpdated of this and all earlier commits, milliseconds
	Made    []Made
}

// Made is one version that a commit made.
type Made struct {
	RID RID
	Ver uint64
}

// AppendCommit appends a row of the change log.
func AppendCommit(b []byte, c *Commit) []byte {
	b = binary.AppendUvarint(b, c.NextSeq)
	b = binary.AppendVarint(b, c.High)
	b = binary.AppendUvarint(b, uint64(len(c.Made)))
	for _, m := range c.Made {
		b = binary.BigEndian.AppendUint64(b, uint64(m.RID))
		b = binary.AppendUvarint(b, m.Ver)
	}
	return b
}

// Read decodes a row of the change log, reusing c.Made.
func (c *Commit) Read(b []byte) error {
	r := reader{b: b}
	c.NextSeq, c.High = r.uint(), r.int()
	c.Made = c.Made[:0]
	for n := r.uint(); n > 0 && r.err == nil; n-- {
		if len(r.b) < 8 {
			r.fail()
			break
		}
		rid := RID(binary.BigEndian.Uint64(r.b))
		r.b = r.b[8:]
		c.Made = append(c.Made, Made{RID: rid, Ver: r.uint()})
	}
	return r.err
}
