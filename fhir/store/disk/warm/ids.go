package warm

import (
	"hash/maphash"
	"strings"
	"sync"

	"hutong/fhir/store/disk/layout"
)

const (
	idShards = 64
	idSlots  = 1 << 11 // of a shard
)

// IDs remembers the rids of resources that were looked up by id lately: up to
// 131,072 of them. A rid, once given, stays. It is safe for concurrent use, and a
// nil one remembers nothing.
type IDs struct {
	shards [idShards]idShard
}

type idShard struct {
	mu  sync.Mutex
	ids *[idSlots]named // made when the first comes
}

type named struct {
	typ uint32 // the number of its name; 0 is no type
	rid layout.RID
	id  string
}

var idSeed = maphash.MakeSeed()

func (c *IDs) at(typ uint32, id string) (s *idShard, i uint64) {
	h := maphash.String(idSeed, id) ^ uint64(typ)*0x9e3779b97f4a7c15
	return &c.shards[h%idShards], h / idShards % idSlots
}

// RID gives that of a resource, if it is known.
func (c *IDs) RID(typ uint32, id string) (rid layout.RID, known bool) {
	if c == nil {
		return 0, false
	}
	s, i := c.at(typ, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids == nil {
		return 0, false
	}
	n := &s.ids[i]
	return n.rid, typ != 0 && n.typ == typ && n.id == id
}

// Keep takes the rid of a resource.
func (c *IDs) Keep(typ uint32, id string, rid layout.RID) {
	if c == nil {
		return
	}
	s, i := c.at(typ, id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ids == nil {
		s.ids = new([idSlots]named)
	}
	s.ids[i] = named{typ, rid, strings.Clone(id)}
}
