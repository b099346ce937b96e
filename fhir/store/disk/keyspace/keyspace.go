// Package keyspace keeps named, ordered key-value spaces in a Pebble tree.
package keyspace

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"hutong/fhir"
	"hutong/fhir/store"
	"hutong/fhir/store/disk/health"
	"hutong/fhir/store/disk/layout"
)

// Set is all spaces of one tree.
type Set struct {
	DB     *pebble.DB
	Health *health.Monitor
	// Enter keeps the tree open until the function that it returns is called.
	Enter func(context.Context) (leave func(), err error)
	// Visible and Now are what the journal notes beside a write.
	Visible func() fhir.T
	Now     func() time.Time
	// Tables is what Load makes tables with.
	Tables Tables

	loading sync.Mutex // one Load at a time
	mu      sync.Mutex // orders the conditional writes of all spaces
	journal journal
	wg      sync.WaitGroup // writes under way
}

// Wait returns when no write is under way; the caller has stopped Enter.
func (s *Set) Wait() { s.wg.Wait() }

// Limits of a Space, as the contract states them.
const (
	maxSpaceKey   = 1 << 10
	maxSpaceValue = 8 << 20
)

// space is a named key range of the same tree. Its writes share the log with
// the resources, so whatever followed from a value is lost only with it.
type space struct {
	s      *Set
	prefix []byte
}

// Space opens a named key-value space.
func (s *Set) Space(name string) store.Space {
	return &space{s: s, prefix: layout.SpacePrefix(name)}
}

func (p *space) key(k []byte) []byte {
	return append(append(make([]byte, 0, len(p.prefix)+len(k)), p.prefix...), k...)
}

// Get returns the value, or nil if there is none.
func (p *space) Get(ctx context.Context, key []byte) ([]byte, error) {
	leave, err := p.s.Enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return p.s.get(p.key(key))
}

// errEnough ends a walk.
var errEnough = errors.New("enough")

// Scan lists from <= key < to, as of the moment of the call.
func (p *space) Scan(ctx context.Context, from, to []byte, limit int) (out []store.KV, err error) {
	err = p.Walk(ctx, from, to, func(k, v []byte) error {
		out = append(out, store.KV{Key: bytes.Clone(k), Value: append(make([]byte, 0, len(v)), v...)})
		if len(out) == limit {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return out, nil
}

// Walk implements store.Walker.
func (p *space) Walk(ctx context.Context, from, to []byte, do func(key, value []byte) error) error {
	leave, err := p.s.Enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	hi := layout.After(p.prefix)
	if to != nil {
		hi = p.key(to)
	}
	it, err := p.s.DB.NewIter(&pebble.IterOptions{LowerBound: p.key(from), UpperBound: hi})
	if err != nil {
		return fail(err)
	}
	err = p.walk(ctx, it, do)
	if cerr := it.Close(); err == nil && cerr != nil {
		err = fail(cerr)
	}
	return err
}

func (p *space) walk(ctx context.Context, it *pebble.Iterator, do func(key, value []byte) error) error {
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if n++; n%1024 == 0 && ctx.Err() != nil {
			return fhir.Errorf(fhir.Timeout, "the request's time ended: %w", context.Cause(ctx))
		}
		v, err := it.ValueAndErr()
		if err != nil {
			return fail(err)
		}
		if err := do(it.Key()[len(p.prefix):], v); err != nil {
			return err
		}
	}
	return nil
}

// Apply makes all writes, durably, or none. Its conditions are held under one
// lock; the wait for the disk is outside, so that callers share it.
func (p *space) Apply(ctx context.Context, writes []store.Write) error {
	leave, err := p.s.Enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if err := checkWrites(writes); err != nil {
		return err
	}
	if err := p.s.Health.Writable(); err != nil {
		return err
	}
	return p.s.write(ctx, func(b *pebble.Batch) error {
		for i := range writes {
			if err := p.condition(&writes[i]); err != nil {
				return err
			}
		}
		for i := range writes {
			if err := p.put(b, &writes[i]); err != nil {
				return err
			}
		}
		if p.s.journal.epoch == "" {
			return nil
		}
		return p.s.note(b, p.puts(writes))
	})
}

// puts gives writes as the journal keeps them.
func (p *space) puts(writes []store.Write) []Put {
	out := make([]Put, len(writes))
	for i := range writes {
		out[i] = Put{Key: p.key(writes[i].Key)[1:], Value: writes[i].Value, Delete: writes[i].Value == nil}
	}
	return out
}

func checkWrites(writes []store.Write) error {
	for i := range writes {
		if len(writes[i].Key) > maxSpaceKey || len(writes[i].Value) > maxSpaceValue {
			return fhir.Errorf(fhir.TooLarge, "a space holds keys to 1 KiB and values to 8 MiB")
		}
	}
	return nil
}

// condition holds the write's condition against the state before the call.
func (p *space) condition(w *store.Write) error {
	if w.If == store.Always {
		return nil
	}
	old, err := p.s.get(p.key(w.Key))
	if err != nil {
		return err
	}
	if w.If == store.IfAbsent && old == nil || w.If == store.IfEquals && old != nil && bytes.Equal(old, w.Old) {
		return nil
	}
	return fhir.Errorf(fhir.Conflict, "the value was changed by another writer")
}

func (p *space) put(b *pebble.Batch, w *store.Write) error {
	if w.Value == nil {
		return b.Delete(p.key(w.Key), nil)
	}
	return b.Set(p.key(w.Key), w.Value, nil)
}

// write fills a batch under the spaces' lock and makes it durable. It runs on
// a goroutine of its own, which a fatal error of Pebble may end (see health).
func (s *Set) write(ctx context.Context, fill func(*pebble.Batch) error) error {
	done := make(chan error, 1)
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		var err error = fhir.Errorf(fhir.Busy, "the store could not write")
		defer func() { done <- err }()
		err = s.writeLocked(fill)
	}()
	select {
	case err := <-done:
		return err
	case <-s.Health.Failed():
		return s.Health.Writable() // it may yet be found in the log
	case <-ctx.Done():
		return fhir.Errorf(fhir.Busy, "the write did not finish in time; it may yet: %w", context.Cause(ctx))
	}
}

func (s *Set) writeLocked(fill func(*pebble.Batch) error) error {
	b := s.DB.NewBatch()
	if err := s.applyLocked(b, fill); err != nil || b.Empty() {
		return err
	}
	if err := b.SyncWait(); err != nil {
		s.Health.Fail(err)
		return s.Health.Writable()
	}
	return b.Close()
}

func (s *Set) applyLocked(b *pebble.Batch, fill func(*pebble.Batch) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := fill(b); err != nil || b.Empty() {
		return err
	}
	if err := s.DB.ApplyNoSyncWait(b, pebble.Sync); err != nil {
		return fail(err)
	}
	return nil
}

// get reads one row into memory of its own; nil if there is none.
func (s *Set) get(key []byte) ([]byte, error) {
	v, closer, err := s.DB.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fail(err)
	}
	out := append(make([]byte, 0, len(v)), v...)
	return out, closer.Close()
}

func fail(err error) error { return fhir.Errorf(fhir.Internal, "storage: %w", err) }
