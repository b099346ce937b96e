package subscription

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact"
	"hutong/fhir/search"
	"hutong/fhir/store"
)

// follower reads the change log and puts down who is to be notified of what.
// One runs at a time, in the house or in the cluster: the cursor is moved by
// comparing it, so that one which lost its place without noticing does no harm.
type follower struct {
	s    *Service
	fhir *interact.Service

	cursor fhir.T
	stored []byte // the cursor's row; nil if there is none yet
	since  int    // versions that the stored cursor lags behind
	empty  int    // times in a row that there was nothing to be read
	saved  time.Time

	subs    map[string]*sub
	hearers map[fhir.Type]*hearers
	places  chan struct{} // one for each delivery at a time
	workers sync.WaitGroup
}

// hearers are the subscriptions to one type.
type hearers struct {
	anyone map[*sub]struct{}
	of     map[fhir.Key]map[*sub]struct{} // by the patient that they name
}

// How far the stored cursor may lag behind where nothing was to be notified:
// what lies between is only read again.
const (
	batch      = 512 // versions a round, about
	maxLag     = 4096
	maxLagTime = 5 * time.Second
	maxWrites  = 4096
	saveTime   = 20 * time.Second
	maxLinger  = 250 * time.Millisecond
)

var cursorKey = []byte("cursor")

// Run notifies until ctx ends, from where the last Run stopped. service is
// what the statuses are changed through. It may be called again after it has
// returned; Conflict says that another Run has taken over.
func (s *Service) Run(ctx context.Context, service *interact.Service) error {
	f := &follower{
		s: s, fhir: service, subs: map[string]*sub{}, hearers: map[fhir.Type]*hearers{},
		places: make(chan struct{}, s.cfg.Limits.Deliveries), saved: s.cfg.Now(),
	}
	ctx, cancel := context.WithCancel(ctx)
	defer f.workers.Wait()
	defer cancel()
	for pause := time.Duration(0); ; {
		err := f.load(ctx)
		for err == nil {
			pause = 0
			err = f.step(ctx)
		}
		if ctx.Err() != nil {
			return f.save(ctx, nil)
		}
		if errors.Is(err, fhir.E(fhir.Conflict)) {
			return err
		}
		pause = min(max(2*pause, 100*time.Millisecond), 30*time.Second)
		s.cfg.Log.Warn().Err(err).Dur("pause", pause).Msg("subscriptions wait")
		wait(ctx, pause)
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// load reads the cursor and the Subscriptions, once. A first run begins now.
func (f *follower) load(ctx context.Context) error {
	if f.cursor != 0 {
		return nil
	}
	snap, err := f.s.cfg.Store.Snapshot(ctx, 0)
	if err != nil {
		return err
	}
	defer snap.Close()
	if f.stored, err = f.s.cfg.Space.Get(ctx, cursorKey); err != nil {
		return err
	}
	cursor := snap.T()
	if len(f.stored) == 8 {
		cursor = fhir.T(binary.BigEndian.Uint64(f.stored))
	}
	if err := f.loadAll(ctx, snap); err != nil {
		return err
	}
	if err := f.sweep(ctx); err != nil {
		return err
	}
	f.cursor = cursor
	return f.save(ctx, nil)
}

func (f *follower) loadAll(ctx context.Context, snap store.Snapshot) error {
	r, err := f.s.cfg.Parser.Parse(Type, "status=requested,active&_count=1000&_sort=_lastUpdated")
	if err != nil {
		return err
	}
	q := r.Query
	q.Restriction, q.Total = search.Unrestricted(), false
	for {
		page, err := snap.Search(ctx, &q)
		if err != nil {
			return err
		}
		for i := range page.Matches {
			if err := f.admit(ctx, &page.Matches[i]); err != nil {
				return err
			}
		}
		if page.Next == nil {
			return nil
		}
		q.After = page.Next
	}
}

// step takes the next changes, or waits for them.
func (f *follower) step(ctx context.Context) error {
	changes, err := f.s.cfg.Store.Changes(ctx, f.cursor, batch)
	if err != nil {
		return err
	}
	if len(changes) == 0 {
		if err := f.s.cfg.Store.WaitChange(ctx, f.cursor); err != nil {
			return err
		}
		// More will come with it; but a commit may also make no version.
		wait(ctx, min(f.s.cfg.Limits.Linger<<min(f.empty, 10), maxLinger))
		f.empty++
		return nil
	}
	f.empty = 0
	snap, err := f.s.cfg.Store.Snapshot(ctx, 0)
	if err != nil {
		return err
	}
	defer snap.Close()
	var dues []due
	for i := range changes {
		more, err := f.take(ctx, snap, &changes[i])
		if err != nil {
			return err
		}
		if dues = append(dues, more...); len(dues) >= maxWrites {
			if err := f.save(ctx, dues); err != nil {
				return err
			}
			dues = dues[:0]
		}
	}
	f.cursor, f.since = changes[len(changes)-1].T, f.since+len(changes)
	if len(dues) == 0 && f.since < maxLag && f.s.cfg.Now().Sub(f.saved) < maxLagTime {
		return nil
	}
	return f.save(ctx, dues)
}

// take gives who is to be notified of a change. A change of a Subscription
// itself is obeyed here, in the order of the log.
func (f *follower) take(ctx context.Context, snap store.Snapshot, c *store.Change) ([]due, error) {
	if c.Type == Type {
		return nil, f.reload(ctx, snap, c.Key)
	}
	h := f.hearers[c.Type]
	if h == nil || c.Deleted() {
		return nil, nil
	}
	candidates, err := f.candidates(ctx, h, c)
	if err != nil || len(candidates) == 0 {
		return nil, err
	}
	r, err := snap.GetVersion(ctx, c.Key, c.VersionID)
	if missing(err) {
		return nil, nil // compacted away: a newer version follows in the log
	}
	if err != nil {
		return nil, err
	}
	entries, _, err := f.s.cfg.Extractor.ExtractBody(r.Body, r.Key)
	if err != nil { // it would fail every time: nobody shall wait for it
		f.s.cfg.Log.Error().Err(err).Str("type", string(c.Type)).Uint64("t", uint64(c.T)).Msg("a stored resource cannot be read: nobody is notified")
		return nil, nil
	}
	var dues []due
	for _, x := range candidates {
		f.s.stats.examined.Inc()
		hit, err := f.s.matches(ctx, x.criteria, &r.Version, entries)
		if err != nil {
			return nil, err
		}
		if hit && x.room(f.s.cfg.Limits.Waiting) {
			dues = append(dues, due{sub: x, Key: r.Key, Version: r.VersionID, T: r.T, At: r.LastUpdated})
		}
	}
	return dues, nil
}

func missing(err error) bool {
	return errors.Is(err, fhir.E(fhir.NotFound)) || errors.Is(err, fhir.E(fhir.Gone))
}

// candidates gives the subscriptions that may be concerned, by what the log
// says of the change: nothing is read for it.
func (f *follower) candidates(ctx context.Context, h *hearers, c *store.Change) ([]*sub, error) {
	var list []*sub
	for x := range h.anyone {
		list = append(list, x)
	}
	if len(h.of) == 0 {
		return list, nil
	}
	patients := c.Facts.Patients
	if c.Type != "Patient" {
		var err error
		if patients, err = f.s.members(ctx, patients); err != nil {
			return nil, err
		}
	}
	seen := map[*sub]bool{}
	for _, k := range patients {
		for x := range h.of[k] {
			if !seen[x] {
				seen[x], list = true, append(list, x)
			}
		}
	}
	return list, nil
}

// save makes what is due and the cursor durable, together, and tells the
// workers.
func (f *follower) save(ctx context.Context, dues []due) error {
	row := binary.BigEndian.AppendUint64(nil, uint64(f.cursor))
	if f.cursor == 0 || len(dues) == 0 && bytes.Equal(row, f.stored) {
		return nil
	}
	move := store.Write{Key: cursorKey, Value: row, If: store.IfEquals, Old: f.stored}
	if f.stored == nil {
		move.If = store.IfAbsent
	}
	writes := []store.Write{move}
	for i := range dues {
		writes = append(writes, dues[i].write())
	}
	// A write whose end is not waited for may be made or not: then the next one
	// would take its own cursor for another's.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	err := f.s.cfg.Space.Apply(ctx, writes)
	if err != nil && !errors.Is(err, fhir.E(fhir.Conflict)) {
		if now, gerr := f.s.cfg.Space.Get(ctx, cursorKey); gerr == nil && bytes.Equal(now, row) {
			err = nil
		}
	}
	if err != nil {
		return err
	}
	f.stored, f.since, f.saved = row, 0, f.s.cfg.Now()
	for i := range dues {
		dues[i].sub.added()
	}
	return nil
}
