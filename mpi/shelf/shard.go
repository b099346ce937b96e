package shelf

import "sync"

// shardBits is how many bits of a key's hash choose its shard. The next 32 are
// the key's tag, which also gives its place, so that no key is stored whole.
const shardBits = 12

// shard is an open-addressed table from tags to lists. A value is a record's
// number (a list of one), an offset in the slab, or one of the marks below; 0 is
// a free place.
type shard struct {
	mu   sync.RWMutex
	tags []uint32
	vals []uint32
	used int // places that are not free
	slab slab
}

const (
	inSlab    = 1 << 31
	elsewhere = 1<<32 - 1 // the Space must be asked
	empty     = 1<<32 - 2 // nothing is left; gone when the table grows
)

// place finds where a tag is, or the free place where it would be.
func (s *shard) place(tag uint32) int {
	at := int(uint64(tag) * uint64(len(s.vals)) >> 32)
	for s.vals[at] != 0 && s.tags[at] != tag {
		if at++; at == len(s.vals) {
			at = 0
		}
	}
	return at
}

// claim is place with room made for one more.
func (s *shard) claim(tag uint32) int {
	if (s.used+1)*20 > len(s.vals)*17 { // at most 85% full
		s.grow()
	}
	at := s.place(tag)
	if s.vals[at] == 0 {
		s.used++
		s.tags[at], s.vals[at] = tag, empty
	}
	return at
}

// grow makes the table a quarter larger: doubling would leave half of the
// memory of ten million records unused.
func (s *shard) grow() {
	tags, vals := s.tags, s.vals
	n := max(16, len(vals)*5/4)
	s.tags, s.vals, s.used = make([]uint32, n), make([]uint32, n), 0
	for i, v := range vals {
		if v == 0 || v == empty {
			continue
		}
		at := s.place(tags[i])
		s.tags[at], s.vals[at] = tags[i], v
		s.used++
	}
}

// add puts a record into the list of tag. A list that outgrows limit keeps
// its length only.
func (s *shard) add(tag, n uint32, limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.claim(tag)
	switch v := s.vals[at]; {
	case v == elsewhere:
	case v == empty:
		s.vals[at] = n
	case v&inSlab == 0:
		if v != n {
			s.vals[at] = inSlab | s.slab.pair(v, n)
		}
	default:
		s.vals[at] = inSlab | s.slab.add(v&^inSlab, n, limit)
	}
}

// remove takes a record out of the list of tag. An overlong list that falls to
// its limit is asked of the Space from then on.
func (s *shard) remove(tag, n uint32, limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.vals) == 0 {
		return
	}
	at := s.place(tag)
	switch v := s.vals[at]; {
	case v == 0 || v == elsewhere || v == empty:
	case v&inSlab == 0:
		if v == n {
			s.vals[at] = empty
		}
	default:
		left, over := s.slab.remove(v&^inSlab, n)
		switch {
		case over && left <= limit:
			s.slab.release(v &^ inSlab)
			s.vals[at] = elsewhere
		case left == 0:
			s.slab.release(v &^ inSlab)
			s.vals[at] = empty
		}
	}
}

// forget leaves the list of tag to the Space.
func (s *shard) forget(tag uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.claim(tag)
	if v := s.vals[at]; v&inSlab != 0 && v != empty && v != elsewhere {
		s.slab.release(v &^ inSlab)
	}
	s.vals[at] = elsewhere
}

// list appends the records of tag to out.
func (s *shard) list(tag uint32, out []uint32) (_ []uint32, over, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if len(s.vals) == 0 {
		return out, false, true
	}
	switch v := s.vals[s.place(tag)]; {
	case v == 0 || v == empty:
		return out, false, true
	case v == elsewhere:
		return out, false, false
	case v&inSlab == 0:
		return append(out, v), false, true
	default:
		items, over := s.slab.items(v &^ inSlab)
		return append(out, items...), over, true
	}
}

func (s *shard) size(out *Size) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, v := range s.vals {
		switch {
		case v == 0 || v == empty:
			continue
		case v&inSlab == 0:
			out.Postings++
		case v != elsewhere:
			items, _ := s.slab.items(v &^ inSlab)
			out.Postings += len(items)
		}
		out.Keys++
	}
	out.Bytes += int64(4*(cap(s.tags)+cap(s.vals)) + 4*cap(s.slab.words))
}
