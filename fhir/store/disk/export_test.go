package disk

import (
	"context"

	"hutong/fhir/search"
	"hutong/fhir/store"
)

// BlockReads counts the table blocks that were asked for, and those that were
// not in the cache.
func BlockReads(s *Store) (reads, misses int64) {
	m := s.db.Metrics().BlockCache
	return m.Hits + m.Misses, m.Misses
}

// Compact brings the tree into the form that it has after a while at rest.
func (s *Store) Compact(ctx context.Context) error {
	return s.db.Compact(ctx, []byte{0}, []byte{0xff}, true)
}

// SearchTree is Search that leaves alone the lists in memory.
func SearchTree(ctx context.Context, s store.Snapshot, q *search.Query) (store.Page, error) {
	x := s.(*snapshot).exec(ctx)
	page, err := x.page(q)
	return page, join(err, x.tree.Close())
}

// HotBytes is the memory that lists take.
func HotBytes(s *Store) int64 { return s.hot.Bytes() }
