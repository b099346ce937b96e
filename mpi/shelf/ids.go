package shelf

import (
	"encoding/hex"
	"hash/maphash"
	"sync"
)

// ids numbers records, from 1, in the order in which they come. The texts are
// kept once, in chunks that are never moved; UUIDs as their 16 bytes.
type ids struct {
	seed   maphash.Seed
	tables [1024]idTable
	mu     sync.RWMutex
	chunks []*idChunk
	n      uint32 // numbers taken; guarded by mu
}

// idTable finds the numbers of those ids whose hashes choose it: a number and,
// above it, five bits of the hash. 0 is free.
type idTable struct {
	mu    sync.Mutex
	slots []uint32
	used  int
}

const (
	chunkIDs   = 1024
	numberBits = 27
)

// idChunk holds the texts of so many numbers: bytes up to ends[i]>>1, and
// whether they are those of a UUID.
type idChunk struct {
	bytes []byte
	ends  [chunkIDs]uint32
}

func newIDs() *ids { return &ids{seed: maphash.MakeSeed()} }

// number gives the number of id; fresh says that it had none. It is 0 where all
// numbers are taken.
func (s *ids) number(id string) (n uint32, fresh bool) {
	h := maphash.String(s.seed, id)
	t := &s.tables[h%uint64(len(s.tables))]
	t.mu.Lock()
	defer t.mu.Unlock()
	if (t.used+1)*4 > len(t.slots)*3 {
		s.grow(t)
	}
	at, tag := t.start(h), uint32(h>>16)<<numberBits
	for ; t.slots[at] != 0; at = t.next(at) {
		if v := t.slots[at]; v&^maxNumber == tag && s.get(v&maxNumber) == id {
			return v & maxNumber, false
		}
	}
	if n = s.put(id); n != 0 {
		t.slots[at] = tag | n
		t.used++
	}
	return n, n != 0
}

// find gives the number of id; 0 if it has none.
func (s *ids) find(id string) uint32 {
	h := maphash.String(s.seed, id)
	t := &s.tables[h%uint64(len(s.tables))]
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.slots) == 0 {
		return 0
	}
	tag := uint32(h>>16) << numberBits
	for at := t.start(h); t.slots[at] != 0; at = t.next(at) {
		if v := t.slots[at]; v&^maxNumber == tag && s.get(v&maxNumber) == id {
			return v & maxNumber
		}
	}
	return 0
}

func (t *idTable) start(h uint64) int { return int(h >> 32 * uint64(len(t.slots)) >> 32) }

func (t *idTable) next(at int) int {
	if at++; at == len(t.slots) {
		return 0
	}
	return at
}

// grow makes a table a quarter larger.
func (s *ids) grow(t *idTable) {
	old := t.slots
	t.slots = make([]uint32, max(16, len(old)*5/4))
	for _, v := range old {
		if v == 0 {
			continue
		}
		at := t.start(maphash.String(s.seed, s.get(v&maxNumber)))
		for t.slots[at] != 0 {
			at = t.next(at)
		}
		t.slots[at] = v
	}
}

// put gives id the next number.
func (s *ids) put(id string) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n == maxNumber {
		return 0
	}
	i := s.n % chunkIDs
	if i == 0 {
		s.chunks = append(s.chunks, &idChunk{})
	}
	c := s.chunks[len(s.chunks)-1]
	packed := uint32(0)
	if b, ok := packUUID(id); ok {
		c.bytes, packed = append(c.bytes, b[:]...), 1
	} else {
		c.bytes = append(c.bytes, id...)
	}
	c.ends[i] = uint32(len(c.bytes))<<1 | packed
	if i == chunkIDs-1 { // full: no room is left over
		c.bytes = append(make([]byte, 0, len(c.bytes)), c.bytes...)
	}
	s.n++
	return s.n
}

// texts gives the ids of numbers that number gave.
func (s *ids) texts(ns []uint32) []string {
	out := make([]string, len(ns))
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i, n := range ns {
		out[i] = s.text(n)
	}
	return out
}

func (s *ids) get(n uint32) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.text(n)
}

func (s *ids) text(n uint32) string {
	b, packed := s.kept(n)
	if packed {
		uuid := unpackUUID(b)
		return string(uuid[:])
	}
	return string(b)
}

// append appends the id of n to dst.
func (s *ids) append(dst []byte, n uint32) []byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, packed := s.kept(n)
	if packed {
		uuid := unpackUUID(b)
		return append(dst, uuid[:]...)
	}
	return append(dst, b...)
}

// kept is an id as it is kept.
func (s *ids) kept(n uint32) (b []byte, packed bool) {
	n--
	c, i := s.chunks[n/chunkIDs], n%chunkIDs
	from := uint32(0)
	if i > 0 {
		from = c.ends[i-1] >> 1
	}
	return c.bytes[from : c.ends[i]>>1], c.ends[i]&1 != 0
}

func (s *ids) size() (records int, bytes int64) {
	for i := range s.tables {
		t := &s.tables[i]
		t.mu.Lock()
		bytes += int64(4 * cap(t.slots))
		t.mu.Unlock()
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, c := range s.chunks {
		bytes += int64(cap(c.bytes)) + 4*chunkIDs + 32
	}
	return int(s.n), bytes
}

// packUUID takes the 16 bytes of a UUID in its canonical form: lower-case, with
// hyphens.
func packUUID(s string) (b [16]byte, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return b, false
	}
	for i := range len(s) {
		if c := s[i]; c >= 'A' && c <= 'F' {
			return b, false
		}
	}
	var digits [32]byte
	n := copy(digits[:], s[:8])
	for _, from := range [...]int{9, 14, 19} {
		n += copy(digits[n:], s[from:from+4])
	}
	copy(digits[n:], s[24:])
	_, err := hex.Decode(b[:], digits[:])
	return b, err == nil
}

func unpackUUID(b []byte) (s [36]byte) {
	hex.Encode(s[:8], b[:4])
	for i, at := range [...]int{9, 14, 19} {
		s[at-1] = '-'
		hex.Encode(s[at:at+4], b[4+2*i:6+2*i])
	}
	s[23] = '-'
	hex.Encode(s[24:], b[10:])
	return s
}
