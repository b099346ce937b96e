package shelf

import (
	"math/bits"
	"sync"
)

// shardBits is how many bits of a key's hash choose its shard. The next 32 are
// the key's tag: its first bits choose the bucket and are not stored.
const shardBits = 10

// shard is a table from tags to lists by linear hashing (Litwin 1980): when
// buckets hold more than perBucket entries on average, one of them is parted in
// two, each in its turn, so that no change ever waits for a table to be copied.
// Bucket i holds the tags whose first bits, read backwards, are i: so the tags of
// a bucket are a range, and what is sorted by tag is sorted by bucket.
type shard struct {
	mu      sync.RWMutex
	buckets []bucket
	level   int // buckets up to here are 1<<level ...
	parted  int // ... and of these, so many were parted since
	entries int
	slab    slab
}

// bucket is where a bucket's bytes are in the slab.
type bucket struct{ at, used uint32 }

const (
	leastLevel = 32 - 8*tagBytes // the bits of a tag that are not stored must follow from the bucket
	perBucket  = 24
)

// place is the bucket of a tag.
func (s *shard) place(tag uint32) int {
	r := int(bits.Reverse32(tag))
	if i := r & (1<<s.level - 1); i >= s.parted {
		return i
	}
	return r & (1<<(s.level+1) - 1)
}

func (s *shard) bucket(i int) []byte {
	b := s.buckets[i]
	if b.used == 0 {
		return nil
	}
	return s.slab.at(b.at)[:b.used]
}

// op is what becomes of a list.
type op uint8

const (
	opAdd op = iota
	opRemove
	opForget // the Space is asked from now on
)

func (l *list) do(o op, n uint32, limit int) (changed bool) {
	switch o {
	case opAdd:
		return l.add(n, limit)
	case opRemove:
		return l.remove(n, limit)
	}
	*l = list{elsewhere: true}
	return true
}

// change does o to the list of tag.
func (s *shard) change(tag uint32, o op, n uint32, limit int) {
	var room [64]uint32
	var code [256]byte
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin()
	i := s.place(tag)
	b := s.bucket(i)
	from, to := find(b, tag)
	l := decode(b[from:to], room[:0])
	if !l.do(o, n, limit) {
		return
	}
	entry := l.encode(code[:0], tag)
	if from == to {
		s.entries++
	}
	if len(entry) == 0 {
		s.entries--
	}
	s.splice(i, from, to, entry)
	s.part()
}

// begin makes the first buckets.
func (s *shard) begin() {
	if s.buckets == nil {
		s.buckets, s.level = make([]bucket, 1<<leastLevel), leastLevel
	}
}

// splice replaces bytes from..to of a bucket.
func (s *shard) splice(i, from, to int, by []byte) {
	b := s.buckets[i]
	was, now := int(b.used), int(b.used)+from-to+len(by)
	if now == 0 || was == 0 || roomFor(was) != roomFor(now) {
		var room [1024]byte
		old := s.bucket(i)
		s.replace(i, append(append(append(room[:0], old[:from]...), by...), old[to:]...))
		return
	}
	bytes := s.slab.at(b.at)[:max(was, now)]
	copy(bytes[from+len(by):], bytes[to:was])
	copy(bytes[from:], by)
	s.buckets[i].used = uint32(now)
}

// replace gives a bucket other bytes, which are not the slab's.
func (s *shard) replace(i int, bytes []byte) {
	b := &s.buckets[i]
	if b.used == 0 || len(bytes) == 0 || roomFor(int(b.used)) != roomFor(len(bytes)) {
		s.slab.release(b.at, int(b.used))
		b.at = 0
		if len(bytes) > 0 {
			b.at = s.slab.take(len(bytes))
		}
	}
	if b.used = uint32(len(bytes)); b.used > 0 {
		copy(s.slab.at(b.at), bytes)
	}
}

// part parts buckets until they are short enough on average.
func (s *shard) part() {
	for s.entries > perBucket*len(s.buckets) {
		var room [2048]byte
		i, bit := s.parted, uint32(1)<<(31-s.level)
		old := append(room[:0], s.bucket(i)...)
		half := 0
		for half < len(old) && tagAt(old, half)&bit == 0 {
			_, half = span(old, half)
		}
		if len(s.buckets) == cap(s.buckets) { // by an eighth, like the slab
			grown := make([]bucket, len(s.buckets), len(s.buckets)*9/8)
			copy(grown, s.buckets)
			s.buckets = grown
		}
		s.buckets = append(s.buckets, bucket{})
		s.replace(i, old[:half])
		s.replace(len(s.buckets)-1, old[half:])
		if s.parted++; s.parted == 1<<s.level {
			s.parted, s.level = 0, s.level+1
		}
	}
}

// settle gives up what is unused, for a shard that has been filled.
func (s *shard) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tidy(1 << 20)
}

// tidy moves the buckets into a slab of their own size, if more than one part in
// `of` of this one is not in use.
func (s *shard) tidy(of int) {
	used := 0
	for _, b := range s.buckets {
		if b.used > 0 {
			used += roomFor(int(b.used))
		}
	}
	if s.slab.room()-used <= used/of {
		return
	}
	var next slab
	for i := range s.buckets {
		b := &s.buckets[i]
		if b.used == 0 {
			continue
		}
		room := roomFor(int(b.used))
		if len(next.runs) == 0 || next.end+room > len(next.runs[next.last]) && room <= mostRun {
			next.begin(min(mostRun, used))
		}
		used -= room
		at := next.take(int(b.used))
		copy(next.at(at), s.bucket(i))
		b.at = at
	}
	s.slab = next
}

// list appends the records of tag to out.
func (s *shard) list(tag uint32, out []uint32) (_ []uint32, over, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.buckets == nil {
		return out, false, true
	}
	b := s.bucket(s.place(tag))
	from, to := find(b, tag)
	l := decode(b[from:to], out)
	return l.items, l.count > 0, !l.elsewhere
}

func (s *shard) size(out *Size) {
	var room [256]uint32
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i := range s.buckets {
		b := s.bucket(i)
		for at := 0; at < len(b); {
			_, end := span(b, at)
			l := decode(b[at:end], room[:0])
			out.Postings += len(l.items)
			at = end
		}
	}
	out.Keys += s.entries
	out.Bytes += int64(8*cap(s.buckets) + s.slab.room())
}
