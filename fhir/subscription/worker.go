package subscription

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact"
)

// worker delivers the notifications of one Subscription, one after the other
// in the order of the log.
type worker struct {
	*sub
	s      *Service
	fhir   *interact.Service
	places chan struct{}
}

// round is how many rows are read, and removed, together. A crash repeats at
// most so many notifications.
const round = 64

// run serves until ctx ends, or until the worker has changed the status: the
// change comes back by the log.
func (w *worker) run(ctx context.Context) {
	switch {
	case w.fault != "":
		w.change(ctx, failed, w.fault)
	case w.Status == requested:
		w.activate(ctx)
	default:
		w.deliver(ctx)
	}
}

// activate shows that the endpoint is there and willing.
func (w *worker) activate(ctx context.Context) {
	err := w.try(ctx, w.s.cfg.Limits.Handshakes, func(ctx context.Context) error { return w.send(ctx, nil) })
	switch {
	case err == nil:
		w.change(ctx, active, "")
	case ctx.Err() == nil:
		w.change(ctx, failed, fmt.Sprintf("the first notification failed %d times: %s", w.s.cfg.Limits.Handshakes, reasonOf(err)))
	}
}

// deliver works off what waits, for as long as the Subscription is active.
func (w *worker) deliver(ctx context.Context) {
	if err := w.recount(ctx); err != nil && ctx.Err() == nil {
		w.s.cfg.Log.Warn().Err(err).Str("subscription", w.key.ID).Msg("what waits cannot be counted")
	}
	ending := w.ending()
	for ctx.Err() == nil {
		n, err := w.round(ctx)
		var lost *givenUp
		switch {
		case errors.As(err, &lost):
			w.change(ctx, failed, lost.Error())
			return
		case err != nil && ctx.Err() == nil:
			w.s.cfg.Log.Warn().Err(err).Str("subscription", w.key.ID).Msg("notifications wait")
			wait(ctx, w.pause(3))
			continue
		case n > 0 && !over(ending):
			continue
		}
		select {
		case <-ctx.Done():
		case <-w.kick:
		case <-w.full:
		case <-ending:
			w.change(ctx, off, "")
			return
		}
	}
}

func over(ending <-chan time.Time) bool { return len(ending) > 0 }

// ending fires at Subscription.end; nil if there is none.
func (w *worker) ending() <-chan time.Time {
	if w.End.IsZero() {
		return nil
	}
	return time.After(w.End.Sub(w.s.cfg.Now()))
}

// recount adds what an earlier worker left, half of the room at most: some of
// it may be counted twice, until the queue is empty.
func (w *worker) recount(ctx context.Context) error {
	list, err := w.s.dues(ctx, w.key.ID, w.s.cfg.Limits.Waiting/2)
	w.waiting.Add(int64(len(list)))
	return err
}

// givenUp says why a Subscription is not served any more.
type givenUp struct {
	reason string
	since  time.Time // of the first change that was not notified
}

func (g *givenUp) Error() string {
	return fmt.Sprintf("%s. Not notified of changes since %s: search for them by _lastUpdated, then submit the Subscription as requested",
		g.reason, g.since.UTC().Format(fhir.InstantLayout))
}

// round delivers the oldest rows; n is how many it found.
func (w *worker) round(ctx context.Context) (n int, err error) {
	list, err := w.s.dues(ctx, w.key.ID, round)
	if err != nil {
		return 0, err
	}
	if len(list) == 0 {
		w.waiting.Store(0)
	}
	done := 0
	for done < len(list) && err == nil {
		if err = w.notify(ctx, &list[done]); err == nil {
			done++
		}
	}
	w.waiting.Add(-int64(done))
	return len(list), errors.Join(err, w.s.settle(context.WithoutCancel(ctx), list[:done]))
}

// notify delivers one, however often it has to try.
func (w *worker) notify(ctx context.Context, d *due) error {
	limit := w.s.cfg.Limits
	err := w.try(ctx, limit.Attempts, func(ctx context.Context) error { return w.attempt(ctx, d) })
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errFull):
		return &givenUp{fmt.Sprintf("more than %d notifications waited for the endpoint", limit.Waiting), d.At}
	case errors.Is(err, errAccount):
		return &givenUp{errAccount.Error(), d.At}
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return &givenUp{fmt.Sprintf("a notification failed %d times: %s", limit.Attempts, reasonOf(err)), d.At}
}

var (
	errFull    = errors.New("more notifications wait than may")
	errAccount = errors.New("the account of the subscriber has ended, or may not subscribe any more")
)

// try repeats f with pauses that double: at most n times where the receiver
// fails, and until it succeeds where we do.
func (w *worker) try(ctx context.Context, n int, f func(context.Context) error) error {
	ours := 0
	for i := 1; ; {
		select {
		case <-w.full:
			return errFull
		default:
		}
		err := f(ctx)
		var theirs *receiverError
		switch {
		case err == nil || errors.Is(err, errAccount) || ctx.Err() != nil:
			return err
		case errors.As(err, &theirs):
			w.s.stats.failed.Inc()
			if i++; i > n {
				return err
			}
		default:
			ours++
			w.s.cfg.Log.Warn().Err(err).Str("subscription", w.key.ID).Msg("a notification is held back")
		}
		select {
		case <-time.After(w.pause(i + ours - 1)):
		case <-w.full:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pause before attempt n+1: doubled each time, and somewhere in its upper half
// so that those who failed together do not come back together.
func (w *worker) pause(n int) time.Duration {
	l := w.s.cfg.Limits
	p := min(l.Pause<<min(max(n-1, 0), 20), l.MaxPause)
	return p/2 + rand.N(p/2+1)
}

// change writes a status, unless somebody else changed the Subscription: then
// the log brings what holds now.
func (w *worker) change(ctx context.Context, status, why string) {
	ops := []map[string]string{{"op": "replace", "path": "/status", "value": status}}
	if why != "" {
		ops = append(ops, map[string]string{"op": "add", "path": "/error", "value": why})
	}
	patch, _ := json.Marshal(ops) // strings: never fails
	ctx = context.WithValue(ctx, own{}, true)
	o := interact.WriteOptions{IfMatch: (fhir.Version{VersionID: w.version}).ETag()}
	for n := 1; ctx.Err() == nil; n++ {
		_, err := w.fhir.Patch(ctx, interact.SystemCaller(w.s.cfg.Custodian), w.key, patch, o)
		switch fhir.KindOf(err) {
		case fhir.PreconditionFailed, fhir.Conflict, fhir.NotFound, fhir.Gone:
			return
		}
		log := w.s.cfg.Log.Info()
		if err != nil {
			log = w.s.cfg.Log.Warn().Err(err)
		}
		log.Str("subscription", w.key.ID).Str("status", status).Str("reason", why).Msg("subscription changes its status")
		if err == nil {
			return
		}
		wait(ctx, w.pause(n))
	}
}
