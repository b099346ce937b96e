package mongo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/mongo/layout"
	"hutong/fhir/store/mongo/terms"
	"hutong/fhir/store/mongo/wire"
)

// A commit passes two hands. The caller stages: it inserts the versions, which
// nobody sees yet. The committer, one goroutine a node, takes what is staged,
// decides it against the newest state (decide.go), inserts one record for all
// (the commit), makes the versions visible (apply.go) and answers.

// pending is a transaction on its way.
type pending struct {
	ctx    context.Context
	tx     *store.Tx
	token  string // _id of the staged versions begins with it
	staged []stagedOp
	result store.Result
	err    error
	done   chan struct{}
}

// stagedOp is an op with what could be computed without an order.
type stagedOp struct {
	id    string // of its layout.Version
	home  string
	facts layout.Facts
	body  []byte
	index terms.Index
}

// Commit makes tx visible whole, durably, or not at all.
func (s *Store) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return store.Result{}, err
	}
	defer leave()
	p, err := s.prepare(ctx, &tx)
	if err != nil {
		return store.Result{}, err
	}
	s.log.aborts.enter(p.token)
	defer s.log.aborts.leave(p.token)
	if err := s.stage(ctx, p); err != nil {
		s.discard(ctx, p)
		return store.Result{}, err
	}
	if err := s.opts.Fail(Staged); err != nil {
		return store.Result{}, err
	}
	select {
	case s.queue <- p:
	default:
		s.discard(ctx, p)
		return store.Result{}, fhir.Errorf(fhir.Busy, "too many writes are waiting")
	}
	select {
	case <-p.done:
		if p.err != nil && settled(p.err) {
			s.discard(ctx, p)
		}
		return p.result, p.err
	case <-ctx.Done():
		return store.Result{}, fhir.Errorf(fhir.Busy, "the write did not finish in time; it may yet: %w", context.Cause(ctx))
	}
}

// settled tells that a refusal is final, so that nothing can commit what was
// staged.
func settled(err error) bool {
	kind := fhir.KindOf(err)
	return errors.As(err, new(*store.GuardError)) || kind == fhir.Conflict || kind == fhir.Timeout
}

// prepare encodes the ops and refuses what no commit could take.
func (s *Store) prepare(ctx context.Context, tx *store.Tx) (*pending, error) {
	p := &pending{ctx: ctx, tx: tx, token: wire.Token(), staged: make([]stagedOp, len(tx.Ops)), done: make(chan struct{})}
	seen := make(map[fhir.Key]struct{}, len(tx.Ops))
	for i := range tx.Ops {
		op := &tx.Ops[i]
		if _, twice := seen[op.Key]; twice || op.Key.Type == "" || !fhir.ValidID(op.Key.ID) {
			return nil, &store.OpError{Index: i, Err: fhir.Errorf(fhir.Invalid, "a transaction names each resource once, by type and id")}
		}
		seen[op.Key] = struct{}{}
		st := &p.staged[i]
		st.id, st.home = fmt.Sprintf("%s/%d", p.token, i), layout.HomeOf(op.Key, &op.Facts)
		if op.Method == fhir.Deleted {
			continue
		}
		if op.Body.MetaAt == 0 || int(op.Body.MetaAt) >= len(op.Body.Raw) {
			return nil, fhir.Errorf(fhir.Internal, "mongo: a write without a body")
		}
		st.facts, st.body, st.index = layout.FactsOf(&op.Facts), s.codec.Pack(op.Body), terms.Of(op.Entries)
	}
	return p, nil
}

// stage inserts the versions of p, invisible. A deletion has none: its record
// says it all.
func (s *Store) stage(ctx context.Context, p *pending) error {
	now := time.Now().UnixMilli()
	var docs []any
	for i := range p.tx.Ops {
		op, st := &p.tx.Ops[i], &p.staged[i]
		if op.Method == fhir.Deleted {
			continue
		}
		docs = append(docs, layout.Version{ID: st.id, Key: op.Key.String(), Place: int32(i), To: layout.OpenEnd, Staged: now, Body: st.body,
			Head: layout.Head{Type: string(op.Key.Type), Home: st.home, Method: int32(op.Method), Facts: st.facts}})
	}
	if len(docs) == 0 {
		return nil
	}
	wait, cancel := s.timed(ctx)
	defer cancel()
	_, err := s.versions.InsertMany(wait, docs)
	return wire.Failure(wait, err)
}

// discard removes what was staged. What it leaves the sweeper finds.
func (s *Store) discard(ctx context.Context, p *pending) {
	ids := bson.A{}
	for i := range p.staged {
		if p.tx.Ops[i].Method != fhir.Deleted {
			ids = append(ids, p.staged[i].id)
		}
	}
	if len(ids) == 0 {
		return
	}
	ctx, cancel := s.timed(context.WithoutCancel(ctx))
	defer cancel()
	if _, err := s.versions.DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}); err != nil {
		s.opts.Log.Debug().Err(wire.Safe(err)).Msg("staged versions are left to the sweeper")
	}
}

// commitLoop is the committer.
func (s *Store) commitLoop() {
	defer s.wg.Done()
	for p := range s.queue {
		group := s.gather(p)
		for len(group) > 0 {
			group = s.commit(group)
		}
	}
}

// gather takes what waits together with p, up to about Options.Group ops.
func (s *Store) gather(p *pending) []*pending {
	group, ops := []*pending{p}, len(p.tx.Ops)
	for ops < s.opts.Group {
		select {
		case q, ok := <-s.queue:
			if !ok {
				return group
			}
			group, ops = append(group, q), ops+len(q.tx.Ops)
		default:
			return group
		}
	}
	return group
}

// commit decides a group and gives back those that must wait for the others.
func (s *Store) commit(group []*pending) (deferred []*pending) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), s.opts.Commit, wire.ErrSlow)
	defer cancel()
	for {
		d, err := s.decide(ctx, group)
		if err != nil {
			s.refuse(group, err)
			return nil
		}
		if len(d.ops) == 0 {
			d.answer()
			return d.deferred
		}
		won, err := s.append(ctx, d)
		if err != nil {
			d.fail(err)
			return d.deferred
		}
		if !won {
			continue // another node was first: decide again, on what it has done
		}
		if err := s.expose(ctx, d); err != nil {
			d.fail(err)
			return d.deferred
		}
		d.answer()
		return d.deferred
	}
}

// refuse answers all of a group with an error of the database. They may have
// been committed all the same.
func (s *Store) refuse(group []*pending, err error) {
	if kind := fhir.KindOf(err); kind != fhir.Busy && kind != fhir.TooLarge {
		s.opts.Log.Error().Err(err).Msg("commit failed")
	}
	for _, p := range group {
		p.err = err
		close(p.done)
	}
}

// append inserts the group's record behind the last one: the commit. won is
// false if another record stands there. An insertion whose outcome is not known
// is tried again until it is.
func (s *Store) append(ctx context.Context, d *decision) (won bool, err error) {
	rec := layout.Record{ID: layout.RecordID(d.t + 1), Owner: wire.Token(), Count: d.count, Ops: d.ops, Undo: d.undo, Wall: time.Now().UnixMilli()}
	if err := s.chunk(ctx, &rec); err != nil {
		return false, err
	}
	if err := s.opts.Fail(Decided); err != nil {
		return false, err
	}
	won, err = s.insertRecord(ctx, &rec)
	if won {
		d.record = &rec
		return true, s.opts.Fail(Committed)
	}
	if err == nil && rec.Chunks > 0 {
		s.dropChunks(ctx, rec.Owner)
	}
	return false, err
}

// insertRecord is the race for the end of the log.
func (s *Store) insertRecord(ctx context.Context, rec *layout.Record) (won bool, err error) {
	for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		attempt, cancel := s.timed(ctx)
		_, err := s.commits.InsertOne(attempt, rec)
		if err == nil {
			cancel()
			return true, nil
		}
		t, terr := layout.RecordT(rec.ID)
		there, rerr := s.record(attempt, t)
		failed := wire.Failure(attempt, err)
		cancel()
		switch {
		case terr != nil:
			return false, terr
		case rerr == nil && there != nil:
			return there.Owner == rec.Owner, nil
		case rerr == nil && fhir.KindOf(failed) != fhir.Busy:
			return false, failed
		}
		if wire.Pause(ctx, wait) != nil {
			return false, fhir.Errorf(fhir.Busy, "the write did not finish in time; it may yet: %w", wire.ErrSlow)
		}
	}
}

// chunk moves the ops of a large record into documents beside it.
func (s *Store) chunk(ctx context.Context, rec *layout.Record) error {
	if len(rec.Ops) <= s.opts.InlineOps {
		return nil
	}
	var docs []any
	now := time.Now().UnixMilli()
	for at := 0; at < len(rec.Ops); at += s.opts.InlineOps {
		n := len(docs)
		docs = append(docs, layout.Chunk{ID: fmt.Sprintf("%s/%d", rec.Owner, n), Owner: rec.Owner, Nth: int32(n), Staged: now,
			Ops: rec.Ops[at:min(at+s.opts.InlineOps, len(rec.Ops))]})
	}
	wait, cancel := s.timed(ctx)
	defer cancel()
	if _, err := s.chunks.InsertMany(wait, docs); err != nil {
		return wire.Failure(wait, err)
	}
	rec.Ops, rec.Chunks = nil, int32(len(docs))
	return nil
}

func (s *Store) dropChunks(ctx context.Context, owner string) {
	ctx, cancel := s.timed(ctx)
	defer cancel()
	if _, err := s.chunks.DeleteMany(ctx, bson.D{{Key: "g", Value: owner}}); err != nil {
		s.opts.Log.Debug().Err(wire.Safe(err)).Msg("chunks are left to the sweeper")
	}
}
