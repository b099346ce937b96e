package mpi

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/mpi/block"
	"hutong/mpi/bulk"
	"hutong/mpi/link"
	"hutong/mpi/normal"
	"hutong/mpi/shelf"
	"hutong/mpi/source"
)

// The space holds, under one-letter prefixes:
//
//	r/<patient>               row: what is known of a source Patient
//	p/<person>                person: members, or the person it went into
//	b<pass><hash8><patient>   block posting
//	e/<patient>\0<patient>    certain edge, in both directions
//	d/<patient>\0<patient>    human decision, in both directions
//	j/<journal>               journal entry; jp/<person>\0<journal> finds it
//	q/<task>                  task; qs/<status><order> and qp/<patient>\0<task> find it
//	w/<proposal>              proposal; ws/<status><order> finds it
//	o/<journal>               journal entry of a changed person that is not announced yet
//	s/<system>                identifier system that some record carried
//
// and beside them what package report describes.
//
// A change writes its journal entry and everything that follows from it in
// one Apply, so there is no moment at which they disagree.
const (
	rowPrefix, personPrefix, edgePrefix, decisionPrefix = "r/", "p/", "e/", "d/"
	journalPrefix, journalOfPrefix                      = "j/", "jp/"
	taskPrefix, taskStatusPrefix, taskOfPrefix          = "q/", "qs/", "qp/"
	proposalPrefix, proposalStatusPrefix                = "w/", "ws/"
	outboxPrefix, domainPrefix                          = "o/", "s/"
	blockPrefix                                         = 'b'
	sep                                                 = "\x00"
)

// row is what the index keeps of one source Patient. Immutable once cached.
type row struct {
	ID   string
	head rowHead
	rec  *normal.Record
	keys []block.Key
	raw  []byte // as stored, for IfEquals; nil of a glance
}

type rowHead struct {
	Rev       uint64        `json:"n"` // grows with every write of the row
	Version   uint64        `json:"v"` // of the source Patient
	Person    string        `json:"p"`
	Origin    string        `json:"o,omitempty"` // the first person it was given
	Custodian string        `json:"c,omitempty"`
	Inactive  bool          `json:"i,omitempty"`
	Deleted   bool          `json:"d,omitempty"`
	Updated   time.Time     `json:"u"` // lastUpdated of Version
	Links     []source.Link `json:"l,omitempty"`
	Life      link.Life     `json:"f,omitzero"`
}

func (r *row) Revision() uint64    { return r.head.Rev }
func (p *person) Revision() uint64 { return p.Rev }

func (r *row) key() fhir.Key { return fhir.Key{Type: "Patient", ID: r.ID} }

func (r *row) encode() []byte {
	return r.append(r.keys)
}

// brief is the row without its keys: what a pair is judged by (shelf.Brief).
func (r *row) brief() []byte { return r.append(nil) }

func (r *row) append(keys []block.Key) []byte {
	head := r.head.encode()
	b := binary.AppendUvarint(nil, uint64(len(head)))
	b = append(b, head...)
	b = binary.AppendUvarint(b, uint64(len(keys)))
	for _, k := range keys {
		b = k.Append(b)
	}
	return r.rec.Append(b)
}

// headVersion leads a head in binary form. Rows of before begin with the brace
// of JSON, and are read as such until they are written again.
const headVersion = 1

// flags of a head; extra says that links and life follow as JSON, which few
// records have.
const (
	headInactive = 1 << iota
	headDeleted
	headExtra
)

type headMore struct {
	Links []source.Link `json:"l,omitempty"`
	Life  link.Life     `json:"f,omitzero"`
}

// encode writes version, flags, revision, version of the Patient, time in
// microseconds, person, origin, custodian, and the rest as JSON if there is any.
func (h *rowHead) encode() []byte {
	b := []byte{headVersion, 0}
	b = binary.AppendUvarint(b, h.Rev)
	b = binary.AppendUvarint(b, h.Version)
	b = binary.AppendVarint(b, h.Updated.UnixMicro())
	for _, s := range []string{h.Person, h.Origin, h.Custodian} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	if h.Inactive {
		b[1] |= headInactive
	}
	if h.Deleted {
		b[1] |= headDeleted
	}
	if len(h.Links) > 0 || h.Life != (link.Life{}) {
		b[1] |= headExtra
		more, _ := json.Marshal(headMore{h.Links, h.Life}) // texts, numbers and booleans always marshal
		b = append(b, more...)
	}
	return b
}

func (h *rowHead) decode(b []byte) bool {
	if len(b) < 2 || b[0] != headVersion {
		return json.Unmarshal(b, h) == nil
	}
	flags, ok := b[1], true
	b = b[2:]
	num := func() uint64 {
		n, w := binary.Uvarint(b)
		if w <= 0 {
			ok = false
			return 0
		}
		b = b[w:]
		return n
	}
	h.Rev, h.Version = num(), num()
	at, w := binary.Varint(b)
	if !ok || w <= 0 {
		return false
	}
	b = b[w:]
	h.Updated = time.UnixMicro(at).UTC()
	for _, s := range []*string{&h.Person, &h.Origin, &h.Custodian} {
		text, rest, ok := counted(b, 1)
		if !ok {
			return false
		}
		*s, b = string(text), rest
	}
	h.Inactive, h.Deleted = flags&headInactive != 0, flags&headDeleted != 0
	if flags&headExtra == 0 {
		return true
	}
	var more headMore
	err := json.Unmarshal(b, &more)
	h.Links, h.Life = more.Links, more.Life
	return err == nil
}

func decodeRow(id string, raw []byte) (*row, error) {
	r := &row{ID: id, raw: raw}
	head, rest, ok := counted(raw, 1)
	if !ok || !r.head.decode(head) {
		return nil, corrupt("row", id)
	}
	keys, rest, ok := counted(rest, 9)
	if !ok {
		return nil, corrupt("row", id)
	}
	r.keys = readKeys(make([]block.Key, 0, len(keys)/9), keys)
	rec, _, err := normal.DecodeRecord(rest)
	if err != nil {
		return nil, corrupt("row", id)
	}
	r.rec = rec
	return r, nil
}

// readStored reads of a row what the lists in memory keep: its block keys and,
// taken over as they are, head and record.
func readStored(id string, raw []byte, into *shelf.Stored) error {
	head, rest, ok := counted(raw, 1)
	if !ok {
		return corrupt("row", id)
	}
	keys, rec, ok := counted(rest, 9)
	if !ok {
		return corrupt("row", id)
	}
	into.Keys = readKeys(into.Keys, keys)
	into.Brief = append(append(into.Brief, raw[:len(raw)-len(rest)]...), 0) // no keys
	into.Brief = append(into.Brief, rec...)
	if into.Revision, ok = revisionOf(head); !ok {
		return corrupt("row", id)
	}
	return nil
}

// revisionOf reads no more of a head than its revision.
func revisionOf(head []byte) (uint64, bool) {
	if len(head) > 2 && head[0] == headVersion {
		n, w := binary.Uvarint(head[2:])
		return n, w > 0
	}
	var h rowHead
	ok := h.decode(head)
	return h.Rev, ok
}

func readKeys(out []block.Key, raw []byte) []block.Key {
	for ; len(raw) > 0; raw = raw[9:] {
		out = append(out, block.Key{Pass: block.Pass(raw[0]), Hash: binary.BigEndian.Uint64(raw[1:9])})
	}
	return out
}

// counted splits off a run of n*size bytes led by its count n.
func counted(b []byte, size int) (run, rest []byte, ok bool) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)-w)/uint64(size) {
		return nil, nil, false
	}
	end := w + int(n)*size
	return b[w:end], b[end:], true
}

func corrupt(what, id string) error {
	return fhir.Errorf(fhir.Internal, "mpi: stored %s %s cannot be read", what, id)
}

// person is one golden identity. Immutable once cached.
type person struct {
	ID      string   `json:"id"`
	Rev     uint64   `json:"n"`           // grows with every write
	Members []string `json:"m"`           // Patient ids, sorted
	Into    string   `json:"x,omitempty"` // went into this person
	raw     []byte
}

func (x *Index) row(ctx context.Context, id string) (*row, error) {
	if r, ok := x.rows.Get(id); ok {
		return r, nil
	}
	return x.readRow(ctx, id)
}

// rooms are to read briefs into.
var rooms = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// glance is a row to judge by: without its keys, and not to be written, if the
// lists in memory have its brief. n is its number there, or 0.
func (x *Index) glance(ctx context.Context, id string, n uint32) (*row, error) {
	s := x.lists.Load()
	if s == nil {
		return x.row(ctx, id)
	}
	if n == 0 {
		n = s.Number(id)
	}
	r, ok, seen := x.glances.Get(n)
	if ok {
		return r, nil
	}
	room := rooms.Get().(*[]byte)
	defer rooms.Put(room)
	brief, place := s.Brief(n, *room)
	if place == 0 {
		return x.row(ctx, id)
	}
	r, err := decodeRow(id, brief)
	if err != nil {
		return nil, err
	}
	r.raw = nil
	if cap(brief) > cap(*room) {
		*room = brief
	}
	x.glances.PutRead(n, r, seen, func() bool { return s.Place(n) == place })
	return r, nil
}

// readRow reads a row past the cache.
func (x *Index) readRow(ctx context.Context, id string) (*row, error) {
	raw, err := x.space.Get(ctx, []byte(rowPrefix+id))
	if err != nil || raw == nil {
		return nil, err
	}
	r, err := decodeRow(id, raw)
	if err != nil {
		return nil, err
	}
	x.rows.Put(id, r)
	return r, nil
}

// person reads a person, following those that it went into; nil if unknown.
func (x *Index) person(ctx context.Context, id string) (*person, error) {
	return follow(ctx, id, x.personRow)
}

func follow(ctx context.Context, id string, read func(context.Context, string) (*person, error)) (*person, error) {
	for range 64 {
		p, err := read(ctx, id)
		if err != nil || p == nil || p.Into == "" {
			return p, err
		}
		id = p.Into
	}
	return nil, corrupt("person", id)
}

func (x *Index) personRow(ctx context.Context, id string) (*person, error) {
	if p, ok := x.persons.Get(id); ok {
		return p, nil
	}
	return x.readPerson(ctx, id)
}

// readPerson reads a person past the cache.
func (x *Index) readPerson(ctx context.Context, id string) (*person, error) {
	p := &person{}
	raw, err := x.load(ctx, personPrefix+id, p)
	if err != nil || raw == nil {
		return nil, err
	}
	p.raw = raw
	x.persons.Put(id, p)
	return p, nil
}

// load reads a JSON value; raw is nil if there is none.
func (x *Index) load(ctx context.Context, key string, into any) (raw []byte, err error) {
	raw, err = x.space.Get(ctx, []byte(key))
	if err != nil || raw == nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return nil, corrupt("value", key[:2])
	}
	return raw, nil
}

// put makes a JSON write.
func put(key string, v any) store.Write {
	value, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("mpi: %T does not marshal", v))
	}
	return store.Write{Key: []byte(key), Value: value}
}

// expect makes w hold only if the key still has the value that was read.
func expect(w store.Write, old []byte) store.Write {
	if old == nil {
		w.If = store.IfAbsent
	} else {
		w.If, w.Old = store.IfEquals, old
	}
	return w
}

// edge is a certain link between two records, as stored.
type edge struct {
	Weight      float64       `json:"w"`
	Probability float64       `json:"p"`
	Reasons     []link.Reason `json:"r"`
	Model       string        `json:"m"`
}

// decision is what a human said of two records; it outlives every edit.
type decision struct {
	Same    bool   `json:"same"`
	Journal string `json:"j"`
}

func pair(prefix, a, b string) string { return prefix + a + sep + b }

// others lists the second ids of a pair prefix with their values.
func (x *Index) others(ctx context.Context, prefix, id string) (map[string][]byte, error) {
	from := []byte(prefix + id + sep)
	kvs, err := x.space.Scan(ctx, from, behind(from), 0)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]byte, len(kvs))
	for _, kv := range kvs {
		out[string(kv.Key[len(from):])] = kv.Value
	}
	return out, nil
}

// behind is the first key after all keys that begin with prefix.
func behind(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

func keyOf(id string) fhir.Key { return fhir.Key{Type: "Patient", ID: id} }

func keysOf(ids []string) []fhir.Key {
	out := make([]fhir.Key, len(ids))
	for i, id := range ids {
		out[i] = keyOf(id)
	}
	return out
}

func refs(ids []string) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = keyOf(id).String()
	}
	return out
}

// isPerson tells person ids from those of source Patients by their form.
func isPerson(id string) bool { return strings.HasPrefix(id, personIDPrefix) }

const personIDPrefix = "person-"

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func (l *loader) edge(v *bulk.Verdict) *edge {
	return &edge{v.Weight, v.Probability, l.reasons.List(v.Reasons), l.x.model.Version}
}
