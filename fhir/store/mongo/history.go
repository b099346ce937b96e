package mongo

import (
	"context"
	"encoding/binary"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/mongo/layout"
	"hutong/fhir/store/mongo/wire"
)

// historyRun collects one page of a history. Versions are visited newest
// first, those of one commit in the order of its ops.
type historyRun struct {
	s     *snapshot
	h     *store.History
	now   time.Time
	after position
	last  position
	page  store.HistoryPage
	seen  int
}

// position of a version in a history: the commit and the place in it.
type position struct {
	T     int64
	Place int32
}

func (p position) bytes() []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, uint64(p.T)), uint32(p.Place))
}

// behind reports whether p comes later in the listing than q (zero: the front).
func (p position) behind(q position) bool {
	return q == position{} || p.T < q.T || p.T == q.T && p.Place > q.Place
}

// History lists versions newest first.
func (s *snapshot) History(ctx context.Context, h store.History) (store.HistoryPage, error) {
	leave, err := s.s.enter(ctx)
	if err != nil {
		return store.HistoryPage{}, err
	}
	defer leave()
	ctx, cancel := s.s.long(ctx)
	defer cancel()
	r := &historyRun{s: s, h: &h, now: s.s.opts.Now()}
	if h.After != nil {
		if len(h.After) != 12 {
			return store.HistoryPage{}, fhir.Errorf(fhir.Invalid, "the page token is damaged")
		}
		r.after = position{int64(binary.BigEndian.Uint64(h.After)), int32(binary.BigEndian.Uint32(h.After[8:]))}
	}
	if err := r.run(ctx); err != nil {
		return store.HistoryPage{}, err
	}
	r.page.Total = -1
	if h.Total {
		r.page.Total = r.seen
	}
	return r.page, nil
}

// filter of the versions that the history is about.
func (r *historyRun) filter() bson.D {
	f := bson.D{}
	switch {
	case r.h.Key.ID != "":
		f = append(f, bson.E{Key: "k", Value: r.h.Key.String()})
	case r.h.Key.Type != "":
		f = append(f, bson.E{Key: "type", Value: string(r.h.Key.Type)})
	}
	newest := r.s.t
	if r.after.T != 0 && !r.h.Total {
		newest = min(newest, r.after.T)
	}
	f = append(f, bson.E{Key: "t", Value: bson.D{{Key: "$gt", Value: int64(0)}, {Key: "$lte", Value: newest}}})
	var at bson.D
	if !r.h.Since.IsZero() {
		at = append(at, bson.E{Key: "$gte", Value: ceilMilli(r.h.Since)})
	}
	if !r.h.Before.IsZero() {
		at = append(at, bson.E{Key: "$lt", Value: ceilMilli(r.h.Before)})
	}
	if at != nil {
		f = append(f, bson.E{Key: "at", Value: at})
	}
	return f
}

// ceilMilli is the first millisecond that is not before t.
func ceilMilli(t time.Time) int64 { return t.Add(time.Millisecond - 1).UnixMilli() }

func (r *historyRun) run(ctx context.Context) error {
	o := options.Find().SetSort(bson.D{{Key: "t", Value: -1}, {Key: "i", Value: 1}, {Key: "_id", Value: 1}}).SetBatchSize(r.s.s.opts.Batch)
	if r.h.Total || r.h.Count == 0 {
		o.SetProjection(bson.D{{Key: "b", Value: 0}}) // counted; those of the page are read again
	}
	cur, err := r.s.s.versions.Find(ctx, r.filter(), o)
	if err != nil {
		return wire.Failure(ctx, err)
	}
	defer func() { _ = cur.Close(ctx) }()
	var page []layout.Version
	for n := int64(0); cur.Next(ctx); n++ {
		if n >= r.s.s.opts.MaxExamined {
			return errTooCostly()
		}
		var v layout.Version
		if err := cur.Decode(&v); err != nil {
			return wire.Failure(ctx, err)
		}
		if stop := r.visit(&v, &page); stop {
			break
		}
	}
	if err := cur.Err(); err != nil {
		return wire.Failure(ctx, err)
	}
	return r.fill(ctx, page)
}

// visit takes a version into the page if it belongs there; stop says that
// nothing more is wanted.
func (r *historyRun) visit(v *layout.Version, page *[]layout.Version) (stop bool) {
	k, _ := fhir.ParseKey(v.Key)
	facts := v.Facts.Facts()
	if !r.h.Restriction.Sees(k, &facts, r.now) {
		return false
	}
	r.seen++
	pos := position{v.T, v.Place}
	if !pos.behind(r.after) {
		return false
	}
	if len(*page) >= r.h.Count {
		if r.h.Count > 0 && r.page.Next == nil {
			r.page.Next = r.last.bytes()
		}
		return !r.h.Total
	}
	*page = append(*page, *v)
	r.last = pos
	return false
}

// fill reads the bodies of the page.
func (r *historyRun) fill(ctx context.Context, page []layout.Version) error {
	if err := r.s.s.bodies(ctx, page); err != nil {
		return err
	}
	for i := range page {
		k, _ := fhir.ParseKey(page[i].Key)
		res, err := r.s.s.resource(k, &page[i].Head, page[i].Body)
		if err != nil && fhir.KindOf(err) != fhir.Gone {
			return err
		}
		r.page.Versions = append(r.page.Versions, res)
	}
	return nil
}

// bodies reads those of versions that lack theirs.
func (s *Store) bodies(ctx context.Context, docs []layout.Version) error {
	at := map[string]int{}
	ids := bson.A{}
	for i := range docs {
		if docs[i].Body == nil && fhir.Method(docs[i].Method) != fhir.Deleted {
			at[docs[i].ID] = i
			ids = append(ids, docs[i].ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	cur, err := s.versions.Find(ctx, wire.ByIDs(ids), options.Find().SetProjection(bson.D{{Key: "b", Value: 1}}))
	if err != nil {
		return wire.Failure(ctx, err)
	}
	defer func() { _ = cur.Close(ctx) }()
	for cur.Next(ctx) {
		var d struct {
			ID   string `bson:"_id"`
			Body []byte `bson:"b"`
		}
		if err := cur.Decode(&d); err != nil {
			return wire.Failure(ctx, err)
		}
		docs[at[d.ID]].Body = d.Body
	}
	return wire.Failure(ctx, cur.Err())
}

// Changes lists committed versions with T > after, whole commits only.
func (s *Store) Changes(ctx context.Context, after fhir.T, limit int) ([]store.Change, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	newest, err := s.refresh(ctx)
	if err != nil || uint64(after) >= uint64(newest) {
		return nil, err
	}
	ctx, cancel := s.long(ctx)
	defer cancel()
	cur, err := s.versions.Find(ctx, bson.D{{Key: "t", Value: bson.D{{Key: "$gt", Value: int64(after)}, {Key: "$lte", Value: newest}}}},
		options.Find().SetSort(bson.D{{Key: "t", Value: 1}, {Key: "i", Value: 1}, {Key: "_id", Value: 1}}).
			SetProjection(bson.D{{Key: "b", Value: 0}}).SetBatchSize(s.opts.Batch))
	if err != nil {
		return nil, wire.Failure(ctx, err)
	}
	return s.wholeCommits(ctx, cur, limit)
}

// wholeCommits reads versions in order of T until limit is reached and a commit
// is complete.
func (s *Store) wholeCommits(ctx context.Context, cur *driver.Cursor, limit int) (out []store.Change, err error) {
	defer func() { _ = cur.Close(ctx) }()
	for cur.Next(ctx) {
		var v layout.Version
		if err := cur.Decode(&v); err != nil {
			return nil, wire.Failure(ctx, err)
		}
		if n := len(out); n > 0 && n >= limit && out[n-1].T != fhir.T(v.T) {
			return out, nil
		}
		k, _ := fhir.ParseKey(v.Key)
		out = append(out, store.Change{Version: v.VersionOf(k), Facts: v.Facts.Facts()})
	}
	return out, wire.Failure(ctx, cur.Err())
}

// long bounds a reading of many round trips.
func (s *Store) long(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, 6*s.opts.Timeout, wire.ErrSlow)
}

func errTooCostly() error {
	return fhir.Errorf(fhir.TooCostly, "the search looks at too much: narrow it, by a patient or a date")
}
