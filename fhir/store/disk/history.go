package disk

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/disk/health"
	"hutong/fhir/store/disk/layout"
	"hutong/fhir/store/disk/rebuild"
	"hutong/fhir/store/disk/retain"
)

// historyRun collects one page of a history. Versions are visited newest
// first; each has a position, and After names the position of the last one
// that an earlier page gave.
type historyRun struct {
	s     *snapshot
	h     *store.History
	now   time.Time
	after position
	page  store.HistoryPage
	last  position
	row   layout.Row
	seen  int
	spent int64
}

// position of a version in a history: the commit and the place in it.
type position struct {
	T   fhir.T
	Nth uint32
}

func (p position) bytes() []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, uint64(p.T)), p.Nth)
}

// behind reports whether p comes later in the listing than q (zero: the front).
func (p position) behind(q position) bool {
	return q == position{} || p.T < q.T || p.T == q.T && p.Nth > q.Nth
}

// History lists versions newest first; those of one commit in the order of its
// ops.
func (s *snapshot) History(ctx context.Context, h store.History) (store.HistoryPage, error) {
	leave, err := s.s.enter(ctx)
	if err != nil {
		return store.HistoryPage{}, err
	}
	defer leave()
	r := &historyRun{s: s, h: &h, now: s.s.opts.Now()}
	if h.After != nil {
		if len(h.After) != 12 {
			return store.HistoryPage{}, fhir.Errorf(fhir.Invalid, "the page token is damaged")
		}
		r.after = position{fhir.T(binary.BigEndian.Uint64(h.After)), binary.BigEndian.Uint32(h.After[8:])}
	}
	if h.Key.ID != "" {
		err = r.instance(ctx)
	} else {
		err = r.scope(ctx)
	}
	if err != nil {
		return store.HistoryPage{}, err
	}
	r.page.Total = -1
	if h.Total {
		r.page.Total = r.seen
	}
	return r.page, nil
}

// instance visits the versions of one resource.
func (r *historyRun) instance(ctx context.Context) error {
	rid, found, err := r.s.s.ridOf(r.h.Key)
	if !found || err != nil {
		return err
	}
	if found, err = r.s.row(rid, &r.row); !found || err != nil {
		return err
	}
	for ver := r.row.VersionID; ver > 0; ver-- {
		stop, err := r.visit(ctx, layout.Made{RID: rid, Ver: ver}, 0)
		if stop || err != nil {
			return err
		}
	}
	return nil
}

// scope visits the log of one type or of all, from the snapshot backwards.
func (r *historyRun) scope(ctx context.Context) error {
	lo, hi, err := r.bounds()
	if lo == nil || err != nil {
		return err
	}
	it, err := r.s.s.db.NewIter(&pebble.IterOptions{LowerBound: lo, UpperBound: hi})
	if err != nil {
		return ioError(err)
	}
	var c layout.Commit
	stop := false
	for ok := it.Last(); ok && !stop && err == nil; ok = it.Prev() {
		var v []byte
		if v, err = it.ValueAndErr(); err != nil {
			break
		}
		if err = c.Read(v); err != nil {
			err = ioError(err)
			break
		}
		if !r.h.Since.IsZero() && c.High < r.h.Since.UnixMilli() {
			break // no earlier commit has a later lastUpdated
		}
		stop, err = r.commit(ctx, layout.LogTime(it.Key()), &c)
	}
	if cerr := it.Close(); err == nil && cerr != nil {
		err = ioError(cerr)
	}
	return err
}

func (r *historyRun) commit(ctx context.Context, t fhir.T, c *layout.Commit) (stop bool, err error) {
	for i, m := range c.Made {
		if !r.h.Total && !(position{t, uint32(i)}).behind(r.after) {
			continue
		}
		if stop, err = r.visit(ctx, m, uint32(i)); stop || err != nil {
			return stop, err
		}
	}
	return false, nil
}

// bounds of the log that the history reads.
func (r *historyRun) bounds() (lo, hi []byte, err error) {
	from := r.s.t
	if r.after.T != 0 && !r.h.Total {
		from = min(from, r.after.T)
	}
	if r.h.Key.Type == "" {
		return []byte{'L'}, layout.LogKey(nil, from+1), nil
	}
	typ, err := r.s.s.names.Find(string(r.h.Key.Type))
	if typ == 0 || err != nil {
		return nil, nil, err
	}
	return layout.TypeLogKey(nil, typ, 0), layout.TypeLogKey(nil, typ, from+1), nil
}

// visit takes a version into the page if it belongs there; stop says that
// nothing more is wanted.
func (r *historyRun) visit(ctx context.Context, m layout.Made, nth uint32) (stop bool, err error) {
	if err := r.s.s.spend(ctx, &r.spent, costRow); err != nil {
		return false, err
	}
	found, err := r.s.s.version(m.RID, m.Ver, &r.row)
	if !found || err != nil {
		return false, err
	}
	at := r.row.LastUpdated
	if !r.h.Since.IsZero() && at.Before(r.h.Since) || !r.h.Before.IsZero() && !at.Before(r.h.Before) {
		return false, nil
	}
	if !r.h.Restriction.Sees(r.row.Key, &r.row.Facts, r.now) {
		return false, nil
	}
	r.seen++
	pos := position{r.row.T, nth}
	if !pos.behind(r.after) {
		return false, nil
	}
	if len(r.page.Versions) >= r.h.Count {
		if r.h.Count > 0 && r.page.Next == nil {
			r.page.Next = r.last.bytes()
		}
		return !r.h.Total, nil
	}
	res, err := r.s.s.resource(m.RID, &r.row)
	r.page.Versions = append(r.page.Versions, res)
	r.last = pos
	return false, err
}

// Changes lists committed versions with T > after, whole commits only.
func (s *Store) Changes(ctx context.Context, after fhir.T, limit int) ([]store.Change, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	visible := fhir.T(s.visible.Load())
	if out, ok := s.recent.After(after, visible, limit); ok {
		return out, nil
	}
	it, err := s.db.NewIter(&pebble.IterOptions{
		LowerBound: layout.LogKey(nil, after+1),
		UpperBound: layout.LogKey(nil, visible+1),
	})
	if err != nil {
		return nil, ioError(err)
	}
	var out []store.Change
	var c layout.Commit
	for ok := it.First(); ok && err == nil && (len(out) == 0 || len(out) < limit); ok = it.Next() {
		var v []byte
		if v, err = it.ValueAndErr(); err == nil {
			err = c.Read(v)
		}
		if err == nil {
			out, err = s.changes(ctx, out, &c)
		}
	}
	if cerr := it.Close(); err == nil && cerr != nil {
		err = ioError(cerr)
	}
	return out, err
}

func (s *Store) changes(ctx context.Context, out []store.Change, c *layout.Commit) ([]store.Change, error) {
	if err := ctxError(ctx); err != nil {
		return nil, err
	}
	var row layout.Row
	for _, m := range c.Made {
		found, err := s.version(m.RID, m.Ver, &row)
		if err != nil {
			return nil, err
		}
		if !found {
			continue // dropped by the policy of retention meanwhile
		}
		r := row.Clone()
		out = append(out, store.Change{Version: r.Version, Facts: r.Facts})
	}
	return out, nil
}

// openIndex compares the index with the table of parameters.
func (s *Store) openIndex() (err error) {
	s.index, err = rebuild.Open(rebuild.Host{
		DB: s.db, Names: s.names, Log: s.opts.Log, Horizon: s.Horizon, Oldest: s.oldest, Version: s.version, Postings: s.extractOld, Exec: s.between,
	}, s.opts.Parameters)
	return err
}

// between fills a batch between two commits and makes it durable.
func (s *Store) between(ctx context.Context, fill func(*pebble.Batch) error) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	p := &pending{ctx: ctx, tx: &store.Tx{}, done: make(chan struct{}), fill: fill}
	select {
	case s.queue <- p:
	case <-ctx.Done():
		return ctxError(ctx)
	}
	select {
	case <-p.done:
		return p.err
	case <-s.health.Failed():
		return s.health.Writable()
	}
}

// Building lists the parameters whose index is being brought up to date, as Type.code.
func (s *Store) Building() []string { return s.index.Waiting() }

// Horizon is the oldest T that can be read.
func (s *Store) Horizon() fhir.T { return fhir.T(s.horizon.Load()) }

// Retain drops the versions that a policy no longer keeps, and gives back their
// space. From then on moments before the horizon are Gone; it never goes back.
// Readers and writers go on meanwhile; a reading of an earlier moment that is
// under way may miss what is dropped (revive answers it with Gone).
func (s *Store) Retain(ctx context.Context, p retain.Policy) (retain.Purged, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return retain.Purged{}, err
	}
	defer leave()
	if err := s.health.Writable(); err != nil || p.MaxAge <= 0 {
		return retain.Purged{Horizon: s.Horizon()}, err
	}
	tree := retain.Tree{DB: s.db, Names: s.names}
	newest := fhir.T(s.visible.Load())
	horizon, err := tree.Horizon(s.opts.Now().Add(-p.MaxAge), newest)
	if err != nil {
		return retain.Purged{}, ioError(err)
	}
	horizon = max(min(horizon, p.Followed), s.Horizon())
	s.horizon.Store(uint64(horizon)) // nobody begins to read what is about to go
	value := binary.AppendUvarint(nil, uint64(horizon))
	if err := health.Do(func() error { return s.db.Set(layout.HorizonKey(), value, pebble.Sync) }); err != nil {
		return retain.Purged{}, ioError(err)
	}
	s.recent.Reset(newest)
	out, err := tree.Drop(ctx, horizon, newest, p.KeepLast)
	if err == nil && out.Versions > 0 {
		err = tree.Compact(ctx)
	}
	if err != nil {
		return out, ioError(err)
	}
	return out, nil
}

// WaitChange returns when a commit with T > after is visible.
func (s *Store) WaitChange(ctx context.Context, after fhir.T) error {
	for {
		next := s.watch.next()
		if fhir.T(s.visible.Load()) > after {
			return nil
		}
		select {
		case <-next:
		case <-ctx.Done():
			return ctxError(ctx)
		case <-s.closing:
			return fhir.Errorf(fhir.Busy, "the store is closed")
		}
	}
}
