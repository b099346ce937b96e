package shelf_test

import (
	"fmt"
	"testing"

	"hutong/mpi/block"
	"hutong/mpi/shelf"
)

// TestNear: an identifier in common is never passed over; of the others the
// nearest are chosen, whoever shares only a long list is not, unless there is
// nobody nearer.
func TestNear(t *testing.T) {
	t.Parallel()
	s := shelf.New()
	s.Loaded()
	key := func(p block.Pass, h uint64) block.Key { return block.Key{Pass: p, Hash: h << 40} }
	id, year, day, place := key(block.ByID, 1), key(block.ByNameYear, 2), key(block.ByNameDay, 3), key(block.ByNamePlace, 4)
	put := func(name string, keys ...block.Key) { s.Put(name, nil, keys) }
	put("same", id, year, day, place)
	put("card", id)
	put("near", year, day, place)
	for i := range 100 {
		put(fmt.Sprint("namesake", i), place)
	}
	for i := range 60 {
		put(fmt.Sprint("crowd", i), key(block.ByGivenBirth, 5))
	}
	found := func(keys ...block.Key) (names []string, skipped int) {
		met, skipped, ok := s.Near(keys, s.Number("same"))
		if !ok {
			t.Fatal("left to the Space")
		}
		for _, m := range met {
			names = append(names, s.Text(m.N))
		}
		return names, skipped
	}
	if got, skipped := found(id, year, day, place); fmt.Sprint(got) != "[card near]" || skipped != 100 {
		t.Errorf("near: %v, %d passed over", got, skipped)
	}
	if got, skipped := found(key(block.ByGivenBirth, 5)); len(got) != shelf.Nearest || skipped != 60-shelf.Nearest {
		t.Errorf("of a crowd: %d, %d passed over", len(got), skipped)
	}
	if n := s.Number("nobody"); n != 0 {
		t.Errorf("nobody has number %d", n)
	}
}
