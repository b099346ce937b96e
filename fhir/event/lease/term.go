package lease

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Term is one time of holding a lease.
type Term struct {
	// Token is greater than that of every term before: who keeps the greatest
	// that it has seen can refuse the others.
	Token uint64

	l        *Leases // nil: a term without end
	name     string
	revision uint64
	until    atomic.Pointer[time.Time] // monotonic
}

// Alone is the term of a process that has no rivals.
func Alone() *Term { return &Term{Token: uint64(time.Now().UnixMilli())} }

// Held reports whether the lease is surely ours at this moment.
func (t *Term) Held() bool { return t.l == nil || t.left() > 0 }

func (t *Term) left() time.Duration { return time.Until(*t.until.Load()) }

// extend holds the lease for a TTL from when its record was sent, less a part
// for clocks that run faster: others count from when they see the record, and
// that is later.
func (t *Term) extend(sent time.Time) {
	until := sent.Add(t.l.cfg.TTL * 4 / 5)
	t.until.Store(&until)
}

func (t *Term) value(released bool) []byte {
	raw, _ := json.Marshal(record{t.l.cfg.Node, t.Token, t.l.cfg.TTL, released}) // plain fields: never fails
	return raw
}

// serve runs work until it returns, or until the lease is lost or ctx ends;
// then it waits for work.
func (t *Term) serve(ctx context.Context, work func(context.Context, *Term) error) error {
	inner, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	done := make(chan error, 1)
	go func() { done <- work(inner, t) }()
	expiry := time.AfterFunc(t.left(), func() { lose(ErrLost) })
	defer expiry.Stop()
	tick := time.NewTicker(t.l.cfg.TTL / 4)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			t.release(ctx)
			return err
		case <-inner.Done():
			cause := context.Cause(inner)
			<-done
			t.release(ctx)
			return cause
		case <-tick.C:
			if !t.renew(inner) {
				lose(ErrLost)
			}
			if left := t.left(); left > 0 {
				expiry.Reset(left)
			}
		}
	}
}

// renew writes the record anew. false: somebody else has the lease. Where it
// cannot be told, the term goes on to its end.
func (t *Term) renew(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, max(t.left(), 0))
	defer cancel()
	sent := time.Now()
	revision, err := t.l.kv.Update(ctx, t.name, t.value(false), t.revision)
	if err == nil {
		t.revision = revision
		t.extend(sent)
		return true
	}
	if !overtaken(err) {
		t.l.cfg.Log.Warn().Err(err).Str("lease", t.name).Dur("left", t.left()).Msg("the lease could not be renewed")
		return true
	}
	// A renewal of ours may have been made though its answer was lost.
	e, err := t.l.kv.Get(ctx, t.name)
	if errors.Is(err, jetstream.ErrKeyNotFound) { // the bucket was lost
		return false
	}
	if err != nil {
		return true
	}
	var r record
	if json.Unmarshal(e.Value(), &r) != nil || r.Token != t.Token || r.Node != t.l.cfg.Node {
		return false
	}
	t.revision = e.Revision()
	return true
}

// release lets the next one take the lease at once. If it fails, they wait for
// its end.
func (t *Term) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.l.cfg.TTL)
	defer cancel()
	if _, err := t.l.kv.Update(ctx, t.name, t.value(true), t.revision); err != nil && !overtaken(err) {
		t.l.cfg.Log.Debug().Err(err).Str("lease", t.name).Msg("the lease could not be given back")
	}
}
