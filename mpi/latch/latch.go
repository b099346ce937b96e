// Package latch locks sets of keys: who shares a key waits, who shares none goes on.
package latch

import (
	"slices"
	"sync"
)

// Table holds what is locked. The zero value is ready; it is safe for concurrent use.
// Its memory is that of the keys that are held at the moment.
type Table struct{ shards [256]shard }

type shard struct {
	mu   sync.Mutex
	held map[uint64]*latch // guarded by mu
}

// latch is one key's. n counts those who hold it or wait for it; guarded by shard.mu.
type latch struct {
	mu sync.Mutex
	n  int
}

// Lock takes all keys, in ascending order so that nobody waits for one who waits for
// him, and gives the function that releases them. It sorts keys.
func (t *Table) Lock(keys []uint64) (unlock func()) {
	slices.Sort(keys)
	keys = slices.Compact(keys)
	held := make([]*latch, len(keys))
	for i, k := range keys {
		held[i] = t.at(k).enter(k)
		held[i].mu.Lock()
	}
	return func() {
		for i, k := range keys {
			held[i].mu.Unlock()
			t.at(k).leave(k, held[i])
		}
	}
}

func (t *Table) at(k uint64) *shard { return &t.shards[k%uint64(len(t.shards))] }

func (s *shard) enter(k uint64) *latch {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.held[k]
	if l == nil {
		if s.held == nil {
			s.held = map[uint64]*latch{}
		}
		l = &latch{}
		s.held[k] = l
	}
	l.n++
	return l
}

func (s *shard) leave(k uint64, l *latch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.n--; l.n == 0 {
		delete(s.held, k)
	}
}
