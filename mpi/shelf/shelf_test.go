package shelf_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"hutong/mpi/block"
	"hutong/mpi/shelf"
)

// region is the plain form of a Shelf: what the Space would answer.
type region struct {
	keys  map[string][]block.Key // of a record
	lists map[block.Key]map[string]bool
}

func newRegion() *region {
	return &region{map[string][]block.Key{}, map[block.Key]map[string]bool{}}
}

func (g *region) put(id string, keys []block.Key) {
	for _, k := range g.keys[id] {
		delete(g.lists[k], id)
	}
	g.keys[id] = keys
	for _, k := range keys {
		if g.lists[k] == nil {
			g.lists[k] = map[string]bool{}
		}
		g.lists[k][id] = true
	}
}

// draw gives a record some keys; low ones are common, so that lists outgrow
// their caps and shrink again.
func draw(r *rand.Rand) []block.Key {
	var out []block.Key
	for range r.IntN(12) {
		k := block.Key{Pass: []block.Pass{block.ByID, block.ByPhone, block.ByNameYear}[r.IntN(3)], Hash: uint64(r.IntN(1 << (1 + r.IntN(14))))}
		if !slices.Contains(out, k) {
			out = append(out, k)
		}
	}
	return out
}

// name is the id of a record; some are UUIDs, in this or another form.
func name(i int) string {
	switch i % 4 {
	case 0:
		return fmt.Sprintf("%08x-0000-4000-8000-%012x", i, i*i)
	case 1:
		return fmt.Sprintf("%08X-0000-4000-8000-%012X", i, 0xabc000000+i)
	}
	return fmt.Sprint("p", i)
}

// check holds every list of a Shelf to the plain form; it may leave lists to the
// Space only where elsewhere says so.
func check(t *testing.T, s *shelf.Shelf, g *region, elsewhere func(block.Key) bool) {
	t.Helper()
	for k, want := range g.lists {
		ids, over, ok := s.List(k)
		switch {
		case !ok:
			if !elsewhere(k) {
				t.Errorf("%v is left to the Space", k)
			}
		case over:
			if len(want) <= k.Pass.Cap() || ids != nil {
				t.Errorf("%v is over with %d, gives %d", k, len(want), len(ids))
			}
		case len(want) > k.Pass.Cap():
			t.Errorf("%v is not over with %d", k, len(want))
		default:
			if slices.Sort(ids); !slices.Equal(ids, slices.Sorted(maps.Keys(want))) {
				t.Errorf("%v: %v, want %v", k, ids, want)
			}
		}
	}
}

func TestListsAreThoseOfTheRecords(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 1))
		s, g := shelf.New(), newRegion()
		s.Loaded()
		wasOver := map[block.Key]bool{}
		for range 6000 {
			id := name(r.IntN(1500))
			next := draw(r)
			s.Put(id, g.keys[id], next)
			g.put(id, next)
			for _, k := range next {
				wasOver[k] = wasOver[k] || len(g.lists[k]) > k.Pass.Cap()
			}
		}
		over := 0
		for _, o := range wasOver {
			if o {
				over++
			}
		}
		if over == 0 {
			t.Fatal("no list was ever too long: the test shows nothing of them")
		}
		check(t, s, g, func(k block.Key) bool { return wasOver[k] })
		if size := s.Size(); size.Records != len(g.keys) || size.Bytes == 0 {
			t.Errorf("size %+v of %d records", size, len(g.keys))
		}
	}
}

// TestLoadingBesideChanges: rows are read while feeds change them, and what was
// read may be older than the change that came before.
func TestLoadingBesideChanges(t *testing.T) {
	t.Parallel()
	const records = 3000
	r := rand.New(rand.NewPCG(7, 7))
	s, before, after := shelf.New(), newRegion(), newRegion()
	for i := range records {
		before.put(name(i), draw(r))
		after.put(name(i), before.keys[name(i)])
		if i%3 == 0 {
			after.put(name(i), draw(r))
		}
	}
	var wg sync.WaitGroup
	for part := range 4 {
		wg.Go(func() {
			for i := part; i < records; i += 4 {
				s.Load(name(i), before.keys[name(i)])
			}
		})
		wg.Go(func() {
			for i := part * 3; i < records; i += 12 {
				s.Put(name(i), before.keys[name(i)], after.keys[name(i)])
			}
		})
	}
	wg.Wait()
	s.Loaded()
	check(t, s, after, func(k block.Key) bool { return len(after.lists[k])+len(before.lists[k]) > k.Pass.Cap() })
	s.Load(name(0), []block.Key{{Pass: block.ByID, Hash: 1 << 60}})
	if len(list(t, s, block.Key{Pass: block.ByID, Hash: 1 << 60})) != 0 {
		t.Error("what was read late replaced what is newer")
	}
}

func list(t *testing.T, s *shelf.Shelf, k block.Key) []string {
	t.Helper()
	ids, _, ok := s.List(k)
	if !ok {
		t.Errorf("%v is left to the Space", k)
	}
	return ids
}

// TestDoubt: lists whose writing is in doubt are never answered from memory
// again, whatever comes later.
func TestDoubt(t *testing.T) {
	t.Parallel()
	s := shelf.New()
	s.Loaded()
	known, unknown := block.Key{Pass: block.ByID, Hash: 1}, block.Key{Pass: block.ByID, Hash: 2}
	s.Put("a", nil, []block.Key{known})
	s.Put("b", nil, []block.Key{known})
	s.Doubt([]block.Key{known, unknown})
	s.Put("c", nil, []block.Key{known, unknown})
	s.Put("a", []block.Key{known}, nil)
	for _, k := range []block.Key{known, unknown} {
		if _, _, ok := s.List(k); ok {
			t.Errorf("%v is answered", k)
		}
	}
}
