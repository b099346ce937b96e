package shelf

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestShard holds one shard to a plain map while its buckets part, lists come
// and go, and whole batches are put in beside single changes.
func TestShard(t *testing.T) {
	t.Parallel()
	const tags, limit = 30_000, 50
	r := rand.New(rand.NewPCG(5, 5))
	all := New()
	s, want := &all.shards[0], map[uint32]map[uint32]bool{}
	draw := func() (tag, n uint32) {
		tag = uint32(r.IntN(tags)) * (1<<32/tags + 1) // spread over the first bits, as hashes are
		if r.IntN(4) == 0 {
			tag = tag&^0xff | 1 // neighbours
		}
		if want[tag] == nil {
			want[tag] = map[uint32]bool{}
		}
		return tag, 1 + uint32(r.IntN(1<<r.IntN(27)))
	}
	for round := range 40 {
		for range 1000 {
			tag, n := draw()
			if len(want[tag]) == limit {
				continue
			}
			s.change(tag, opAdd, n, limit)
			want[tag][n] = true
		}
		for tag, ns := range want {
			for n := range ns {
				if r.IntN(10) == 0 {
					s.change(tag, opRemove, n, limit)
					delete(ns, n)
				}
			}
		}
		for range round * 100 {
			tag, n := draw()
			if len(want[tag]) == limit {
				continue
			}
			want[tag][n] = true
			all.wait(0, uint64(tag)<<tagShift|uint64(slices.Index(caps, limit))<<capShift|uint64(n))
		}
		all.fillAll()
	}
	entries := 0
	for tag, ns := range want {
		got, over, ok := s.list(tag, nil)
		if over || !ok || !slices.Equal(got, slices.Sorted(maps.Keys(ns))) {
			t.Fatalf("%x: %v (%v, %v), want %v", tag, got, over, ok, slices.Sorted(maps.Keys(ns)))
		}
		if len(ns) > 0 {
			entries++
		}
	}
	if s.entries != entries || len(s.buckets) == 1<<leastLevel {
		t.Errorf("%d entries of %d in %d buckets: none was parted", s.entries, entries, len(s.buckets))
	}
}

// TestSlab: blocks given back are used again, and none overlap.
func TestSlab(t *testing.T) {
	t.Parallel()
	var s slab
	seen := map[int]int{}
	for n := 1; n < 9000; n++ {
		room := roomFor(n)
		if room < n || room > n+n/8+4 || roomFor(room) != room {
			t.Fatalf("room for %d is %d", n, room)
		}
		if was, ok := seen[classOf(room)]; ok && was != room {
			t.Fatalf("%d and %d are one class", was, room)
		}
		seen[classOf(room)] = room
	}
	a, b := s.take(100), s.take(100)
	end := s.end
	s.release(a, 100)
	s.release(b, 101)
	if c, d := s.take(97), s.take(104); c == d || s.end != end || len(s.runs) != 1 {
		t.Errorf("at %d and %d of %d bytes, %d before", c, d, s.end, end)
	}
	used := map[uint32]bool{} // of 16 bytes of a run
	for i := range 3000 {
		n := 16 * (1 + i*i%997)
		if i%100 == 0 {
			n = mostRun + 16*i // a run for itself, beside the one that is being filled
		}
		at := s.take(n)
		if len(s.at(at)) < n {
			t.Fatalf("%d bytes at %x: there are %d", n, at, len(s.at(at)))
		}
		for from := at; from < at+uint32(min(n, mostRun)); from += 16 {
			if used[from&^15] {
				t.Fatalf("%x is given twice", from)
			}
			used[from&^15] = true
		}
	}
	if len(s.runs) < 40 {
		t.Errorf("%d runs: none followed another", len(s.runs))
	}
}
