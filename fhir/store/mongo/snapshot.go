package mongo

import (
	"context"
	"errors"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/mongo/layout"
	"hutong/fhir/store/mongo/wire"
)

// snapshot is a reading at t. It holds nothing open: versions carry the time
// from which they hold and at which they end.
type snapshot struct {
	s *Store
	t int64
}

// Snapshot opens a reading at t, 0 for the newest: everything that any node
// had answered before the call is in it.
func (s *Store) Snapshot(ctx context.Context, t fhir.T) (store.Snapshot, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if known := s.log.visible.Load(); t > 0 && uint64(t) <= uint64(known) {
		return &snapshot{s: s, t: int64(t)}, nil
	}
	newest, err := s.refresh(ctx)
	switch {
	case err != nil:
		return nil, err
	case t == 0:
		return &snapshot{s: s, t: newest}, nil
	case uint64(t) > uint64(newest):
		return nil, fhir.Errorf(fhir.Invalid, "the store has not reached that moment")
	}
	return &snapshot{s: s, t: int64(t)}, nil
}

func (s *snapshot) T() fhir.T { return fhir.T(s.t) }

func (s *snapshot) Close() {}

// withoutIndex leaves out what only searches ask for.
var withoutIndex = bson.D{{Key: "tok", Value: 0}, {Key: "r", Value: 0}}

// Get reads the version that is current at t.
func (s *snapshot) Get(ctx context.Context, k fhir.Key) (fhir.Resource, error) {
	leave, err := s.s.enter(ctx)
	if err != nil {
		return fhir.Resource{}, err
	}
	defer leave()
	ctx, cancel := s.s.timed(ctx)
	defer cancel()
	var d layout.Current
	err = s.s.current.FindOne(ctx, s.s.route(k.String(), layout.KnownHome(k)), options.FindOne().SetProjection(withoutIndex)).Decode(&d)
	switch {
	case errors.Is(err, driver.ErrNoDocuments):
		return fhir.Resource{}, fhir.Errorf(fhir.NotFound, "there is no such resource")
	case err != nil:
		return fhir.Resource{}, wire.Failure(ctx, err)
	case d.T <= s.t:
		return s.s.resource(k, &d.Head, d.Body)
	}
	return s.before(ctx, k)
}

// older reads the newest version of k that satisfies a condition.
func (s *snapshot) older(ctx context.Context, k fhir.Key, cond bson.E) (*layout.Version, error) {
	var v layout.Version
	err := s.s.versions.FindOne(ctx, bson.D{{Key: "k", Value: k.String()}, cond},
		options.FindOne().SetSort(bson.D{{Key: "k", Value: 1}, {Key: "n", Value: -1}})).Decode(&v)
	if errors.Is(err, driver.ErrNoDocuments) {
		return nil, fhir.Errorf(fhir.NotFound, "there is no such version")
	}
	return &v, wire.Failure(ctx, err)
}

// resource makes a document into what the contract hands out; a deletion is
// Gone.
func (s *Store) resource(k fhir.Key, h *layout.Head, body []byte) (fhir.Resource, error) {
	r := fhir.Resource{Version: h.VersionOf(k), Facts: h.Facts.Facts()}
	if r.Deleted() {
		return r, fhir.Errorf(fhir.Gone, "the resource was deleted")
	}
	var err error
	r.Body, err = s.codec.Unpack(body)
	return r, err
}

// GetMany reads several keys, leaving out what is absent or deleted.
func (s *snapshot) GetMany(ctx context.Context, keys []fhir.Key) ([]fhir.Resource, error) {
	leave, err := s.s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	found := make(map[fhir.Key]fhir.Resource, len(keys))
	for part := range slices.Chunk(keys, 500) {
		if err := s.getPart(ctx, part, found); err != nil {
			return nil, err
		}
	}
	out := make([]fhir.Resource, 0, len(found))
	for _, k := range keys {
		if r, ok := found[k]; ok {
			out = append(out, r)
		}
	}
	return out, nil
}

func (s *snapshot) getPart(ctx context.Context, keys []fhir.Key, found map[fhir.Key]fhir.Resource) error {
	ctx, cancel := s.s.timed(ctx)
	defer cancel()
	ids := bson.A{}
	for _, k := range keys {
		ids = append(ids, k.String())
	}
	cur, err := s.s.current.Find(ctx, wire.ByIDs(ids), options.Find().SetProjection(withoutIndex))
	if err != nil {
		return wire.Failure(ctx, err)
	}
	var docs []layout.Current
	if err := cur.All(ctx, &docs); err != nil {
		return wire.Failure(ctx, err)
	}
	for i := range docs {
		k, _ := fhir.ParseKey(docs[i].ID)
		var r fhir.Resource
		if docs[i].T <= s.t {
			r, err = s.s.resource(k, &docs[i].Head, docs[i].Body)
		} else {
			r, err = s.before(ctx, k)
		}
		switch fhir.KindOf(err) {
		case fhir.NotFound, fhir.Gone:
		default:
			if err != nil {
				return err
			}
			found[k] = r
		}
	}
	return nil
}

// before reads the version of k that held at t and has been superseded.
func (s *snapshot) before(ctx context.Context, k fhir.Key) (fhir.Resource, error) {
	v, err := s.older(ctx, k, bson.E{Key: "t", Value: bson.D{{Key: "$gt", Value: int64(0)}, {Key: "$lte", Value: s.t}}})
	if err != nil {
		return fhir.Resource{}, err
	}
	return s.s.resource(k, &v.Head, v.Body)
}

// GetVersion reads one version that was made by t.
func (s *snapshot) GetVersion(ctx context.Context, k fhir.Key, versionID uint64) (fhir.Resource, error) {
	leave, err := s.s.enter(ctx)
	if err != nil {
		return fhir.Resource{}, err
	}
	defer leave()
	ctx, cancel := s.s.timed(ctx)
	defer cancel()
	v, err := s.older(ctx, k, bson.E{Key: "n", Value: int64(versionID)})
	if err != nil {
		return fhir.Resource{}, err
	}
	if v.T == 0 || v.T > s.t {
		return fhir.Resource{}, fhir.Errorf(fhir.NotFound, "there is no such version")
	}
	return s.s.resource(k, &v.Head, v.Body)
}

// keys lists the keys that match q, at most q.Count.
func (s *snapshot) keys(ctx context.Context, q *search.Query) ([]fhir.Key, error) {
	ctx, cancel := s.s.long(ctx)
	defer cancel()
	c, err := s.exec(ctx).run(q)
	if err != nil {
		return nil, err
	}
	hits, _ := c.Page()
	out := make([]fhir.Key, len(hits))
	for i := range hits {
		out[i] = hits[i].Key
	}
	return out, nil
}
