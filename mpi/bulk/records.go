package bulk

import (
	"os"
	"sync"
)

// Records keeps the records of a load by number, 1, 2, ..., each a run of bytes.
// Safe for concurrent use.
type Records struct {
	f   *os.File
	mu  sync.RWMutex
	at  []uint64 // by number: offset and, in the low bits, length+1; 0: none
	end uint64
}

const lengthBits = 24

// NewRecords makes one with its file in dir.
func NewRecords(dir string) (*Records, error) {
	f, err := os.CreateTemp(dir, "records-*")
	return &Records{f: f, at: make([]uint64, 1)}, err
}

// Put adds records that lie one behind the other in b: numbers[i] is as long as
// lengths[i].
func (r *Records) Put(numbers []uint32, lengths []int, b []byte) error {
	r.mu.Lock()
	from := r.end
	r.end += uint64(len(b))
	at := from
	for i, n := range numbers {
		for int(n) >= len(r.at) {
			r.at = append(r.at, 0)
		}
		r.at[n] = at<<lengthBits | uint64(lengths[i]+1)
		at += uint64(lengths[i])
	}
	r.mu.Unlock()
	_, err := r.f.WriteAt(b, int64(from))
	return err
}

// Get reads a record, appended to room; nothing if there is none.
func (r *Records) Get(n uint32, room []byte) ([]byte, error) {
	r.mu.RLock()
	at := r.at[n]
	r.mu.RUnlock()
	if at == 0 {
		return room, nil
	}
	from := len(room)
	length := int(at&(1<<lengthBits-1)) - 1
	for cap(room) < from+length {
		room = append(room[:cap(room)], 0)
	}
	room = room[:from+length]
	_, err := r.f.ReadAt(room[from:], int64(at>>lengthBits))
	return room, err
}

// Len is the highest number.
func (r *Records) Len() int { return len(r.at) - 1 }

// Close closes the file.
func (r *Records) Close() error { return r.f.Close() }

// Union divides numbers 1..n into those that hang together (disjoint sets with
// path halving). For one goroutine at a time.
type Union []uint32

// NewUnion makes n numbers that are alone.
func NewUnion(n int) Union {
	u := make(Union, n+1)
	for i := range u {
		u[i] = uint32(i)
	}
	return u
}

// Root is the least number that hangs together with n.
func (u Union) Root(n uint32) uint32 {
	for u[n] != n {
		u[n] = u[u[n]]
		n = u[n]
	}
	return n
}

// Join has a and b hang together.
func (u Union) Join(a, b uint32) {
	a, b = u.Root(a), u.Root(b)
	u[max(a, b)] = min(a, b)
}

// Order lists all numbers, those that hang together one behind the other, in
// the order of their roots.
func (u Union) Order() []uint32 {
	start := make([]uint32, len(u)+1)
	for n := 1; n < len(u); n++ {
		start[u.Root(uint32(n))+1]++
	}
	for i := 1; i < len(start); i++ {
		start[i] += start[i-1]
	}
	out := make([]uint32, len(u)-1)
	for n := 1; n < len(u); n++ {
		at := &start[u.Root(uint32(n))]
		out[*at] = uint32(n)
		*at++
	}
	return out
}

// Recent keeps what was read lately, by number: records of a household, or that
// came together, meet the same. For one goroutine.
type Recent[R any] struct {
	held map[uint32]R
	read func(n uint32) (R, error)
}

// recently is how many a Recent keeps.
const recently = 2048

// NewRecent makes one that reads by read.
func NewRecent[R any](read func(n uint32) (R, error)) *Recent[R] {
	return &Recent[R]{make(map[uint32]R, recently), read}
}

// Get gives what n is.
func (c *Recent[R]) Get(n uint32) (R, error) {
	if r, ok := c.held[n]; ok {
		return r, nil
	}
	r, err := c.read(n)
	if err == nil {
		if len(c.held) >= recently {
			clear(c.held)
		}
		c.held[n] = r
	}
	return r, err
}
