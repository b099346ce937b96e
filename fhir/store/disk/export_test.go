package disk

import "context"

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
