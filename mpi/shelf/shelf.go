// Package shelf keeps the index's posting lists in memory: which records stand
// under a block key. The Space stays the truth; a Shelf is what was read of it,
// kept up with every change, so that a feed or a match asks no disk for lists.
// A key takes about 4 bytes and a posting 2 to 4, in runs that hold no pointers,
// so the garbage collector does not look into them.
package shelf

import (
	"sync"

	"hutong/mpi/block"
)

// Shelf holds lists of records by key. Safe for concurrent use.
type Shelf struct {
	shards  [1 << shardBits]shard
	waiting [1 << shardBits]waiting
	ids     *ids
	briefs  *briefs // nil: none
	// changing orders the changes of one record.
	changing [256]sync.Mutex
	mu       sync.Mutex
	loaded   bool  // guarded by mu
	putOff   []put // what Put was told before Loaded; guarded by mu
}

// put is a change of a record's keys.
type put struct {
	n         uint32
	old, next []block.Key
}

// New makes an empty Shelf. Its lists are whole, and may be read, once Loaded
// was called.
func New() *Shelf { return &Shelf{ids: newIDs()} }

// Put moves a record from the keys that it had to those that it has, after the
// change is durable.
func (s *Shelf) Put(id string, old, next []block.Key) {
	defer s.change(id)()
	n, fresh := s.ids.number(id)
	switch {
	case n == 0: // more records than there are numbers
		s.Doubt(old)
		s.Doubt(next)
		return
	case fresh:
		old = nil
	}
	p := put{n, without(old, next), without(next, old)}
	if !s.defers(p) {
		s.put(p)
	}
}

// defers keeps a change for Loaded, which does it after what was read before it.
func (s *Shelf) defers(p put) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.loaded {
		s.putOff = append(s.putOff, p)
	}
	return !s.loaded
}

func (s *Shelf) put(p put) {
	for _, k := range p.old {
		s.do(k, opRemove, p.n)
	}
	for _, k := range p.next {
		s.do(k, opAdd, p.n)
	}
}

// Loaded says that all stored records were given to Load: the changes that came
// meanwhile are made.
func (s *Shelf) Loaded() {
	s.fillAll()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.putOff {
		s.put(p)
	}
	s.loaded, s.putOff = true, nil
	s.briefs.loaded(s.ids)
}

// Known gives a record a number, so that it is not Unknown: it may be stored.
func (s *Shelf) Known(id string) { s.ids.number(id) }

// Unknown reports that nothing is stored of a record: it has no number, though there
// are some left.
func (s *Shelf) Unknown(id string) bool { return s.ids.find(id) == 0 && s.Len() < maxNumber }

// Doubt gives the lists of keys up: whether a change of them was written is not
// known, so the Space is asked from now on.
func (s *Shelf) Doubt(keys []block.Key) {
	for _, k := range keys {
		s.do(k, opForget, 0)
	}
}

// List gives the records under a key. over says that there are more than the
// pass's cap, and none are given; ok is false where the Space must be asked.
// Two keys of 2^42 may share a list: what is in it is held against the query
// before anything follows from it.
func (s *Shelf) List(k block.Key) (ids []string, over, ok bool) {
	var room [256]uint32
	sh, tag := s.at(k)
	ns, over, ok := sh.list(tag, room[:0])
	if len(ns) == 0 {
		return nil, over, ok
	}
	return s.ids.texts(ns), over, ok
}

func (s *Shelf) do(k block.Key, o op, n uint32) {
	sh, tag := s.at(k)
	sh.change(tag, o, n, k.Pass.Cap())
}

// at finds the shard of a key and what tells the key there.
func (s *Shelf) at(k block.Key) (*shard, uint32) {
	h := spread(k)
	return &s.shards[h>>(64-shardBits)], uint32(h >> (32 - shardBits))
}

// spread is a hash of a key.
func spread(k block.Key) uint64 { return mix(k.Hash + uint64(k.Pass)*0x9e3779b97f4a7c15) }

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

// Len is how many records the Shelf knows.
func (s *Shelf) Len() int {
	s.ids.mu.RLock()
	defer s.ids.mu.RUnlock()
	return int(s.ids.n)
}

// Size counts what the Shelf holds, list by list.
func (s *Shelf) Size() Size {
	var out Size
	out.Records, out.Bytes = s.ids.size()
	if s.briefs != nil {
		out.Bytes += s.briefs.records.Bytes()
	}
	for i := range s.shards {
		s.shards[i].size(&out)
	}
	return out
}
