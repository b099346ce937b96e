package mongo

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"hutong/fhir"
	"hutong/fhir/store/mongo/layout"
	"hutong/fhir/store/mongo/terms"
	"hutong/fhir/store/mongo/wire"
)

// Step names a place in a commit, for Options.Fail.
type Step uint8

// The steps, in order. A node that dies behind Committed has committed.
const (
	Staged         Step = iota + 1 // versions are inserted, nobody sees them
	Decided                        // guards and expectations hold, the record is not there
	Committed                      // the record is there
	Exposed                        // versions carry their T, the current documents are the old ones
	Replaced                       // the current documents are the new ones, the record is not marked
	SpaceCommitted                 // a space's record is there, its values are the old ones
)

// expose makes the versions of this node's own record visible.
func (s *Store) expose(ctx context.Context, d *decision) error {
	staged := map[string]*stagedOp{}
	for _, p := range d.accepted {
		for i := range p.staged {
			staged[p.staged[i].id] = &p.staged[i]
		}
	}
	var docs []layout.Current
	for i := range d.ops {
		if op := &d.ops[i]; op.Last {
			st := staged[op.Version]
			facts := st.facts
			if op.Facts != nil {
				facts = *op.Facts
			}
			docs = append(docs, layout.CurrentOf(op, facts, st.body, &st.index))
		}
	}
	if err := s.apply(ctx, d.record, d.ops, docs); err != nil {
		return err
	}
	s.took(d.record)
	return nil
}

// finish makes visible what another node committed and left. Two nodes may do
// it at once, also long after a third: every step is a fixed value, or gives
// way to a newer one.
func (s *Store) finish(ctx context.Context, rec *layout.Record) error {
	ops, err := s.opsOf(ctx, rec)
	if err != nil {
		return err
	}
	if ops == nil && rec.Chunks > 0 {
		return nil // somebody else has finished, and dropped the chunks
	}
	docs, err := s.rebuild(ctx, ops)
	if err != nil {
		return err
	}
	return s.apply(ctx, rec, ops, docs)
}

// opsOf gives the ops of a record; nil if its chunks are gone.
func (s *Store) opsOf(ctx context.Context, rec *layout.Record) ([]layout.Op, error) {
	if rec.Chunks == 0 {
		return rec.Ops, nil
	}
	ctx, cancel := s.timed(ctx)
	defer cancel()
	cur, err := s.chunks.Find(ctx, bson.D{{Key: "g", Value: rec.Owner}}, options.Find().SetSort(bson.D{{Key: "j", Value: 1}}))
	if err != nil {
		return nil, wire.Failure(ctx, err)
	}
	var docs []layout.Chunk
	if err := cur.All(ctx, &docs); err != nil || len(docs) != int(rec.Chunks) {
		return nil, wire.Failure(ctx, err)
	}
	var ops []layout.Op
	for i := range docs {
		ops = append(ops, docs[i].Ops...)
	}
	return ops, nil
}

// rebuild makes the current documents of a record from the staged versions.
func (s *Store) rebuild(ctx context.Context, ops []layout.Op) ([]layout.Current, error) {
	var docs []layout.Current
	for i := range ops {
		op := &ops[i]
		if !op.Last {
			continue
		}
		if op.Facts != nil {
			docs = append(docs, layout.CurrentOf(op, *op.Facts, nil, nil))
			continue
		}
		v, err := s.staged(ctx, op)
		if err != nil {
			return nil, err
		}
		k, _ := fhir.ParseKey(op.Key)
		body, err := s.codec.Unpack(v.Body)
		if err != nil {
			return nil, err
		}
		entries, _, err := s.opts.Extract(body, k)
		if err != nil {
			return nil, fhir.Errorf(fhir.Internal, "mongo: index values of a stored version: %w", err)
		}
		ix := terms.Of(entries)
		docs = append(docs, layout.CurrentOf(op, v.Facts, v.Body, &ix))
	}
	return docs, nil
}

func (s *Store) staged(ctx context.Context, op *layout.Op) (*layout.Version, error) {
	ctx, cancel := s.timed(ctx)
	defer cancel()
	var v layout.Version
	err := s.versions.FindOne(ctx, s.route(op.Version, op.Home)).Decode(&v)
	return &v, wire.Failure(ctx, err)
}

// apply does what a record says: versions first, then the current documents,
// then the mark. A reader looks the other way round, so that it sees a
// superseded version in one place or in both.
func (s *Store) apply(ctx context.Context, rec *layout.Record, ops []layout.Op, docs []layout.Current) error {
	if err := s.applyVersions(ctx, ops); err != nil {
		return err
	}
	if err := s.opts.Fail(Exposed); err != nil {
		return err
	}
	if err := s.applyCurrent(ctx, docs); err != nil {
		return err
	}
	if err := s.opts.Fail(Replaced); err != nil {
		return err
	}
	mark, cancel := s.timed(ctx)
	defer cancel()
	_, err := s.commits.UpdateOne(mark, bson.D{{Key: "_id", Value: rec.ID}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "done", Value: true}}}, {Key: "$unset", Value: bson.D{{Key: "ops", Value: ""}}}})
	if err == nil && rec.Chunks > 0 {
		s.dropChunks(ctx, rec.Owner)
	}
	return wire.Failure(mark, err)
}

// applyVersions numbers the versions of a record, and then ends those that
// they supersede, which may be of the same record.
func (s *Store) applyVersions(ctx context.Context, ops []layout.Op) error {
	var number, end []driver.WriteModel
	for i := range ops {
		op := &ops[i]
		number = append(number, s.numbering(op))
		if op.Prev != "" {
			end = append(end, driver.NewUpdateOneModel().SetFilter(s.route(op.Prev, op.PrevHome)).
				SetUpdate(bson.D{{Key: "$set", Value: bson.D{{Key: "to", Value: op.T}}}}))
		}
	}
	err := s.bulk(ctx, s.versions, number)
	if errors.Is(err, errDuplicate) { // another node has written a deletion at the same time
		err = s.bulk(ctx, s.versions, number)
	}
	if err != nil {
		return err
	}
	return s.bulk(ctx, s.versions, end)
}

// numbering is the write that makes a version one of commit T. A deletion is
// written whole; it may be ended already, by a later op or by a later commit.
func (s *Store) numbering(op *layout.Op) driver.WriteModel {
	set := bson.D{{Key: "t", Value: op.T}, {Key: "n", Value: op.Number}, {Key: "at", Value: op.At}, {Key: "ord", Value: op.Ord}}
	m := driver.NewUpdateOneModel().SetFilter(s.route(op.Version, op.Home))
	if op.Facts == nil {
		return m.SetUpdate(bson.D{{Key: "$set", Value: set}})
	}
	typ, _, _ := strings.Cut(op.Key, "/")
	whole := bson.D{{Key: "k", Value: op.Key}, {Key: "type", Value: typ}, {Key: "i", Value: op.Place}, {Key: "m", Value: op.Method},
		{Key: "f", Value: op.Facts}, {Key: "to", Value: int64(layout.OpenEnd)}, {Key: "s", Value: int64(0)}}
	if !s.server.Sharded {
		whole = append(whole, bson.E{Key: "patient", Value: op.Home}) // otherwise the filter sets it
	}
	return m.SetUpdate(bson.D{{Key: "$setOnInsert", Value: append(whole, set...)}}).SetUpsert(true)
}

// applyCurrent puts the current documents where nothing newer is. First
// versions are inserted: there was no document.
func (s *Store) applyCurrent(ctx context.Context, docs []layout.Current) error {
	var models []driver.WriteModel
	for i := range docs {
		if docs[i].Number == 1 {
			models = append(models, driver.NewInsertOneModel().SetDocument(&docs[i]))
			continue
		}
		models = append(models, driver.NewReplaceOneModel().SetFilter(s.older(&docs[i])).SetReplacement(&docs[i]).SetUpsert(true))
	}
	err := s.bulk(ctx, s.current, models)
	if !errors.Is(err, errDuplicate) {
		return err
	}
	// Somebody helps: a document is there already, with this T or a newer one.
	for i := range docs {
		if err := s.replace(ctx, &docs[i]); err != nil {
			return err
		}
	}
	return nil
}

// older is the filter of a current document that d may replace.
func (s *Store) older(d *layout.Current) bson.D {
	return append(s.route(d.ID, d.Home), bson.E{Key: "t", Value: bson.D{{Key: "$lt", Value: d.T}}})
}

// replace puts d where nothing newer is, whoever else does so.
func (s *Store) replace(ctx context.Context, d *layout.Current) error {
	ctx, cancel := s.timed(ctx)
	defer cancel()
	for range 2 {
		r, err := s.current.ReplaceOne(ctx, s.older(d), d)
		if err != nil || r.MatchedCount > 0 {
			return wire.Failure(ctx, err)
		}
		if _, err = s.current.InsertOne(ctx, d); err == nil || !driver.IsDuplicateKeyError(err) {
			return wire.Failure(ctx, err)
		}
	}
	return nil // what is there is not older
}

// errDuplicate says that a bulk met documents that are there already.
var errDuplicate = errors.New("mongo: duplicate _id")

// maxBulk bounds what one round trip writes.
const maxBulk = 500

func (s *Store) bulk(ctx context.Context, c *driver.Collection, models []driver.WriteModel) error {
	for at := 0; at < len(models); at += maxBulk {
		wait, cancel := s.timed(ctx)
		_, err := c.BulkWrite(wait, models[at:min(at+maxBulk, len(models))], options.BulkWrite().SetOrdered(false))
		err = s.bulkFailure(wait, err)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) bulkFailure(ctx context.Context, err error) error {
	if driver.IsDuplicateKeyError(err) {
		return errDuplicate
	}
	return wire.Failure(ctx, err)
}

// sweepLoop aborts from time to time what dead nodes left half-written.
func (s *Store) sweepLoop() {
	defer s.wg.Done()
	for wire.Pause(s.closing, max(s.opts.Abandon/2, time.Second)) == nil {
		ctx, cancel := context.WithTimeoutCause(s.closing, s.opts.Commit, wire.ErrSlow)
		if n, err := s.Sweep(ctx); err != nil {
			s.opts.Log.Warn().Err(err).Msg("sweep failed")
		} else if n > 0 {
			s.opts.Log.Info().Int("transactions", n).Msg("aborted what was left half-written")
		}
		cancel()
	}
}

// Sweep aborts transactions whose versions have been staged for longer than
// Options.Abandon and were not committed, and gives their number. The abort is
// a record of the log: whoever would commit such a transaction later must read
// it first.
func (s *Store) Sweep(ctx context.Context) (int, error) {
	for {
		t, err := s.settle(ctx)
		if err != nil {
			return 0, err
		}
		tokens, err := s.abandoned(ctx)
		if err != nil || len(tokens) == 0 {
			return 0, err
		}
		rec := layout.Record{ID: layout.RecordID(t + 1), Owner: wire.Token(), Count: 1, Done: true, Aborted: tokens, Wall: time.Now().UnixMilli()}
		won, err := s.insertRecord(ctx, &rec)
		if err != nil {
			return 0, err
		}
		if won {
			s.took(&rec)
			return len(tokens), s.remove(ctx, tokens)
		}
	}
}

// maxSwept bounds one abort record.
const maxSwept = 1000

// abandoned lists the transactions that have been staged for long, and the
// groups whose chunks have.
func (s *Store) abandoned(ctx context.Context) ([]string, error) {
	ctx, cancel := s.timed(ctx)
	defer cancel()
	old := bson.E{Key: "s", Value: bson.D{{Key: "$lt", Value: time.Now().Add(-s.opts.Abandon).UnixMilli()}}}
	tokens := map[string]bool{}
	for _, q := range []struct {
		c      *driver.Collection
		filter bson.D
	}{{s.versions, bson.D{{Key: "t", Value: int64(0)}, old}}, {s.chunks, bson.D{old}}} {
		cur, err := q.c.Find(ctx, q.filter, options.Find().SetProjection(bson.D{{Key: "_id", Value: 1}}).SetLimit(10*maxSwept).SetSort(bson.D{{Key: "_id", Value: 1}}))
		if err != nil {
			return nil, wire.Failure(ctx, err)
		}
		var docs []struct {
			ID string `bson:"_id"`
		}
		if err := cur.All(ctx, &docs); err != nil {
			return nil, wire.Failure(ctx, err)
		}
		for _, d := range docs {
			token, _, _ := strings.Cut(d.ID, "/")
			if len(tokens) < maxSwept && !s.log.aborts.inFlight(token) {
				tokens[token] = true
			}
		}
	}
	var out []string
	for t := range tokens {
		out = append(out, t)
	}
	return out, nil
}

// remove deletes what aborted transactions staged.
func (s *Store) remove(ctx context.Context, tokens []string) error {
	ctx, cancel := s.timed(ctx)
	defer cancel()
	for _, token := range tokens {
		of := bson.E{Key: "_id", Value: bson.D{{Key: "$gte", Value: token + "/"}, {Key: "$lt", Value: token + "0"}}}
		_, err := s.versions.DeleteMany(ctx, bson.D{of, {Key: "t", Value: int64(0)}})
		if err == nil {
			_, err = s.chunks.DeleteMany(ctx, bson.D{of})
		}
		if err != nil {
			return wire.Failure(ctx, err)
		}
	}
	return nil
}
