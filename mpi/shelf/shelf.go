// Package shelf keeps the index's posting lists in memory: which records stand
// under a block key. The Space stays the truth; a Shelf is what was read of it,
// kept up with every change, so that a feed or a match asks no disk for lists.
// A key takes about 10 bytes and a posting 4, in runs that hold no pointers, so
// the garbage collector does not look into them.
package shelf

import (
	"sync"

	"hutong/mpi/block"
	"hutong/mpi/intern"
)

// Shelf holds lists of records by key. Safe for concurrent use.
type Shelf struct {
	shards [1 << shardBits]shard
	// changing orders the loading and the changes of one record.
	changing [256]sync.Mutex
	mu       sync.RWMutex
	ids      *intern.Pool // of records; guarded by mu
}

// New makes an empty Shelf.
func New() *Shelf { return &Shelf{ids: intern.New()} }

// Load puts a stored record under its keys, unless the record is known: then a
// change came before, which is newer than what was read.
func (s *Shelf) Load(id string, keys []block.Key) {
	defer s.change(id)()
	if n, fresh := s.number(id); fresh {
		for _, k := range keys {
			s.add(k, n)
		}
	}
}

// Put moves a record from the keys that it had to those that it has, after the
// change is durable.
func (s *Shelf) Put(id string, old, next []block.Key) {
	defer s.change(id)()
	n, fresh := s.number(id)
	if fresh {
		old = nil
	}
	for _, k := range without(old, next) {
		sh, tag := s.at(k)
		sh.remove(tag, n, k.Pass.Cap())
	}
	for _, k := range without(next, old) {
		s.add(k, n)
	}
}

// Doubt gives the lists of keys up: whether a change of them was written is not
// known, so the Space is asked from now on.
func (s *Shelf) Doubt(keys []block.Key) {
	for _, k := range keys {
		sh, tag := s.at(k)
		sh.forget(tag)
	}
}

// List gives the records under a key. over says that there are more than the
// pass's cap, and none are given; ok is false where the Space must be asked.
// Two keys of 2^44 may share a list: what is in it is held against the query
// before anything follows from it.
func (s *Shelf) List(k block.Key) (ids []string, over, ok bool) {
	var room [256]uint32
	sh, tag := s.at(k)
	ns, over, ok := sh.list(tag, room[:0])
	if len(ns) == 0 {
		return nil, over, ok
	}
	ids = make([]string, len(ns))
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i, n := range ns {
		ids[i] = s.ids.Get(n)
	}
	return ids, over, ok
}

func (s *Shelf) add(k block.Key, n uint32) {
	sh, tag := s.at(k)
	sh.add(tag, n, k.Pass.Cap())
}

// at finds the shard of a key and what tells the key there.
func (s *Shelf) at(k block.Key) (*shard, uint32) {
	h := mix(k.Hash + uint64(k.Pass)*0x9e3779b97f4a7c15)
	return &s.shards[h>>(64-shardBits)], uint32(h >> (32 - shardBits))
}

// mix spreads a hash over all bits (the finaliser of MurmurHash3).
func mix(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

func (s *Shelf) change(id string) (done func()) {
	h := uint64(14695981039346656037)
	for i := range len(id) {
		h = (h ^ uint64(id[i])) * 1099511628211
	}
	m := &s.changing[mix(h)%uint64(len(s.changing))]
	m.Lock()
	return m.Unlock
}

// number gives a record's number; fresh says that it had none.
func (s *Shelf) number(id string) (n uint32, fresh bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	had := s.ids.Len()
	n = s.ids.Put(id)
	return n, s.ids.Len() > had
}

// without lists the keys of a that are not in b.
func without(a, b []block.Key) []block.Key {
	var out []block.Key
next:
	for _, k := range a {
		for _, l := range b {
			if k == l {
				continue next
			}
		}
		out = append(out, k)
	}
	return out
}

// Size is what a Shelf holds.
type Size struct {
	Records  int   `json:"records"`
	Keys     int   `json:"keys"`
	Postings int   `json:"postings"` // those of lists within their caps
	Bytes    int64 `json:"bytes"`
}

// Size counts what the Shelf holds.
func (s *Shelf) Size() Size {
	var out Size
	s.mu.RLock()
	out.Records, out.Bytes = s.ids.Len()-1, s.ids.Bytes()
	s.mu.RUnlock()
	for i := range s.shards {
		s.shards[i].size(&out)
	}
	return out
}
