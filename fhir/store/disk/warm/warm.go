// Package warm keeps resources that are read often in memory: the newest row and
// body of each, found by one look at a table instead of seeks in a tree that gets
// deeper as it grows. The bytes have a limit: what was not read again goes first.
//
// The committer tells which resources it changes before anybody can read the
// change: the entry goes. A reading at t takes an entry of before t, and puts one
// in only if nothing like it has changed since t.
package warm

import (
	"sync"

	"hutong/fhir"
	"hutong/fhir/store/disk/layout"
)

const (
	shards     = 64
	slots      = 1 << 8 // of a shard, each of which remembers its newest change
	entryBytes = 160    // an entry beside its row and body, about
	// maxBody is the largest body that is kept.
	maxBody = 64 << 10
)

// Cache is safe for concurrent use. A nil Cache holds nothing.
type Cache struct {
	shards [shards]shard
}

type shard struct {
	mu      sync.Mutex
	limit   int64
	bytes   int64
	entries map[layout.RID]*entry
	ring    []*entry // what the hand goes round: who was read since the last time stays
	hand    int
	changed [slots]fhir.T // the newest commit that changed a resource of the slot
}

type entry struct {
	rid  layout.RID
	t    fhir.T // of the version
	ver  uint64
	row  []byte
	body []byte // nil: not read yet
	at   int    // in the ring
	read bool
}

// New makes a cache of at most limit bytes.
func New(limit int64) *Cache {
	c := &Cache{}
	for i := range c.shards {
		c.shards[i].limit, c.shards[i].entries = limit/shards, map[layout.RID]*entry{}
	}
	return c
}

// place spreads rids, of which those of a patient follow each other.
func place(rid layout.RID) (of, slot int) {
	h := uint64(rid) * 0x9e3779b97f4a7c15
	return int(h >> 58), int(h>>48) % slots
}

// Row gives the row of rid that held at t, nil if it is not known. It is not to
// be changed.
func (c *Cache) Row(rid layout.RID, t fhir.T) []byte {
	if c == nil {
		return nil
	}
	of, _ := place(rid)
	s := &c.shards[of]
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[rid]
	if e == nil || e.t > t {
		return nil
	}
	e.read = true
	return e.row
}

// Keep takes the newest row of rid as a reading at t found it. It copies the row.
func (c *Cache) Keep(rid layout.RID, t fhir.T, row []byte) {
	if c == nil {
		return
	}
	ver, made := layout.VersionOf(row)
	if made > t {
		return
	}
	of, slot := place(rid)
	s := &c.shards[of]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed[slot] > t || s.entries[rid] != nil {
		return
	}
	e := &entry{rid: rid, t: made, ver: ver, row: append(make([]byte, 0, len(row)), row...), at: len(s.ring)}
	s.entries[rid] = e
	s.ring = append(s.ring, e)
	s.grow(entryBytes + int64(len(row)))
}

// Body gives the body of a version, nil if it is not known. It is not to be changed.
func (c *Cache) Body(rid layout.RID, ver uint64) []byte {
	if c == nil {
		return nil
	}
	of, _ := place(rid)
	s := &c.shards[of]
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[rid]; e != nil && e.ver == ver {
		return e.body
	}
	return nil
}

// KeepBody takes the body of a version whose row is kept. It is the cache's from
// then on.
func (c *Cache) KeepBody(rid layout.RID, ver uint64, body []byte) {
	if c == nil || len(body) > maxBody {
		return
	}
	of, _ := place(rid)
	s := &c.shards[of]
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[rid]; e != nil && e.ver == ver && e.body == nil {
		e.body = body
		s.grow(int64(len(body)))
	}
}

// Changed tells that commit t changes rid: after it was applied to the tree, and
// before anybody reads at t.
func (c *Cache) Changed(rid layout.RID, t fhir.T) {
	if c == nil {
		return
	}
	of, slot := place(rid)
	s := &c.shards[of]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed[slot] = t
	if e := s.entries[rid]; e != nil {
		s.drop(e)
	}
}

func (e *entry) bytes() int64 { return entryBytes + int64(len(e.row)+len(e.body)) }

// grow takes bytes, and lets go what was not read since the hand came by.
func (s *shard) grow(n int64) {
	s.bytes += n
	for s.bytes > s.limit && len(s.ring) > 0 {
		if s.hand >= len(s.ring) {
			s.hand = 0
		}
		if e := s.ring[s.hand]; e.read {
			e.read = false
			s.hand++
		} else {
			s.drop(e)
		}
	}
}

// drop takes an entry out; the last of the ring takes its place there.
func (s *shard) drop(e *entry) {
	delete(s.entries, e.rid)
	s.bytes -= e.bytes()
	last := len(s.ring) - 1
	s.ring[e.at] = s.ring[last]
	s.ring[e.at].at = e.at
	s.ring[last] = nil
	s.ring = s.ring[:last]
}
