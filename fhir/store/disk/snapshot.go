package disk

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/disk/access"
	"hutong/fhir/store/disk/hot"
	"hutong/fhir/store/disk/judge"
	"hutong/fhir/store/disk/layout"
)

// snapshot is a reading at t. It holds nothing open: rows carry the time from
// which they hold, superseded ones are kept, and every read looks for what
// held at t.
type snapshot struct {
	s *Store
	t fhir.T
}

// Snapshot opens a reading at t, 0 for the newest.
func (s *Store) Snapshot(ctx context.Context, t fhir.T) (store.Snapshot, error) {
	if err := ctxError(ctx); err != nil {
		return nil, err
	}
	newest := fhir.T(s.visible.Load())
	switch {
	case t == 0:
		t = newest
	case t > newest:
		return nil, fhir.Errorf(fhir.Invalid, "the store has not reached that moment")
	case t < s.Horizon():
		return nil, fhir.Errorf(fhir.Gone, "that moment is older than the history that is kept")
	}
	return &snapshot{s: s, t: t}, nil
}

func (s *snapshot) T() fhir.T { return s.t }

func (s *snapshot) Close() {}

// rid looks a resource up by its id.
func (s *Store) rid(typ uint32, id string) (rid layout.RID, found bool, err error) {
	if rid, found = s.ids.RID(typ, id); found {
		return rid, true, nil
	}
	var buf [80]byte
	v, closer, err := s.db.Get(layout.IDKey(buf[:0], typ, id))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, ioError(err)
	}
	rid = layout.RID(binary.BigEndian.Uint64(v))
	s.ids.Keep(typ, id, rid)
	return rid, true, closer.Close()
}

// ridOf is rid by key; found is false for a type that was never stored.
func (s *Store) ridOf(k fhir.Key) (rid layout.RID, found bool, err error) {
	typ, err := s.names.Find(string(k.Type))
	if typ == 0 || err != nil {
		return 0, false, err
	}
	return s.rid(typ, k.ID)
}

// readRow reads the newest row of rid into row and returns its bytes, whose
// memory the row shares.
func (s *Store) readRow(rid layout.RID, row *layout.Row) ([]byte, error) {
	var buf [16]byte
	raw, err := s.get(layout.RowKey(buf[:0], rid))
	if err != nil {
		return nil, err
	}
	if raw == nil {
		return nil, ioError(errors.New("a resource without a row"))
	}
	if err := row.Read(raw, s.names); err != nil {
		return nil, ioError(err)
	}
	return raw, nil
}

// row reads the row of rid that held at t; found is false if there was none yet.
func (s *snapshot) row(rid layout.RID, row *layout.Row) (found bool, err error) {
	if raw := s.s.warm.Row(rid, s.t); raw != nil {
		return true, row.Read(raw, s.s.names)
	}
	raw, err := s.s.readRow(rid, row)
	if err == nil && row.T > s.t {
		raw, err = s.olderRow(rid, row)
	} else if err == nil {
		s.s.warm.Keep(rid, s.t, raw)
	}
	return raw != nil, err
}

// olderRow reads the row before the one in row that held at t, and gives its
// bytes, whose memory the row shares; nil if there was none yet.
func (s *snapshot) olderRow(rid layout.RID, row *layout.Row) (raw []byte, err error) {
	var lo, hi [32]byte
	it, err := s.s.db.NewIter(&pebble.IterOptions{
		LowerBound: layout.OldRowKey(lo[:0], rid, row.VersionID-1),
		UpperBound: append(layout.OldRowKey(hi[:0], rid, 0), 0),
	})
	if err != nil {
		return nil, ioError(err)
	}
	for ok := it.First(); ok && raw == nil; ok = it.Next() {
		var v []byte
		if v, err = it.ValueAndErr(); err != nil {
			break
		}
		v = append([]byte(nil), v...)
		if err = row.Read(v, s.s.names); err != nil {
			break
		}
		if row.T <= s.t {
			raw = v
		}
	}
	if cerr := it.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, ioError(err)
	}
	return raw, nil
}

// body reads the content of a version.
func (s *Store) body(rid layout.RID, ver uint64) (fhir.Body, error) {
	var buf [24]byte
	raw, err := s.get(layout.BodyKey(buf[:0], rid, ver))
	if err != nil {
		return fhir.Body{}, err
	}
	b, err := layout.BodyOf(raw)
	if err != nil {
		return fhir.Body{}, ioError(err)
	}
	return b, nil
}

// resource makes a row into what the contract hands out, body included.
func (s *Store) resource(rid layout.RID, row *layout.Row) (fhir.Resource, error) {
	c := row.Clone()
	r := fhir.Resource{Version: c.Version, Facts: c.Facts}
	if r.Deleted() {
		return r, nil
	}
	var err error
	r.Body, err = s.body(rid, r.VersionID)
	return r, err
}

// at reads the resource that held at t.
func (s *snapshot) at(k fhir.Key) (fhir.Resource, error) {
	rid, found, err := s.s.ridOf(k)
	if err != nil {
		return fhir.Resource{}, err
	}
	var row layout.Row
	if found {
		if found, err = s.row(rid, &row); err != nil {
			return fhir.Resource{}, err
		}
	}
	if !found {
		return fhir.Resource{}, fhir.Errorf(fhir.NotFound, "there is no such resource")
	}
	r := fhir.Resource{Version: row.Version, Facts: row.Facts}
	if r.Deleted() {
		return r, nil
	}
	raw := s.s.warm.Body(rid, row.VersionID)
	if raw == nil {
		var buf [24]byte
		if raw, err = s.s.get(layout.BodyKey(buf[:0], rid, row.VersionID)); err != nil {
			return r, err
		}
		s.s.warm.KeepBody(rid, row.VersionID, raw)
	}
	if r.Body, err = layout.BodyOf(raw); err != nil {
		err = ioError(err)
	}
	return r, err
}

// Get reads the version that is current at t.
func (s *snapshot) Get(ctx context.Context, k fhir.Key) (fhir.Resource, error) {
	leave, err := s.s.enter(ctx)
	if err != nil {
		return fhir.Resource{}, err
	}
	defer leave()
	r, err := s.at(k)
	if err == nil && r.Deleted() {
		err = fhir.Errorf(fhir.Gone, "the resource was deleted")
	}
	return r, err
}

// GetMany reads several keys, leaving out what is absent or deleted.
func (s *snapshot) GetMany(ctx context.Context, keys []fhir.Key) ([]fhir.Resource, error) {
	leave, err := s.s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	x := s.exec(ctx)
	x.warm = s.s.warm
	out, err := x.many(keys)
	return out, join(err, x.tree.Close())
}

// GetVersion reads one version that was made by t.
func (s *snapshot) GetVersion(ctx context.Context, k fhir.Key, versionID uint64) (fhir.Resource, error) {
	leave, err := s.s.enter(ctx)
	if err != nil {
		return fhir.Resource{}, err
	}
	defer leave()
	rid, found, err := s.s.ridOf(k)
	if err != nil {
		return fhir.Resource{}, err
	}
	var row layout.Row
	if found {
		if found, err = s.s.version(rid, versionID, &row); err != nil {
			return fhir.Resource{}, err
		}
	}
	if !found || row.T > s.t {
		return fhir.Resource{}, fhir.Errorf(fhir.NotFound, "there is no such version")
	}
	r, err := s.s.resource(rid, &row)
	if err == nil && r.Deleted() {
		err = fhir.Errorf(fhir.Gone, "this version is the deletion of the resource")
	}
	return r, err
}

// version reads the row of one version of rid. The newest is looked at first:
// a commit may be moving it to the older ones.
func (s *Store) version(rid layout.RID, ver uint64, row *layout.Row) (found bool, err error) {
	if _, err := s.readRow(rid, row); err != nil || row.VersionID == ver {
		return err == nil, err
	}
	var buf [24]byte
	raw, err := s.get(layout.OldRowKey(buf[:0], rid, ver))
	if raw == nil || err != nil {
		return false, err
	}
	if err := row.Read(raw, s.names); err != nil {
		return false, ioError(err)
	}
	return true, nil
}

// Search, Explain and keys share search.go's run.

// keys lists the keys that match q, at most q.Count.
func (s *snapshot) keys(ctx context.Context, q *search.Query) ([]fhir.Key, error) {
	r, err := s.run(ctx, q)
	if err != nil {
		return nil, err
	}
	out := make([]fhir.Key, len(r.page))
	for i := range r.page {
		out[i] = r.page[i].Key
	}
	return out, nil
}

// packed gives a list of a value from memory, or the whole list of a date of
// which no resource has two; nil where the tree is to be read.
func (x *exec) packed(key []byte, date *search.Predicate) (*hot.View, error) {
	if v := x.hot.View(key, x.s.t); v != nil {
		return v, nil
	}
	wanted, err := x.hot.Wants(key, func() (int64, error) { return x.estimate(key, layout.After(key)) })
	if !wanted || err != nil {
		return nil, err
	}
	src := hot.Source{Fresh: x.tree.Fresh, Horizon: x.s.s.Horizon, Check: func() error { return ctxError(x.ctx) }}
	if date != nil {
		src.Dated, src.Span = true, judge.NewDates(date, x.s.s.names).Span
	}
	v, err := x.hot.Build(key, x.s.t, src)
	x.note("read a list into memory: %v", v != nil)
	return v, err
}

// estimate tells about how many postings stand between two lists and values, by
// the tables that they take.
func (x *exec) estimate(lo, hi []byte) (int64, error) {
	n, err := x.s.s.db.EstimateDiskUsage(append([]byte{'X'}, lo...), append([]byte{'X'}, hi...))
	if err != nil {
		return 0, ioError(err)
	}
	return int64(n / postingBytes), nil
}

// known counts the postings of a range whose lists are in memory.
func (x *exec) known(r *access.Range) (n int, ok bool, err error) {
	if x.hot == nil || !r.Fixed && !r.Points {
		return 0, false, nil
	}
	lists, err := x.lists(r)
	if err != nil || len(lists) > x.s.s.opts.MaxLists {
		return 0, false, err
	}
	for _, lv := range lists {
		v := x.hot.View(lv, x.s.t)
		if v == nil {
			return 0, false, nil
		}
		n += v.Len()
	}
	return n, true, nil
}

// join gives the first error.
func join(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// onDate holds the predicates on one date against a value of it.
func (p *part) onDate(lo, hi int64) bool {
	if !search.MatchDate(&p.pred.Values[0], lo, hi) {
		return false
	}
	for _, also := range p.also {
		if !search.MatchDate(&also.Values[0], lo, hi) {
			return false
		}
	}
	return true
}

// dateBounds bounds where a value that onDate takes begins, if it is no longer
// than span.
func (p *part) dateBounds(span int64) (from, to int64) {
	from, to = search.DateBounds(&p.pred.Values[0], span)
	for _, also := range p.also {
		lo, hi := search.DateBounds(&also.Values[0], span)
		from, to = max(from, lo), min(to, hi)
	}
	return from, to
}

// Costs that a search runs up, against Options.MaxExamined.
const (
	costPosting = 1
	costRow     = 4
	costBody    = 50
)

// spend adds to what a search has cost; every so often it looks at the clock.
func (s *Store) spend(ctx context.Context, spent *int64, cost int64) error {
	const look = 512
	before := *spent
	*spent += cost
	if *spent > s.opts.MaxExamined {
		return fhir.Errorf(fhir.TooCostly, "the search looks at too much: narrow it, by a patient or a date")
	}
	if before/look != *spent/look {
		return ctxError(ctx)
	}
	return nil
}
