// Package keyspace keeps the spaces: ordered keys with values, beside the
// resources, written conditionally and together.
package keyspace

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/mongo/wire"
)

// A space has a log of its own, as the resources have: the insertion of record
// name/seq decides a group of writes among all nodes, and then the values are
// set. A record keeps what its writes replaced, so that a scan that was
// overtaken can take them back.

// spaceDoc is the newest value of a key.
type spaceDoc struct {
	ID   string `bson:"_id"` // name/hex of the key: its order is the keys'
	Seq  int64  `bson:"s"`   // the record that set it
	Gone bool   `bson:"gone"`
	Val  []byte `bson:"v"`
}

// spaceRecord is one group of writes.
type spaceRecord struct {
	ID     string       `bson:"_id"` // name/seq
	Owner  string       `bson:"g"`
	Writes []spaceWrite `bson:"w,omitempty"`      // until Done
	Chunks int32        `bson:"chunks,omitempty"` // that hold the writes instead
	Undo   []spaceUndo  `bson:"u"`
	Done   bool         `bson:"done"`
	Wall   int64        `bson:"wall"`
}

type spaceWrite struct {
	Key  string `bson:"k"`
	Gone bool   `bson:"d"`
	Val  []byte `bson:"v"`
}

// spaceUndo is what a write replaced. Large values are not kept.
type spaceUndo struct {
	Key   string `bson:"k"`
	Gone  bool   `bson:"d"`
	Large bool   `bson:"l"`
	Val   []byte `bson:"v"`
}

// spaceChunk holds some of a record's writes.
type spaceChunk struct {
	ID     string       `bson:"_id"`
	Owner  string       `bson:"g"`
	Nth    int32        `bson:"j"`
	Staged int64        `bson:"s"`
	Writes []spaceWrite `bson:"w"`
}

const (
	maxKey      = 1 << 10
	maxValue    = 8 << 20
	maxUndo     = 64 << 10 // a larger replaced value is not kept
	maxInline   = 10 << 20 // bytes of writes in one document
	keptRecords = 512      // records of a space that stay, for scans
)

var spaceName = regexp.MustCompile(`^[A-Za-z0-9-]+$`)

// Set is all spaces of a store.
type Set struct {
	Values, Log, Chunks *driver.Collection
	Timeout             time.Duration // of one operation
	Commit              time.Duration // of a group of writes, retries included
	Help                time.Duration // how long another node may take to apply its record
	Enter               func(context.Context) (func(), error)
	Fail                func() error // called behind the commit, before it is applied

	mu     sync.Mutex
	byName map[string]*space
}

// Space opens a named key-value space.
func (s *Set) Space(name string) store.Space {
	s.mu.Lock()
	defer s.mu.Unlock()
	sp := s.byName[name]
	if sp == nil {
		sp = &space{s: s, name: name, turn: make(chan struct{}, 1)}
		if s.byName == nil {
			s.byName = map[string]*space{}
		}
		s.byName[name] = sp
	}
	return sp
}

// space is a node's part in one space.
type space struct {
	s    *Set
	name string

	turn chan struct{} // held by who works on the log
	head int64         // seq of the newest record known to be applied; turn protects it
	slow int64         // the record that is awaited; turn protects it
	from time.Time     // and since when

	mu      sync.Mutex
	waiting []*spaceRequest
}

type spaceRequest struct {
	ctx    context.Context
	writes []store.Write
	err    error
	done   bool // turn protects it
}

func (sp *space) id(key []byte) string    { return sp.name + "/" + hex.EncodeToString(key) }
func (sp *space) recordID(n int64) string { return fmt.Sprintf("%s/%016x", sp.name, n) }

// enter checks the name and takes the turn.
func (sp *space) enter(ctx context.Context) (leave func(), err error) {
	if !spaceName.MatchString(sp.name) {
		return nil, fhir.Errorf(fhir.Internal, "mongo: a space's name is letters, digits and -")
	}
	return sp.s.Enter(ctx)
}

func (sp *space) take(ctx context.Context) error {
	select {
	case sp.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return wire.CtxError(ctx)
	}
}

// Get returns the value, or nil if there is none.
func (sp *space) Get(ctx context.Context, key []byte) ([]byte, error) {
	leave, err := sp.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	ctx, cancel := wire.Timed(ctx, sp.s.Timeout)
	defer cancel()
	var d spaceDoc
	err = sp.s.Values.FindOne(ctx, bson.D{{Key: "_id", Value: sp.id(key)}}).Decode(&d)
	if errors.Is(err, driver.ErrNoDocuments) || err == nil && d.Gone {
		return nil, nil
	}
	return notNil(d.Val), wire.Failure(ctx, err)
}

func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Apply makes all writes or none. Calls that wait together go into one record.
func (sp *space) Apply(ctx context.Context, writes []store.Write) error {
	leave, err := sp.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	size := 0
	for i := range writes {
		size += len(writes[i].Key) + len(writes[i].Value)
		if len(writes[i].Key) > maxKey || len(writes[i].Value) > maxValue {
			return fhir.Errorf(fhir.TooLarge, "a key has at most %d bytes, a value %d", maxKey, maxValue)
		}
	}
	if len(writes) == 0 {
		return nil
	}
	r := &spaceRequest{ctx: ctx, writes: writes}
	sp.mu.Lock()
	sp.waiting = append(sp.waiting, r)
	sp.mu.Unlock()
	if err := sp.take(ctx); err != nil {
		return fhir.Errorf(fhir.Busy, "the write did not finish in time; it may yet: %w", err)
	}
	defer func() { <-sp.turn }()
	if !r.done {
		sp.commit(context.WithoutCancel(ctx), sp.gather())
	}
	return r.err
}

// gather takes what waits, up to about one document's worth.
func (sp *space) gather() []*spaceRequest {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	size, n := 0, 0
	for n < len(sp.waiting) && (n == 0 || size < maxInline/4) {
		for _, w := range sp.waiting[n].writes {
			size += len(w.Key) + len(w.Value) + 64
		}
		n++
	}
	group := slices.Clone(sp.waiting[:n])
	sp.waiting = append(sp.waiting[:0], sp.waiting[n:]...)
	return group
}

// commit decides a group and answers it.
func (sp *space) commit(ctx context.Context, group []*spaceRequest) {
	ctx, cancel := context.WithTimeoutCause(ctx, sp.s.Commit, wire.ErrSlow)
	defer cancel()
	for {
		won, err := sp.attempt(ctx, group)
		if err != nil {
			for _, r := range group {
				r.err, r.done = err, true
			}
			return
		}
		if won {
			return
		}
	}
}

// attempt decides the group against the newest values and races for the next
// record. won is false if another node was first.
func (sp *space) attempt(ctx context.Context, group []*spaceRequest) (won bool, err error) {
	if err := sp.settle(ctx); err != nil {
		return false, err
	}
	values, err := sp.load(ctx, group)
	if err != nil {
		return false, err
	}
	d := &spaceDecision{values: values, touched: map[string]*spaceUndo{}}
	for _, r := range group {
		d.take(sp, r)
	}
	if len(d.order) == 0 {
		d.answer(group)
		return true, nil
	}
	rec := d.record(sp.recordID(sp.head + 1))
	writes := rec.Writes
	if err := sp.chunk(ctx, rec); err != nil {
		return false, err
	}
	if won, err = sp.insert(ctx, rec); !won || err != nil {
		return false, err
	}
	if err := sp.apply(ctx, rec, writes, sp.head+1); err != nil {
		return false, err
	}
	sp.head++
	d.answer(group)
	return true, nil
}

// spaceDecision is what becomes of a group.
type spaceDecision struct {
	values  map[string][]byte // nil: no value; what is accepted so far included
	touched map[string]*spaceUndo
	order   []string // keys written, in order of their first write
	errs    []error
}

// take accepts or refuses one request.
func (d *spaceDecision) take(sp *space, r *spaceRequest) {
	err := wire.CtxError(r.ctx)
	for i := range r.writes {
		w := &r.writes[i]
		old := d.values[sp.id(w.Key)]
		if w.If == store.IfAbsent && old != nil || w.If == store.IfEquals && (old == nil || !bytes.Equal(old, w.Old)) {
			err = fhir.Errorf(fhir.Conflict, "the value was changed by another request")
		}
	}
	d.errs = append(d.errs, err)
	if err != nil {
		return
	}
	for i := range r.writes {
		id := sp.id(r.writes[i].Key)
		if d.touched[id] == nil {
			old := d.values[id]
			u := &spaceUndo{Key: id, Gone: old == nil, Val: old}
			if len(old) > maxUndo {
				u.Large, u.Val = true, nil
			}
			d.touched[id] = u
			d.order = append(d.order, id)
		}
		d.values[id] = r.writes[i].Value
	}
}

func (d *spaceDecision) record(id string) *spaceRecord {
	rec := &spaceRecord{ID: id, Owner: wire.Token(), Wall: time.Now().UnixMilli()}
	for _, k := range d.order {
		rec.Writes = append(rec.Writes, spaceWrite{Key: k, Gone: d.values[k] == nil, Val: d.values[k]})
		rec.Undo = append(rec.Undo, *d.touched[k])
	}
	return rec
}

func (d *spaceDecision) answer(group []*spaceRequest) {
	for i, r := range group {
		r.err, r.done = d.errs[i], true
	}
}

// load reads the values that a group touches.
func (sp *space) load(ctx context.Context, group []*spaceRequest) (map[string][]byte, error) {
	values := map[string][]byte{}
	ids := bson.A{}
	for _, r := range group {
		for i := range r.writes {
			id := sp.id(r.writes[i].Key)
			if _, known := values[id]; !known {
				values[id] = nil
				ids = append(ids, id)
			}
		}
	}
	ctx, cancel := wire.Timed(ctx, sp.s.Timeout)
	defer cancel()
	for part := range slices.Chunk(ids, 500) {
		cur, err := sp.s.Values.Find(ctx, wire.ByIDs(part))
		if err != nil {
			return nil, wire.Failure(ctx, err)
		}
		var docs []spaceDoc
		if err := cur.All(ctx, &docs); err != nil {
			return nil, wire.Failure(ctx, err)
		}
		for i := range docs {
			if !docs[i].Gone {
				values[docs[i].ID] = notNil(docs[i].Val)
			}
		}
	}
	return values, nil
}

// Scan lists pairs as of one moment.
func (sp *space) Scan(ctx context.Context, from, to []byte, limit int) ([]store.KV, error) {
	leave, err := sp.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	ctx, cancel := wire.Timed(ctx, 6*sp.s.Timeout)
	defer cancel()
	r := spaceRange{lo: sp.id(from), hi: sp.name + "0", limit: limit} // '0' follows '/'
	if to != nil {
		r.hi = sp.id(to)
	}
	for range 10 {
		out, ok, err := sp.scan(ctx, r)
		if ok || err != nil {
			return out, err
		}
	}
	return nil, fhir.Errorf(fhir.Busy, "the space changes faster than it can be read")
}
