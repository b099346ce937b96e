package disk

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/disk/layout"
)

// A commit passes three hands. The caller prepares what needs no order:
// encodes bodies, facts and postings. The committer, one goroutine, takes
// transactions one by one, holds their guards and expectations against the
// newest state, gives them their T and applies them to the tree without
// waiting for the disk. The syncer, one goroutine, waits for the disk in the
// order of T, makes each commit visible and answers the caller; while it waits
// the committer goes on, so that many commits share one fsync. What is applied
// and not yet durable is seen by the committer only, because readers look at
// T <= visible.

// head is the newest state applied; it belongs to the committer.
type head struct {
	t       fhir.T
	nextSeq uint64
	high    int64 // newest lastUpdated of all commits, milliseconds
	row     layout.Row
	key     []byte
	val     []byte
}

// pending is a transaction on its way.
type pending struct {
	ctx    context.Context
	tx     *store.Tx
	ops    []prepared
	order  []posting     // the ops' postings by list and value
	batch  *pebble.Batch // nil if the transaction makes nothing
	t      fhir.T
	result store.Result
	err    error
	done   chan struct{}
	fill   func(*pebble.Batch) error // of a batch that is no transaction: see between
}

// prepared is an op with what could be computed without an order.
type prepared struct {
	typ      uint32
	facts    []byte
	postings layout.Postings
	updated  [4]byte // list of the _lastUpdated posting
	// old are the postings of version oldVer as the caller found them; the
	// committer makes its own if another version has come between.
	old    layout.Postings
	oldVer uint64
}

// Commit makes tx visible whole, durably, or not at all.
func (s *Store) Commit(ctx context.Context, tx store.Tx) (store.Result, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return store.Result{}, err
	}
	defer leave()
	if err := s.health.Writable(); err != nil {
		return store.Result{}, err
	}
	p, err := s.prepare(ctx, &tx)
	if err != nil {
		return store.Result{}, err
	}
	select {
	case s.queue <- p:
	default:
		return store.Result{}, fhir.Errorf(fhir.Busy, "too many writes are waiting")
	}
	select {
	case <-p.done:
		return p.result, p.err
	case <-ctx.Done():
		return store.Result{}, fhir.Errorf(fhir.Busy, "the write did not finish in time; it may yet: %w", context.Cause(ctx))
	}
}

// prepare encodes the ops and refuses what no commit could take.
func (s *Store) prepare(ctx context.Context, tx *store.Tx) (*pending, error) {
	p := &pending{ctx: ctx, tx: tx, ops: make([]prepared, len(tx.Ops)), done: make(chan struct{})}
	seen := make(map[fhir.Key]struct{}, len(tx.Ops))
	for i := range tx.Ops {
		op := &tx.Ops[i]
		if _, twice := seen[op.Key]; twice || op.Key.Type == "" || !fhir.ValidID(op.Key.ID) {
			return nil, &store.OpError{Index: i, Err: fhir.Errorf(fhir.Invalid, "a transaction names each resource once, by type and id")}
		}
		seen[op.Key] = struct{}{}
		if err := s.prepareOp(op, &p.ops[i]); err != nil {
			return nil, err
		}
	}
	p.sort()
	return p, nil
}

// size estimates the bytes of the rows that p makes: a batch that grows copies
// all that it holds.
func (p *pending) size() int {
	n := 1024 + 300*len(p.ops) + 32*len(p.order)
	for i := range p.ops {
		n += len(p.tx.Ops[i].Body.Raw) + len(p.ops[i].facts) + p.ops[i].postings.Bytes()
	}
	return n
}

func (s *Store) prepareOp(op *store.Op, p *prepared) (err error) {
	if p.typ, err = s.names.ID(string(op.Key.Type)); err != nil {
		return err
	}
	if op.Method != fhir.Deleted {
		if op.Body.MetaAt == 0 || int(op.Body.MetaAt) >= len(op.Body.Raw) {
			return fhir.Errorf(fhir.Internal, "disk: a write without a body")
		}
		if p.facts, err = layout.AppendFacts(make([]byte, 0, 128), s.names, &op.Facts); err != nil {
			return err
		}
		if err = p.postings.Build(s.names, s.opts.Defs, op.Key, op.Entries, &op.Facts); err != nil {
			return err
		}
	}
	list, err := s.names.ID(layout.ListName(op.Key.Type, layout.UpdatedList))
	binary.BigEndian.PutUint32(p.updated[:], list)
	if err == nil && op.Expect.Kind != store.ExpectAbsent { // what must be absent has nothing to supersede
		err = s.prefetchOld(op.Key, p)
	}
	return err
}

// prefetchOld extracts the postings that the op will supersede, if the
// resource is there already.
func (s *Store) prefetchOld(k fhir.Key, p *prepared) error {
	rid, found, err := s.rid(p.typ, k.ID)
	if !found || err != nil {
		return err
	}
	var row layout.Row
	if _, err := s.readRow(rid, &row); err != nil || row.Deleted() {
		return err
	}
	p.oldVer = row.VersionID
	return s.extractOld(rid, k, &row, &p.old)
}

// extractOld builds the postings of a stored version; the facts are those that
// are stored with it.
func (s *Store) extractOld(rid layout.RID, k fhir.Key, row *layout.Row, into *layout.Postings) error {
	raw, err := s.get(layout.BodyKey(nil, rid, row.VersionID))
	if err != nil {
		return err
	}
	body, err := layout.BodyOf(raw)
	if err != nil {
		return ioError(err)
	}
	entries, _, err := s.opts.Extract(body, k)
	if err != nil {
		return fhir.Errorf(fhir.Internal, "disk: index values of a stored version: %w", err)
	}
	return into.Build(s.names, s.opts.Defs, k, entries, &row.Facts)
}

// commitLoop is the committer. Pebble may end this goroutine (see health): the
// deferred part then refuses what is left.
func (s *Store) commitLoop() {
	defer s.wg.Done()
	defer close(s.syncing)
	var now *pending
	defer func() {
		if now != nil {
			s.answer(now, s.health.Writable())
			for p := range s.queue {
				s.answer(p, s.health.Writable())
			}
		}
	}()
	for p := range s.queue {
		now = p
		if p.err = s.step(p); p.err != nil && p.batch != nil {
			p.err = errors.Join(p.err, p.batch.Close())
			p.batch = nil
		}
		// A refusal too waits for its turn: it may rest on commits that are
		// not durable yet.
		s.syncing <- p
		now = nil
	}
}

// syncLoop is the syncer.
func (s *Store) syncLoop() {
	defer s.wg.Done()
	for p := range s.syncing {
		if p.batch == nil {
			s.answer(p, p.err)
			continue
		}
		if err := p.batch.SyncWait(); err != nil {
			s.health.Fail(err)
			s.answer(p, s.health.Writable())
			continue
		}
		if p.fill == nil {
			s.recent.Add(p.t, p.result.Versions, p.tx.Ops)
		}
		s.visible.Store(uint64(p.t))
		s.watch.wake()
		s.answer(p, p.batch.Close())
	}
}

func (s *Store) answer(p *pending, err error) {
	p.err = err
	close(p.done)
}

// step decides a transaction and applies it.
func (s *Store) step(p *pending) error {
	if err := ctxError(p.ctx); err != nil {
		return err
	}
	if err := s.health.Writable(); err != nil {
		return err
	}
	if p.fill != nil {
		p.batch, p.t = s.db.NewBatch(), s.head.t
		if err := p.fill(p.batch); err != nil {
			return err
		}
		defer s.hot.Reset()
		defer s.pairs.Reset()
		return s.db.ApplyNoSyncWait(p.batch, pebble.Sync)
	}
	for i := range p.tx.Guards {
		if err := s.guard(p.ctx, i, &p.tx.Guards[i]); err != nil {
			return err
		}
	}
	w := &txWriter{s: s, p: p, h: &s.head, b: s.db.NewBatchWithSize(p.size()), t: s.head.t + 1}
	p.batch = w.b
	if err := w.write(); err != nil {
		return err
	}
	p.result = store.Result{T: w.t, Versions: w.versions}
	if len(w.log.Made) == 0 {
		p.result.T = s.head.t
		err := p.batch.Close()
		p.batch = nil
		return err
	}
	if w.undo {
		s.lastUndo.Store(uint64(w.t))
	}
	if err := s.db.ApplyNoSyncWait(w.b, pebble.Sync); err != nil {
		return ioError(err)
	}
	s.hot.Committed(w.t, w.changes)
	for _, home := range w.homes {
		s.pairs.Changed(home, w.t)
	}
	for i := range w.made {
		if m := &w.made[i]; m.row != nil && !m.none {
			s.warm.Changed(m.rid, w.t)
		}
	}
	p.t = w.t
	s.head.t, s.head.nextSeq, s.head.high = w.t, w.log.NextSeq, w.log.High
	return nil
}

// guard holds a guard against the newest state, durable or not.
func (s *Store) guard(ctx context.Context, i int, g *store.Guard) error {
	q := *g.Query
	q.Count, q.After, q.Total, q.Sort = len(g.Expect)+2, nil, false, nil
	found, err := (&snapshot{s: s, t: s.head.t}).keys(ctx, &q)
	if err != nil {
		return err
	}
	want := make(map[fhir.Key]bool, len(g.Expect))
	for _, k := range g.Expect {
		want[k] = true
	}
	ok := len(found) == len(want)
	for _, k := range found {
		ok = ok && want[k]
	}
	if ok {
		return nil
	}
	return &store.GuardError{Index: i, Found: found}
}

// find looks up the rids. Those of many ops are found by one iterator in the
// order of their keys, which costs far less than a get for each.
func (w *txWriter) find() (err error) {
	ops := w.p.tx.Ops
	if len(ops) < 16 {
		for i := range ops {
			m := &w.made[i]
			m.rid, m.created, err = w.s.rid(w.p.ops[i].typ, ops[i].Key.ID)
			if m.created = !m.created; err != nil {
				return err
			}
		}
		return nil
	}
	type wanted struct {
		key []byte
		op  int
	}
	all, buf := make([]wanted, len(ops)), make([]byte, 0, 48*len(ops))
	for i := range ops {
		from := len(buf)
		w.h.key = layout.IDKey(w.h.key, w.p.ops[i].typ, ops[i].Key.ID)
		buf = append(buf, w.h.key...)
		all[i] = wanted{buf[from:len(buf):len(buf)], i}
	}
	slices.SortFunc(all, func(a, b wanted) int { return bytes.Compare(a.key, b.key) })
	it, err := w.s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{'I'}, UpperBound: []byte{'I' + 1}, UseL6Filters: true})
	if err != nil {
		return ioError(err)
	}
	for _, a := range all {
		m := &w.made[a.op]
		if m.created = !it.SeekPrefixGE(a.key); !m.created {
			var v []byte
			if v, err = it.ValueAndErr(); err != nil {
				break
			}
			m.rid = layout.RID(binary.BigEndian.Uint64(v))
		}
	}
	if err = errors.Join(err, it.Close()); err != nil { // Close tells what a seek met
		return ioError(err)
	}
	return nil
}

// recover finds the counters at open: in the newest row of the log.
func (s *Store) recover() error {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{'L'}, UpperBound: []byte{'L' + 1}})
	if err != nil {
		return ioError(err)
	}
	var c layout.Commit
	if it.Last() {
		v, err := it.ValueAndErr()
		if err == nil {
			err = c.Read(v)
		}
		if err != nil {
			return errors.Join(ioError(err), it.Close())
		}
		s.head.t = layout.LogTime(it.Key())
	}
	s.head.nextSeq, s.head.high = max(c.NextSeq, 1), c.High
	s.visible.Store(uint64(s.head.t))
	s.recent.Reset(s.head.t)
	s.lastUndo.Store(uint64(s.head.t))
	return it.Close()
}

// watch wakes those who wait for commits.
type watch struct {
	mu sync.Mutex
	ch chan struct{}
}

func (w *watch) init() { w.ch = make(chan struct{}) }

// next is closed by the next wake.
func (w *watch) next() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ch
}

func (w *watch) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.ch)
	w.ch = make(chan struct{})
}
