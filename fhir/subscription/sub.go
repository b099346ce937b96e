package subscription

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"hutong/fhir"
	"hutong/fhir/store"
)

// sub is one version of a Subscription that is requested or active, with the
// worker that serves it. It does not change; the next version is another sub,
// whose worker begins when this one has ended.
type sub struct {
	*terms
	key      fhir.Key
	version  uint64
	owner    string
	criteria *criteria
	kept     *kept
	fault    string // why it cannot be served; "" = it can

	waiting atomic.Int64  // notifications that wait, about
	kick    chan struct{} // there is something new; holds one
	full    chan struct{} // closed: more waits than may
	fill    sync.Once

	cancel context.CancelFunc
	ended  chan struct{} // closed when the worker has ended
}

// room takes a place for one more notification that waits. If there is none,
// the worker gives the subscription up.
func (x *sub) room(limit int) bool {
	if x.waiting.Add(1) <= int64(limit) {
		return true
	}
	x.fill.Do(func() { close(x.full) })
	return false
}

// added tells the worker of a notification.
func (x *sub) added() {
	select {
	case x.kick <- struct{}{}:
	default:
	}
}

// reload takes a Subscription as it stands now.
func (f *follower) reload(ctx context.Context, snap store.Snapshot, k fhir.Key) error {
	r, err := snap.Get(ctx, k)
	if missing(err) {
		f.dismiss(k.ID)
		if err := f.s.drop(ctx, k.ID); err != nil {
			return err
		}
		return f.s.forget(ctx, k.ID, "")
	}
	if err != nil {
		return err
	}
	return f.admit(ctx, &r)
}

// admit serves a version of a Subscription, and no longer the one before it.
func (f *follower) admit(ctx context.Context, r *fhir.Resource) error {
	if old := f.subs[r.ID]; old != nil && old.version == r.VersionID {
		return nil
	}
	t, err := readTerms(r.Body)
	if err != nil {
		return err
	}
	if !t.live() {
		f.dismiss(r.ID)
		if err := f.s.drop(ctx, r.ID); err != nil {
			return err
		}
		return f.s.forget(ctx, r.ID, t.hash())
	}
	x := &sub{
		terms: t, key: r.Key, version: r.VersionID, owner: r.Facts.Custodian,
		kick: make(chan struct{}, 1), full: make(chan struct{}), ended: make(chan struct{}),
	}
	if err := f.prepare(ctx, x); err != nil {
		return err
	}
	f.serve(ctx, x, f.dismiss(r.ID))
	return f.s.forget(ctx, r.ID, t.hash())
}

// prepare finds out what serving needs, or why it cannot be served.
func (f *follower) prepare(ctx context.Context, x *sub) (err error) {
	if x.kept, err = f.s.keptOf(ctx, x.key.ID, x.hash()); err != nil {
		return err
	}
	count := 0
	for id, other := range f.subs {
		if id != x.key.ID && other.owner == x.owner {
			count++
		}
	}
	switch {
	case x.kept == nil:
		x.fault = "it is not known who subscribed: update the Subscription with status requested"
		return nil
	case count >= f.s.cfg.Limits.PerOwner:
		x.fault = fmt.Sprintf("the organisation has %d subscriptions already", count)
		return nil
	}
	if err := f.s.check(x.terms); err != nil { // the settings may have changed since
		x.fault = err.Error()
		return nil
	}
	x.criteria, err = f.s.readCriteria(x.Criteria)
	return err
}

// serve starts the worker, after the one before it has ended, and has changes
// held against the criteria.
func (f *follower) serve(ctx context.Context, x *sub, before <-chan struct{}) {
	ctx, x.cancel = context.WithCancel(ctx)
	f.subs[x.key.ID] = x
	if x.fault == "" {
		f.listen(x)
	}
	w := &worker{sub: x, s: f.s, fhir: f.fhir, places: f.places}
	f.workers.Go(func() {
		defer close(x.ended)
		if before != nil {
			<-before
		}
		w.run(ctx)
	})
}

func (f *follower) listen(x *sub) {
	h := f.hearers[x.criteria.t]
	if h == nil {
		h = &hearers{anyone: map[*sub]struct{}{}, of: map[fhir.Key]map[*sub]struct{}{}}
		f.hearers[x.criteria.t] = h
	}
	if x.criteria.patients == nil {
		h.anyone[x] = struct{}{}
	}
	for _, k := range x.criteria.patients {
		if h.of[k] == nil {
			h.of[k] = map[*sub]struct{}{}
		}
		h.of[k][x] = struct{}{}
	}
}

// dismiss stops serving a Subscription. The channel is closed when its worker
// has ended; nil if there is none.
func (f *follower) dismiss(id string) <-chan struct{} {
	x := f.subs[id]
	if x == nil {
		return nil
	}
	delete(f.subs, id)
	x.cancel()
	if x.criteria == nil {
		return x.ended
	}
	h := f.hearers[x.criteria.t]
	delete(h.anyone, x)
	for _, k := range x.criteria.patients {
		if delete(h.of[k], x); len(h.of[k]) == 0 {
			delete(h.of, k)
		}
	}
	if len(h.anyone)+len(h.of) == 0 {
		delete(f.hearers, x.criteria.t)
	}
	return x.ended
}
