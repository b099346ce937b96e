package bulk

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
)

// Records keeps records by number, 1, 2, ..., each a run of bytes, in a file that
// nobody else sees and that goes with the process. A number takes four bytes of
// memory. Safe for concurrent use.
type Records struct {
	f   *os.File
	mu  sync.RWMutex
	at  [][]uint32 // by number, in chunks that never move: the unit where it begins, from 1
	n   uint32     // the highest number
	end uint32     // units in use
	// free is where records were that were replaced, by their units.
	free map[uint32][]uint32
}

const (
	unit    = 16      // bytes to which records are padded
	atChunk = 1 << 16 // numbers
	gone    = ^uint32(0)
	usual   = 512 // bytes that are read at first
)

// NewRecords makes one with its file in dir.
func NewRecords(dir string) (*Records, error) {
	f, err := os.CreateTemp(dir, "records-*")
	if err != nil {
		return nil, err
	}
	return &Records{f: f, free: map[uint32][]uint32{}}, os.Remove(f.Name())
}

// Frame appends a record to dst as Put takes it.
func Frame(dst, record []byte) []byte {
	dst = append(binary.AppendUvarint(dst, uint64(len(record))), record...)
	return append(dst, make([]byte, -len(dst)&(unit-1))...)
}

// Put adds records, framed one behind the other, or replaces them.
func (r *Records) Put(numbers []uint32, frames []byte) error { return r.put(numbers, frames, false) }

// Fill is Put of those that were neither put nor dropped before.
func (r *Records) Fill(numbers []uint32, frames []byte) error { return r.put(numbers, frames, true) }

func (r *Records) put(numbers []uint32, frames []byte, fill bool) error {
	r.mu.Lock()
	from := r.end
	if uint64(from)+uint64(len(frames)/unit) >= uint64(gone) {
		r.mu.Unlock()
		return errors.New("bulk: the records take more than 64 GiB")
	}
	r.end += uint32(len(frames) / unit)
	r.mu.Unlock()
	if _, err := r.f.WriteAt(frames, int64(from)*unit); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range numbers {
		length, w := binary.Uvarint(frames)
		size := (w + int(length) + unit - 1) &^ (unit - 1)
		if at := r.slot(n); *at != gone && (*at == 0 || !fill) {
			*at = from + 1
		}
		from, frames = from+uint32(size/unit), frames[size:]
	}
	return nil
}

// units is how many units a record takes.
func units(length int) uint32 {
	var head [binary.MaxVarintLen64]byte
	return uint32((binary.PutUvarint(head[:], uint64(length)) + length + unit - 1) / unit)
}

// Replace puts a record, framed, in the place of one of the given length, whose room
// another may take at once: who reads that one asks for its Place again afterwards.
// One number is replaced by one goroutine at a time.
func (r *Records) Replace(n uint32, frame []byte, length int) error {
	size := uint32(len(frame) / unit)
	r.mu.Lock()
	free := r.free[size]
	if len(free) == 0 {
		r.mu.Unlock()
		was := r.Place(n)
		err := r.Put([]uint32{n}, frame)
		if err == nil && was != 0 {
			r.release(was, length)
		}
		return err
	}
	at := free[len(free)-1]
	r.free[size] = free[:len(free)-1]
	r.mu.Unlock()
	if _, err := r.f.WriteAt(frame, int64(at-1)*unit); err != nil {
		return err
	}
	r.mu.Lock()
	was := *r.slot(n)
	*r.slot(n) = at
	r.mu.Unlock()
	if was != 0 {
		r.release(was, length)
	}
	return nil
}

func (r *Records) release(at uint32, length int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free[units(length)] = append(r.free[units(length)], at)
}

// slot is where a number's place is kept; the caller holds the lock.
func (r *Records) slot(n uint32) *uint32 {
	r.n = max(r.n, n)
	for int(n/atChunk) >= len(r.at) {
		r.at = append(r.at, make([]uint32, atChunk))
	}
	return &r.at[n/atChunk][n%atChunk]
}

// Drop has no record of a number from now on.
func (r *Records) Drop(n uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*r.slot(n) = gone
}

// Place tells where a number's record is: another place each time that it is put,
// 0 if there is none.
func (r *Records) Place(n uint32) uint32 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if int(n/atChunk) >= len(r.at) || r.at[n/atChunk][n%atChunk] == gone {
		return 0
	}
	return r.at[n/atChunk][n%atChunk]
}

// Get reads a record into room; ok is false if there is none.
func (r *Records) Get(n uint32, room []byte) (record []byte, ok bool, err error) {
	at := r.Place(n)
	if at == 0 {
		return nil, false, nil
	}
	record, err = r.Read(at, room)
	return record, err == nil, err
}

// Read reads the record at a place into room.
func (r *Records) Read(at uint32, room []byte) ([]byte, error) {
	from := int64(at-1) * unit
	room = slices.Grow(room[:0], usual)[:usual]
	got, err := r.f.ReadAt(room, from)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	length, w := binary.Uvarint(room[:got])
	if w <= 0 {
		return nil, io.ErrUnexpectedEOF
	}
	if size := w + int(length); size > got {
		room = slices.Grow(room[:0], size)[:size]
		if _, err := r.f.ReadAt(room, from); err != nil {
			return nil, err
		}
	}
	return room[w : w+int(length)], nil
}

// Len is the highest number.
func (r *Records) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return int(r.n)
}

// Bytes is how much memory the numbers take.
func (r *Records) Bytes() int64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return int64(len(r.at)) * atChunk * 4
}

// Close gives the file up.
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
