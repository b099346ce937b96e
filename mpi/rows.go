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

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/mpi/block"
	"hutong/mpi/bulk"
	"hutong/mpi/head"
	"hutong/mpi/link"
	"hutong/mpi/normal"
	"hutong/mpi/shelf"
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
	head head.Head
	rec  *normal.Record
	keys []block.Key
	raw  []byte // as stored, for IfEquals; nil of a glance
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
	first := r.head.Encode()
	b := binary.AppendUvarint(nil, uint64(len(first)))
	b = append(b, first...)
	b = binary.AppendUvarint(b, uint64(len(keys)))
	for _, k := range keys {
		b = k.Append(b)
	}
	return r.rec.Append(b)
}

func decodeRow(id string, raw []byte) (*row, error) {
	r := &row{ID: id, raw: raw}
	first, rest, ok := head.Counted(raw, 1)
	if !ok || !r.head.Decode(first) {
		return nil, corrupt("row", id)
	}
	keys, rest, ok := head.Counted(rest, 9)
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
	first, rest, ok := head.Counted(raw, 1)
	if !ok {
		return corrupt("row", id)
	}
	keys, rec, ok := head.Counted(rest, 9)
	if !ok {
		return corrupt("row", id)
	}
	into.Keys = readKeys(into.Keys, keys)
	into.Brief = append(append(into.Brief, raw[:len(raw)-len(rest)]...), 0) // no keys
	into.Brief = append(into.Brief, rec...)
	if into.Revision, ok = head.RevisionOf(first); !ok {
		return corrupt("row", id)
	}
	return nil
}

func readKeys(out []block.Key, raw []byte) []block.Key {
	for ; len(raw) > 0; raw = raw[9:] {
		out = append(out, block.Key{Pass: block.Pass(raw[0]), Hash: binary.BigEndian.Uint64(raw[1:9])})
	}
	return out
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

// candidate is a record that is met: its id, and its number in the lists in memory,
// or 0.
type candidate struct {
	id string
	n  uint32
}

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
		return x.row(ctx, id)
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

// refresh reads what others changed meanwhile.
func (c *change) refresh(ctx context.Context) error {
	for id := range c.rows {
		if _, err := c.x.readRow(ctx, id); err != nil {
			return err
		}
	}
	for id := range c.persons {
		if _, err := c.x.readPerson(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// finishRows turns changed rows and persons into writes that hold only if
// nobody else changed them. Ids that this process made are nobody else's.
func (c *change) finishRows() {
	for id, r := range c.rows {
		r.head.Rev++
		value := r.encode()
		w := store.Write{Key: []byte(rowPrefix + id), Value: value}
		if !c.unheard || r.ID != c.subject.ID {
			w = expect(w, r.raw)
		}
		c.write(w)
		r.raw = value
	}
	for id, p := range c.persons {
		p.Rev++
		w := put(personPrefix+id, p)
		if p.raw != nil || !slices.Contains(c.minted, id) {
			w = expect(w, p.raw)
		}
		c.write(w)
		p.raw = w.Value
	}
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
