// Package bulk is the scratch of a first load: what is larger than memory waits
// in files that are read once, in order. It knows bytes and numbers only. A
// Scratch folder belongs to one load, which deletes it.
package bulk

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"io"
	"os"
	"slices"
	"sync"
)

// runBytes is how much of a Sorter's pairs waits in memory for each Adder.
const runBytes = 16 << 20

// Sorter sorts pairs by key: each Adder sorts what memory holds, and the runs
// that it wrote are merged as they are read.
type Sorter struct {
	dir  string
	mu   sync.Mutex
	runs []*os.File // guarded by mu
}

// NewSorter makes one with its runs in dir.
func NewSorter(dir string) *Sorter { return &Sorter{dir: dir} }

// Adder adds to a Sorter, for one goroutine.
type Adder struct {
	s     *Sorter
	bytes []byte
	at    []pair
}

// pair is where a key and its value are in bytes; head is the key's beginning.
type pair struct {
	head       uint64
	from, k, v uint32
}

// Adder makes one; the caller calls Flush at the end.
func (s *Sorter) Adder() *Adder { return &Adder{s: s} }

// Add takes a pair in; both are copied.
func (a *Adder) Add(key, value []byte) error {
	if len(a.bytes)+len(key)+len(value) > runBytes && len(a.at) > 0 {
		if err := a.Flush(); err != nil {
			return err
		}
	}
	a.at = append(a.at, pair{head(key), uint32(len(a.bytes)), uint32(len(key)), uint32(len(value))})
	a.bytes = append(append(a.bytes, key...), value...)
	return nil
}

// head is the first eight bytes of a key behind its kind, which all keys of a
// Sorter share; as a number they sort like the key.
func head(key []byte) uint64 {
	var b [8]byte
	copy(b[:], key[min(2, len(key)):])
	return binary.BigEndian.Uint64(b[:])
}

// Flush writes what waits as a run.
func (a *Adder) Flush() error {
	if len(a.at) == 0 {
		return nil
	}
	key := func(p pair) []byte { return a.bytes[p.from:][:p.k] }
	slices.SortFunc(a.at, func(p, q pair) int {
		if c := cmp.Compare(p.head, q.head); c != 0 && p.k > 2 && q.k > 2 && bytes.Equal(key(p)[:2], key(q)[:2]) {
			return c
		}
		return bytes.Compare(key(p), key(q))
	})
	f, err := os.CreateTemp(a.s.dir, "run-*")
	if err != nil {
		return err
	}
	a.s.mu.Lock()
	a.s.runs = append(a.s.runs, f)
	a.s.mu.Unlock()
	w := bufio.NewWriterSize(f, 1<<18)
	var sizes [2 * binary.MaxVarintLen32]byte
	for _, p := range a.at {
		n := binary.PutUvarint(sizes[:], uint64(p.k))
		n += binary.PutUvarint(sizes[n:], uint64(p.v))
		_, _ = w.Write(sizes[:n]) // an error stays and comes back from Flush
		_, _ = w.Write(a.bytes[p.from:][:p.k+p.v])
	}
	a.bytes, a.at = a.bytes[:0], a.at[:0]
	return w.Flush()
}

// Each gives all pairs in ascending order of their keys, of equal keys one, and
// deletes the runs. All Adders were flushed. The bytes are used again.
func (s *Sorter) Each(do func(key, value []byte) error) error {
	var h runs
	for _, f := range s.runs {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		r := &run{in: bufio.NewReaderSize(f, 1<<16)}
		if err := r.next(); err != nil {
			return err
		}
		h = append(h, r)
	}
	heap.Init(&h)
	var last []byte
	for first := true; len(h) > 0; first = false {
		r := h[0]
		if first || !bytes.Equal(last, r.key) {
			if err := do(r.key, r.value); err != nil {
				return err
			}
		}
		last = append(last[:0], r.key...)
		switch err := r.next(); err {
		case nil:
			heap.Fix(&h, 0)
		case io.EOF:
			heap.Pop(&h)
		default:
			return err
		}
	}
	return s.drop()
}

// drop deletes the runs.
func (s *Sorter) drop() error {
	var err error
	for _, f := range s.runs {
		err = cmp.Or(err, f.Close(), os.Remove(f.Name()))
	}
	s.runs = nil
	return err
}

// run is a run as it is read.
type run struct {
	in         *bufio.Reader
	key, value []byte
}

// next reads a pair; io.EOF at the end.
func (r *run) next() error {
	k, err := binary.ReadUvarint(r.in)
	if err != nil {
		return err
	}
	v, err := binary.ReadUvarint(r.in)
	if err != nil {
		return io.ErrUnexpectedEOF
	}
	r.key, r.value = slices.Grow(r.key[:0], int(k))[:k], slices.Grow(r.value[:0], int(v))[:v]
	if _, err := io.ReadFull(r.in, r.key); err != nil {
		return io.ErrUnexpectedEOF
	}
	if _, err := io.ReadFull(r.in, r.value); err != nil {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// runs is a heap of runs by their keys.
type runs []*run

func (h runs) Len() int           { return len(h) }
func (h runs) Less(i, j int) bool { return bytes.Compare(h[i].key, h[j].key) < 0 }
func (h runs) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runs) Push(x any)        { *h = append(*h, x.(*run)) }
func (h *runs) Pop() any {
	old := *h
	r := old[len(old)-1]
	*h = old[:len(old)-1]
	return r
}
