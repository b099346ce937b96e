package disk_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"hutong/fhir"
	"hutong/fhir/search"
	"hutong/fhir/store"
	"hutong/fhir/store/disk"
	"hutong/fhir/store/storetest"
)

// TestRememberedPairs: who has an Observation of a code is told, at moments new and
// old, beside writers that give and take them, as the tree tells it.
func TestRememberedPairs(t *testing.T) {
	t.Parallel()
	g := storetest.NewWorld()
	s, err := disk.Open("db", disk.Options{Extract: g.Extract, VFS: vfs.NewMem(), MaxJoin: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	commit := func(ops ...store.Op) {
		if _, err := s.Commit(t.Context(), store.Tx{Ops: ops}); err != nil {
			t.Error(err)
		}
	}
	op := func(method fhir.Method, doc string) store.Op {
		o, err := g.Op(method, doc)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	const patients, observations = 24, 40
	for i := range patients {
		commit(op(fhir.Updated, fmt.Sprintf(`{"resourceType":"Patient","id":"p%d","gender":"female"}`, i)))
	}
	write := func(r *rand.Rand) {
		id := r.IntN(observations)
		o := op(fhir.Updated, fmt.Sprintf(`{"resourceType":"Observation","id":"o%d","status":"final","code":{"coding":[{"system":"urn:a","code":"c%d"}]},`+
			`"subject":{"reference":"Patient/p%d"},"effectiveDateTime":"2024-03-0%d"}`, id, r.IntN(2), id%patients, 1+r.IntN(6)))
		if r.IntN(4) == 0 {
			o = store.Op{Method: fhir.Deleted, Key: o.Key}
		}
		commit(o)
	}
	first := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		write(first)
	}
	ctx, done := context.WithCancel(t.Context())
	var writers, readers sync.WaitGroup
	for i := range uint64(2) {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(3, i))
			for range 600 {
				write(r)
			}
		})
	}
	var asked, listed atomic.Int64
	for i := range uint64(2) {
		readers.Go(func() {
			r := rand.New(rand.NewPCG(4, i))
			for ctx.Err() == nil {
				snap, err := s.Snapshot(t.Context(), 0)
				if back := fhir.T(r.IntN(6)); err == nil && snap.T() > back {
					snap, err = s.Snapshot(t.Context(), snap.T()-back)
				}
				if err != nil {
					t.Error(err)
					return
				}
				q, err := g.Query(fmt.Sprintf("Patient?_has:Observation:patient:code=urn:a|c%d&_count=50", r.IntN(2)))
				if err != nil {
					t.Error(err)
					return
				}
				q.Total = false
				q.Restriction = search.Unrestricted()
				held, err := snap.Search(t.Context(), q)
				tree, terr := disk.SearchTree(t.Context(), snap, q)
				if err != nil || terr != nil || answer(held) != answer(tree) {
					t.Errorf("at %d: remembered %s, %v\nin the tree %s, %v", snap.T(), answer(held), err, answer(tree), terr)
					return
				}
				if n := len(held.Matches); n > 0 && n < patients {
					listed.Add(1)
				}
				asked.Add(1)
			}
		})
	}
	writers.Wait()
	done()
	readers.Wait()
	if asked.Load() < 50 || listed.Load() < asked.Load()/2 {
		t.Errorf("%d questions, %d of them told some from others", asked.Load(), listed.Load())
	}
}
